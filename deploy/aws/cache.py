"""Redis: wake-ups, caches and counts. What it holds is speed, never truth, so nothing of it is backed up."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_elasticache as elasticache, aws_secretsmanager as secretsmanager

from deploy.aws.network import REDIS
from deploy.aws.settings import Settings
from deploy.definition import Definition

ENGINE, VERSION, FAMILY = "valkey", "8.0", "valkey8"
NODE_TYPE_TRIAL, NODE_TYPE = "cache.t4g.micro", "cache.m7g.large"
NODES = 3
# ElastiCache takes 16 to 128 characters.
PASSWORD_CHARACTERS = 64


class CacheStack(cdk.Stack):
    """Valkey by ElastiCache, by TLS and with a password; in production another zone takes over when one fails.

    `address` and `port` are the primary's, `nodes` what CloudWatch calls each; `password` is the secret that holds the
    password and nothing else.
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
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        called = definition.names.redis
        self.password = secretsmanager.Secret(
            self,
            "Password",
            secret_name=definition.names.redis_secret,
            description="The password of Redis",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=PASSWORD_CHARACTERS, exclude_punctuation=True
            ),
        )
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            cache_subnet_group_name=called,
            description="Where Redis is",
            subnet_ids=[subnet.subnet_id for subnet in vpc.isolated_subnets],
        )
        parameters = elasticache.CfnParameterGroup(
            self,
            "Parameters",
            cache_parameter_group_family=FAMILY,
            description="What is old makes room",
            properties={"maxmemory-policy": "allkeys-lru"},
        )
        production = settings.production
        group = elasticache.CfnReplicationGroup(
            self,
            "Redis",
            replication_group_id=called,
            replication_group_description="Wake-ups, caches and counts",
            engine=ENGINE,
            engine_version=VERSION,
            cache_node_type=NODE_TYPE if production else NODE_TYPE_TRIAL,
            num_cache_clusters=NODES if production else 1,
            automatic_failover_enabled=production,
            multi_az_enabled=production,
            port=REDIS,
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            auth_token=self.password.secret_value.unsafe_unwrap(),  # a reference, which CloudFormation looks up
            cache_parameter_group_name=parameters.ref,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[redis_group.security_group_id],
            snapshot_retention_limit=0,
            auto_minor_version_upgrade=True,
        )
        self.address = group.attr_primary_end_point_address
        self.port = REDIS
        self.nodes = [f"{called}-{number:03}" for number in range(1, (NODES if production else 1) + 1)]
