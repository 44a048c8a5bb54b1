"""The bucket and the tables: what must never be lost, or replaced by accident."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb, aws_s3 as s3

from deploy.aws.settings import Settings
from deploy.definition import KEYS, TABLES, Bucket, Definition, Table

RECOVERY_DAYS = 35
ACCESS_LOGS_PREFIX = "s3/"
ENABLED = "Enabled"


class DataStack(cdk.Stack):
    """The bucket and the tables. Their logical ids never change: CloudFormation would make new ones, empty."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._kept = settings.production
        self._removal = cdk.RemovalPolicy.RETAIN if settings.production else cdk.RemovalPolicy.DESTROY
        self._bucket(definition)
        for short_name, table in zip(TABLES, definition.tables, strict=True):
            self._table(short_name, table)

    def _table(self, short_name: str, table: Table) -> None:
        """Encrypted under a key of DynamoDB's own: one of KMS would be paid for with every request."""
        made = dynamodb.CfnTable(
            self,
            short_name.title(),
            table_name=table.name,
            billing_mode="PAY_PER_REQUEST",
            attribute_definitions=[
                dynamodb.CfnTable.AttributeDefinitionProperty(attribute_name=key, attribute_type="S") for key in KEYS
            ],
            key_schema=[
                dynamodb.CfnTable.KeySchemaProperty(attribute_name=key, key_type=kind) for key, kind in KEYS.items()
            ],
            time_to_live_specification=table.ttl_attribute
            and dynamodb.CfnTable.TimeToLiveSpecificationProperty(enabled=True, attribute_name=table.ttl_attribute),
            point_in_time_recovery_specification=dynamodb.CfnTable.PointInTimeRecoverySpecificationProperty(
                point_in_time_recovery_enabled=True, recovery_period_in_days=RECOVERY_DAYS
            ),
            deletion_protection_enabled=self._kept,
        )
        made.apply_removal_policy(self._removal)

    def _bucket(self, definition: Definition) -> None:
        bucket = definition.bucket
        made = s3.CfnBucket(
            self,
            "Files",
            bucket_name=bucket.name,
            versioning_configuration=s3.CfnBucket.VersioningConfigurationProperty(status=ENABLED),
            # Keys of S3's own: a key of KMS would have to be granted to every client, and paid for with every request.
            bucket_encryption=s3.CfnBucket.BucketEncryptionProperty(
                server_side_encryption_configuration=[
                    s3.CfnBucket.ServerSideEncryptionRuleProperty(
                        server_side_encryption_by_default=s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
                            sse_algorithm="AES256"
                        )
                    )
                ]
            ),
            public_access_block_configuration=s3.CfnBucket.PublicAccessBlockConfigurationProperty(
                block_public_acls=True, block_public_policy=True, ignore_public_acls=True, restrict_public_buckets=True
            ),
            ownership_controls=s3.CfnBucket.OwnershipControlsProperty(
                rules=[s3.CfnBucket.OwnershipControlsRuleProperty(object_ownership="BucketOwnerEnforced")]
            ),
            # Downloads pass no service of ours: only S3 can say who read what.
            logging_configuration=s3.CfnBucket.LoggingConfigurationProperty(
                destination_bucket_name=definition.names.access_logs_bucket, log_file_prefix=ACCESS_LOGS_PREFIX
            ),
            cors_configuration=_cors(bucket),
            lifecycle_configuration=s3.CfnBucket.LifecycleConfigurationProperty(rules=_lifecycle(bucket)),
            notification_configuration=_notifications(definition),
        )
        made.apply_removal_policy(self._removal)
        s3.CfnBucketPolicy(self, "FilesPolicy", bucket=made.ref, policy_document=bucket.policy_aws)


def _cors(bucket: Bucket) -> s3.CfnBucket.CorsConfigurationProperty:
    rule = s3.CfnBucket.CorsRuleProperty(
        allowed_methods=list(bucket.cors_methods),
        allowed_origins=list(bucket.cors_origins),
        allowed_headers=list(bucket.cors_allowed_headers),
        exposed_headers=list(bucket.cors_exposed_headers),
        max_age=bucket.cors_age_seconds_max,
    )
    return s3.CfnBucket.CorsConfigurationProperty(cors_rules=[rule])


def _lifecycle(bucket: Bucket) -> list[s3.CfnBucket.RuleProperty]:
    rule = s3.CfnBucket.RuleProperty
    unfinished = rule(
        id=bucket.multipart_rule_name,
        status=ENABLED,
        abort_incomplete_multipart_upload=s3.CfnBucket.AbortIncompleteMultipartUploadProperty(
            days_after_initiation=bucket.multipart_days_max
        ),
    )
    expiring = [
        rule(
            id=expiry.name,
            status=ENABLED,
            prefix=expiry.prefix,
            expiration_in_days=expiry.days,
            noncurrent_version_expiration=s3.CfnBucket.NoncurrentVersionExpirationProperty(
                noncurrent_days=expiry.noncurrent_days
            ),
        )
        for expiry in bucket.expiries
    ]
    cooling = [
        rule(
            id=cool.name,
            status=ENABLED,
            prefix=cool.prefix,
            object_size_greater_than=cool.bytes_min,
            transitions=[
                s3.CfnBucket.TransitionProperty(storage_class=cool.storage_class, transition_in_days=cool.days)
            ],
            noncurrent_version_transitions=[
                s3.CfnBucket.NoncurrentVersionTransitionProperty(
                    storage_class=cool.storage_class, transition_in_days=cool.days
                )
            ],
        )
        for cool in bucket.coolings
    ]
    return [unfinished, *expiring, *cooling]


def _notifications(definition: Definition) -> s3.CfnBucket.NotificationConfigurationProperty:
    configurations = [
        s3.CfnBucket.QueueConfigurationProperty(
            event=event,
            queue=definition.names.queue_arn(notification.queue),
            filter=s3.CfnBucket.NotificationFilterProperty(
                s3_key=s3.CfnBucket.S3KeyFilterProperty(
                    rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=notification.prefix)]
                )
            ),
        )
        for notification in definition.bucket.notifications
        for event in notification.events
    ]
    return s3.CfnBucket.NotificationConfigurationProperty(
        queue_configurations=configurations,
        # AWS Backup follows the bucket by it and would switch it on itself: the next update would switch it off.
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True),
    )
