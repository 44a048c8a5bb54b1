"""Roles of the services, the operator and the clients, and the secrets that the services read."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk

from deploy.aws.settings import Settings
from deploy.definition import Definition


class IdentityStack(cdk.Stack):
    """Roles of the services, the operator and the clients, and the secrets that the services read."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
