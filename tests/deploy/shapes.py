"""One plain value for what Syncline's resources are, wherever they are said or found, so that these can be compared.

A shape has an entry for each resource (`queue syncline-uploads`), each with what matters of it. It is made of the
definition itself, of templates, and of what a local AWS has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from deploy.definition import FIFO, KEYS, Bucket, Definition, Queue, Topic
from deploy.names import Names
from tests.deploy.reading import Properties, Reader
from tests.deploy.resolving import plain, resolved

Shape = dict[str, dict[str, Any]]
Resource = tuple[str, Properties]
# The policies that say what an identity does, by any of their names; on AWS it has another for what is there alone.
POLICIES = ("service", "client", "syncline")
# What SNS gives a topic that none is asked for.
NO_POLICY = "__default_policy_ID"
_CALLED = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
}


# -- of the definition


def of_definition(definition: Definition, *, on_aws: bool) -> Shape:
    """What there should be; on AWS policies refuse besides what does not come by TLS."""
    names = definition.names
    shape: Shape = {f"bucket {definition.bucket.name}": _bucket(definition.bucket, names, on_aws)}
    for table in definition.tables:
        shape[f"table {table.name}"] = {"keys": KEYS, "billing": "PAY_PER_REQUEST", "expires_by": table.ttl_attribute}
    for queue in definition.queues:
        shape |= _queue(queue, names, on_aws)
    for topic in (definition.topic, definition.mail_topic):
        shape[f"topic {topic.name}"] = _topic(topic, names, on_aws)
    for identity in definition.identities:
        shape[f"identity {identity.name}"] = {"policy": identity.policy}
    role = definition.client_role
    shape[f"identity {role.name}"] = {
        "policy": role.policy,
        "trusts": names.identity(role.trusted_service),
        "session_seconds": role.session_seconds_max,
    }
    return _plain(shape)


def _bucket(bucket: Bucket, names: Names, on_aws: bool) -> dict[str, Any]:
    lifecycle: dict[str, Any] = {bucket.multipart_rule_name: {"give up uploads": bucket.multipart_days_max}}
    for expiry in bucket.expiries:
        lifecycle[expiry.name] = {
            "of": expiry.prefix,
            "remove": expiry.days,
            "remove versions": expiry.noncurrent_days,
        }
    for cool in bucket.coolings:
        move = [(cool.storage_class, cool.days)]
        lifecycle[cool.name] = {"of": cool.prefix, "above": cool.bytes_min, "move": move, "move versions": move}
    return {
        "versions": "Enabled",
        "lifecycle": lifecycle,
        "events": [
            (event, notification.prefix, names.queue(notification.queue))
            for notification in bucket.notifications
            for event in notification.events
        ],
        "cors": {
            "methods": bucket.cors_methods,
            "origins": bucket.cors_origins,
            "headers": bucket.cors_allowed_headers,
            "exposed": bucket.cors_exposed_headers,
            "seconds": bucket.cors_age_seconds_max,
        },
        "policy": bucket.policy_aws if on_aws else bucket.policy,
    }


def _queue(queue: Queue, names: Names, on_aws: bool) -> Shape:
    fifo = {"fifo": queue.fifo}
    return {
        f"queue {queue.name}": fifo
        | {
            "retention": queue.retention_seconds,
            "delay": queue.delay_seconds,
            "visibility": queue.visibility_seconds,
            "throughput": list(FIFO.values()) if queue.fifo else None,
            "dead": (queue.dead_name, queue.receive_count_max),
            "policy": queue.policy_aws if on_aws else queue.policy,
        },
        f"queue {queue.dead_name}": fifo
        | {
            "retention": queue.retention_seconds,
            "letters_of": [names.queue_arn(queue.short_name)],
            "policy": queue.dead_policy_aws if on_aws else None,
        },
    }


def _topic(topic: Topic, names: Names, on_aws: bool) -> dict[str, Any]:
    return {
        "subscribers": {names.queue(queue): topic.raw for queue in topic.subscribers},
        "policy": topic.policy_aws if on_aws else topic.policy,
    }


# -- of templates and of a local AWS


def of_templates(templates: Iterable[dict[str, Any]]) -> Shape:
    """What the templates of a deployment ask for."""
    return of_resources(resource for template in templates for resource in _resources(template))


async def of_local(reader: Reader, names: Names) -> Shape:
    """All that there is of a stack in a local AWS, however it came there."""
    return of_resources([resource async for resource in reader.everything(names)])


def of_resources(resources: Iterable[Resource]) -> Shape:
    """What resources are, in the words of CloudFormation, as a shape."""
    found: Shape = {}
    policies: dict[str, Any] = {}
    subscribers: dict[str, dict[str, Any]] = {}
    for kind, it in resources:
        match kind:
            case "AWS::S3::Bucket":
                found[f"bucket {it['BucketName']}"] = _bucket_of(it)
            case "AWS::DynamoDB::Table":
                found[f"table {it['TableName']}"] = _table_of(it)
            case "AWS::SQS::Queue":
                found[f"queue {it['QueueName']}"] = _queue_of(it)
            case "AWS::SNS::Topic":
                found[f"topic {it['TopicName']}"] = {}
            case "AWS::SNS::Subscription":
                subscribers.setdefault(f"topic {_last(it['TopicArn'])}", {})[_last(it["Endpoint"])] = it[
                    "RawMessageDelivery"
                ]
            case "AWS::IAM::Role" | "AWS::IAM::User":
                found |= _identity_of(it)
            case "AWS::S3::BucketPolicy":
                policies[f"bucket {it['Bucket']}"] = it["PolicyDocument"]
            case "AWS::SQS::QueuePolicy":
                policies[f"queue {_last(it['Queues'][0])}"] = it["PolicyDocument"]
            case "AWS::SNS::TopicPolicy" if it["PolicyDocument"].get("Id") != NO_POLICY:
                policies[f"topic {_last(it['Topics'][0])}"] = it["PolicyDocument"]
    for name, entry in found.items():
        if name.startswith("topic"):
            entry["subscribers"] = subscribers.get(name, {})
        if not name.startswith("table"):
            entry.setdefault("policy", policies.get(name))
    return _plain(found)


def _bucket_of(it: Properties) -> dict[str, Any]:
    [cors] = it["CorsConfiguration"]["CorsRules"]
    return {
        "versions": it["VersioningConfiguration"]["Status"],
        "lifecycle": {rule["Id"]: _rule_of(rule) for rule in it.get("LifecycleConfiguration", {"Rules": []})["Rules"]},
        "events": [
            (one["Event"], one["Filter"]["S3Key"]["Rules"][0]["Value"], _last(one["Queue"]))
            for one in it["NotificationConfiguration"]["QueueConfigurations"]
        ],
        "cors": {
            "methods": cors["AllowedMethods"],
            "origins": cors["AllowedOrigins"],
            "headers": cors["AllowedHeaders"],
            "exposed": cors["ExposedHeaders"],
            "seconds": cors["MaxAge"],
        },
    }


def _rule_of(rule: Properties) -> dict[str, Any]:
    def moves(kind: str) -> list[tuple[str, int]] | None:
        return [(one["StorageClass"], one["TransitionInDays"]) for one in rule.get(kind, [])] or None

    assert rule["Status"] == "Enabled"
    found = {
        "of": rule.get("Prefix"),
        "above": rule.get("ObjectSizeGreaterThan"),
        "remove": rule.get("ExpirationInDays"),
        "remove versions": rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        "give up uploads": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        "move": moves("Transitions"),
        "move versions": moves("NoncurrentVersionTransitions"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _table_of(it: Properties) -> dict[str, Any]:
    assert all(one["AttributeType"] == "S" for one in it["AttributeDefinitions"])
    assert len(it["AttributeDefinitions"]) == len(it["KeySchema"])
    return {
        "keys": {key["AttributeName"]: key["KeyType"] for key in it["KeySchema"]},
        "billing": it["BillingMode"],
        "expires_by": it.get("TimeToLiveSpecification", {}).get("AttributeName"),
    }


def _queue_of(it: Properties) -> dict[str, Any]:
    same = {"fifo": it.get("FifoQueue", False), "retention": it["MessageRetentionPeriod"]}
    if "RedriveAllowPolicy" in it:
        assert it["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
        return same | {"letters_of": it["RedriveAllowPolicy"]["sourceQueueArns"]}
    redrive = it["RedrivePolicy"]
    return same | {
        "delay": it["DelaySeconds"],
        "visibility": it["VisibilityTimeout"],
        "throughput": [it[name] for name in FIFO] if same["fifo"] else None,
        "dead": (_last(redrive["deadLetterTargetArn"]), redrive["maxReceiveCount"]),
    }


def _identity_of(it: Properties) -> Shape:
    documents = [one["PolicyDocument"] for one in it.get("Policies", []) if one["PolicyName"] in POLICIES]
    if not documents:
        return {}  # a machine's, of the infrastructure
    [policy] = documents
    name = it.get("RoleName") or it["UserName"]
    found: dict[str, Any] = {"policy": policy}
    [trust] = it.get("AssumeRolePolicyDocument", {"Statement": [{}]})["Statement"]
    trusted = str(trust.get("Principal", {}).get("AWS", ""))
    if trusted and not trusted.endswith(":root"):
        found |= {"trusts": _last(trusted), "session_seconds": it["MaxSessionDuration"]}
    return {f"identity {name}": found}


def _resources(template: dict[str, Any]) -> Iterator[Resource]:
    resources = template["Resources"]
    kinds = {logical: resource["Type"] for logical, resource in resources.items()}
    called = {
        logical: resource.get("Properties", {}).get(_CALLED.get(resource["Type"], ""), logical)
        for logical, resource in resources.items()
    }
    for resource in resources.values():
        yield resource["Type"], resolved(resource.get("Properties", {}), called, kinds)


def _last(name: str) -> str:
    """The name in an ARN or a URL."""
    return name.rpartition(":")[2].rpartition("/")[2]


def _plain(shape: Shape) -> Shape:
    return {name: plain(entry) for name, entry in shape.items()}
