"""Creates what the definition says in the local AWS. Idempotent: run at every start of the stack."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from deploy import permissions
from deploy.definition import (
    FIFO,
    KEYS,
    SIGNING_KEYS,
    Bucket,
    ClientRole,
    Definition,
    Identity,
    Queue,
    Table,
    Topic,
    define,
)
from deploy.local import aws
from deploy.local.aws import AccessKey
from deploy.local.place import Place, read_private, write_private
from deploy.names import Names

MAIL_FROM = "syncline@syncline.example"
UPLOADS_DELAY_SECONDS = 4
SIGNING_KEY_BYTES = 32
POLICY_NAME = "syncline"

_CLIENTS = ("s3", "dynamodb", "sqs", "sns", "iam", "sesv2")
Client = Any


@dataclass(frozen=True, slots=True)
class Clients:
    """One client of the local AWS per API, all with the root key."""

    s3: Client
    dynamodb: Client
    sqs: Client
    sns: Client
    iam: Client
    sesv2: Client


def embedded_definition() -> Definition:
    """The definition of the embedded stack and of compose: fixed names and a short delay of uploads.

    The local SNS signs nothing: events about mail come raw.
    """
    names = Names(region=aws.REGION, account=aws.ACCOUNT, bucket="syncline-files")
    return define(names, mail_from=MAIL_FROM, uploads_delay_seconds=UPLOADS_DELAY_SECONDS, mail_events_raw=True)


async def provision(place: Place, definition: Definition) -> dict[str, AccessKey]:
    """Bring an embedded stack to `definition`, and make its services' signing keys; see `create`."""
    signing_keys(place.secrets / "services.json")
    kept = place.secrets / "aws-services.json"
    return await create(definition, endpoint=place.aws_url, root=aws.root_key(place), kept=kept)


async def create(definition: Definition, *, endpoint: str, root: AccessKey, kept: Path) -> dict[str, AccessKey]:
    """Bring the local AWS at `endpoint` to `definition`; the access key of each identity by its short name.

    These keys are kept in the file `kept`, and made again when either side has lost them. Raises botocore's
    errors: there is nothing the stack could do without its resources.
    """
    async with _clients(endpoint, root) as clients:
        for table in definition.tables:
            await _table(clients.dynamodb, table)
        for queue in definition.queues:
            await _queue(clients.sqs, definition.names, queue)
        for topic in (definition.topic, definition.mail_topic):
            await _topic(clients, definition.names, topic)
        await _bucket(clients.s3, definition.names, definition.bucket)
        await _sender(clients.sesv2, definition.mail_from)
        keys = await _identities(clients.iam, kept, definition.identities)
        await _client_role(clients.iam, definition.names, definition.client_role)
    return keys


def signing_keys(path: Path) -> dict[str, list[dict[str, str]]]:
    """The keys that sign permits, tokens and links, kept in the file `path`; made once, 32 random bytes each."""
    kept: dict[str, list[dict[str, str]]] | None = read_private(path)
    if kept is None:
        kept = {kind: [_signing_key()] for kind in SIGNING_KEYS["gateway"]}
        write_private(path, kept)
    return kept


def _signing_key() -> dict[str, str]:
    return {"id": "k1", "secret": base64.b64encode(secrets.token_bytes(SIGNING_KEY_BYTES)).decode()}


@asynccontextmanager
async def _clients(endpoint: str, key: AccessKey) -> AsyncIterator[Clients]:
    session = get_session()
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(
                session.create_client(
                    name,
                    region_name=aws.REGION,
                    endpoint_url=endpoint,
                    aws_access_key_id=key.id,
                    aws_secret_access_key=key.secret,
                )
            )
            for name in _CLIENTS
        }
        yield Clients(**opened)


async def _table(dynamodb: Client, table: Table) -> None:
    await _unless_exists(
        dynamodb.create_table(
            TableName=table.name,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEYS.items()],
            BillingMode="PAY_PER_REQUEST",
        ),
        "ResourceInUseException",
    )
    if table.ttl_attribute is None:
        return
    found = await dynamodb.describe_time_to_live(TableName=table.name)
    if found["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED":
        await dynamodb.update_time_to_live(
            TableName=table.name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
        )


async def _queue(sqs: Client, names: Names, queue: Queue) -> None:
    retention = {"MessageRetentionPeriod": str(queue.retention_seconds)}
    allowed = {"RedriveAllowPolicy": json.dumps(queue.redrive_allow(names))}
    await _queue_with(sqs, queue.dead_name, queue.fifo, retention | allowed)
    attributes = {
        **retention,
        "VisibilityTimeout": str(queue.visibility_seconds),
        "DelaySeconds": str(queue.delay_seconds),
        "RedrivePolicy": json.dumps(queue.redrive(names)),
    }
    if queue.policy is not None:
        attributes["Policy"] = json.dumps(queue.policy)
    if queue.fifo:
        attributes |= {name: str(value).lower() if value is False else str(value) for name, value in FIFO.items()}
    await _queue_with(sqs, queue.name, queue.fifo, attributes)


async def _queue_with(sqs: Client, name: str, fifo: bool, attributes: Mapping[str, str]) -> None:
    # Only what can never change goes into the creation, so that a changed definition is no conflict.
    created = await sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})
    await sqs.set_queue_attributes(QueueUrl=created["QueueUrl"], Attributes=dict(attributes))


