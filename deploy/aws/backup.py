"""Backups of the tables and the bucket."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk

from deploy.aws.settings import Settings
from deploy.definition import Definition


class BackupStack(cdk.Stack):
    """Backups of the tables and the bucket."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
