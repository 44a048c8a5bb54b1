"""Bucket, tables and Redis."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_s3 as s3

from deploy.aws.settings import Settings
from deploy.definition import Definition


class DataStack(cdk.Stack):
    """Bucket, tables and Redis.

    `redis` is for the services: its address, and the secret that holds its password and nothing else.
    """

    def __init__(
        self,
        scope: Any,
        name: str,
        *,
        settings: Settings,
        definition: Definition,
        vpc: ec2.IVpc,
        redis_group: ec2.ISecurityGroup,
        access_logs: s3.IBucket,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