async def _topic(clients: Clients, names: Names, topic: Topic) -> None:
    arn = (await clients.sns.create_topic(Name=topic.name))["TopicArn"]
    if topic.policy is not None:
        await clients.sns.set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(topic.policy)
        )
    raw = "true" if topic.raw else "false"
    for queue in topic.subscribers:
        subscription = await clients.sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=names.queue_arn(queue),
            Attributes={"RawMessageDelivery": raw},
            ReturnSubscriptionArn=True,
        )
        await clients.sns.set_subscription_attributes(
            SubscriptionArn=subscription["SubscriptionArn"],
            AttributeName="RawMessageDelivery",
            AttributeValue=raw,
        )


async def _bucket(s3: Client, names: Names, bucket: Bucket) -> None:
    await _unless_exists(s3.create_bucket(Bucket=bucket.name), "BucketAlreadyOwnedByYou")
    await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    await s3.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": [_cors_rule(bucket)]})
    await s3.put_bucket_lifecycle_configuration(
        Bucket=bucket.name, LifecycleConfiguration={"Rules": _lifecycle_rules(bucket)}
    )
    await s3.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(bucket.policy))
    configurations = [
        {
            "Id": notification.queue,
            "QueueArn": names.queue_arn(notification.queue),
            "Events": list(notification.events),
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": notification.prefix}]}},
        }
        for notification in bucket.notifications
    ]
    found = await s3.get_bucket_notification_configuration(Bucket=bucket.name)
    if found.get("QueueConfigurations") == configurations:
        return  # setting it anew would send another test event to each queue
    await s3.put_bucket_notification_configuration(
        Bucket=bucket.name, NotificationConfiguration={"QueueConfigurations": configurations}
    )


def _cors_rule(bucket: Bucket) -> dict[str, Any]:
    return {
        "AllowedMethods": list(bucket.cors_methods),
        "AllowedOrigins": list(bucket.cors_origins),
        "AllowedHeaders": list(bucket.cors_allowed_headers),
        "ExposeHeaders": list(bucket.cors_exposed_headers),
        "MaxAgeSeconds": bucket.cors_age_seconds_max,
    }


def _lifecycle_rules(bucket: Bucket) -> list[dict[str, Any]]:
    unfinished = {
        "ID": bucket.multipart_rule_name,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": bucket.multipart_days_max},
    }
    expiring = [
        {
            "ID": expiry.name,
            "Status": "Enabled",
            "Filter": {"Prefix": expiry.prefix},
            "Expiration": {"Days": expiry.days},
            "NoncurrentVersionExpiration": {"NoncurrentDays": expiry.noncurrent_days},
        }
        for expiry in bucket.expiries
    ]
    cooling = [
        {
            "ID": cool.name,
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": cool.prefix, "ObjectSizeGreaterThan": cool.bytes_min}},
            "Transitions": [{"Days": cool.days, "StorageClass": cool.storage_class}],
            "NoncurrentVersionTransitions": [{"NoncurrentDays": cool.days, "StorageClass": cool.storage_class}],
        }
        for cool in bucket.coolings
    ]
    return [unfinished, *expiring, *cooling]


async def _sender(sesv2: Client, address: str) -> None:
    await _unless_exists(sesv2.create_email_identity(EmailIdentity=address), "AlreadyExistsException")


async def _identities(iam: Client, path: Path, identities: tuple[Identity, ...]) -> dict[str, AccessKey]:
    kept: dict[str, dict[str, str]] = read_private(path) or {}
    for identity in identities:
        await _unless_exists(iam.create_user(UserName=identity.name), "EntityAlreadyExists")
        await iam.put_user_policy(
            UserName=identity.name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(identity.policy)
        )
        if not await _has_only_key(iam, identity.name, kept.get(identity.service, {}).get("id")):
            created = (await iam.create_access_key(UserName=identity.name))["AccessKey"]
            kept[identity.service] = {"id": created["AccessKeyId"], "secret": created["SecretAccessKey"]}
            write_private(path, kept)
    return {service: AccessKey(key["id"], key["secret"]) for service, key in kept.items()}


async def _has_only_key(iam: Client, user: str, key_id: str | None) -> bool:
    """Whether `key_id` is there; a key whose secret nobody has any more is deleted."""
    found = await iam.list_access_keys(UserName=user)
    ids = [key["AccessKeyId"] for key in found["AccessKeyMetadata"]]
    for stray in ids:
        if stray != key_id:
            await iam.delete_access_key(UserName=user, AccessKeyId=stray)
    return key_id in ids


async def _client_role(iam: Client, names: Names, role: ClientRole) -> None:
    trust = json.dumps(permissions.trust_by(names.user_arn(role.trusted_service)))
    await _unless_exists(
        iam.create_role(
            RoleName=role.name,
            AssumeRolePolicyDocument=trust,
            MaxSessionDuration=role.session_seconds_max,
        ),
        "EntityAlreadyExists",
    )
    await iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=trust)
    await iam.put_role_policy(RoleName=role.name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(role.policy))


async def _unless_exists(creation: Any, code: str) -> None:
    try:
        await creation
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
