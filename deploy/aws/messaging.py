"""Queues with their dead-letter queues, and the topics."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk

from deploy.aws.settings import Settings
from deploy.definition import Definition


class MessagingStack(cdk.Stack):
    """Queues with their dead-letter queues, and the topics."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
