"""Who may do what: least-privilege policies of the services, the clients' role and the queues.

Policies are IAM policy documents as plain dictionaries. Actions are those AWS authorizes: a
`TransactWriteItems` needs the permission of each item's action, and `HeadObject` needs `s3:GetObject`.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parseaddr
from typing import Any

from deploy.names import Names

Document = dict[str, Any]
Statement = dict[str, Any]

_READ_ROWS = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
_CHANGE_ROWS = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
# In transactions, on the condition of a row that is left as it is.
_CHECK_ROWS = ("dynamodb:ConditionCheckItem",)
# Rows are added and read; nobody may change or remove them (a batch may hold removals, so none of those either).
_APPEND_ROWS = ("dynamodb:Query", "dynamodb:PutItem")
_FIND_QUEUE = ("sqs:GetQueueUrl",)
_ASK_DEPTH = ("sqs:GetQueueAttributes",)
_SEND = ("sqs:SendMessage",)
_TAKE = ("sqs:ReceiveMessage", "sqs:DeleteMessage")
_READ_OBJECTS = ("s3:GetObject", "s3:GetObjectVersion")
_LIST_OBJECTS = ("s3:ListBucket", "s3:ListBucketVersions")
_UPLOAD = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_BYTES = ("objects/", "direct/")
_ARCHIVED = ("journal/", "snapshots/")
# Which signing keys a service verifies or signs with.
SIGNING_KEYS = {
    "gateway": ("permit_keys", "token_keys", "link_keys"),
    "metadata": ("permit_keys",),
    "syncer": ("token_keys",),
    "notifier": ("link_keys",),
}
_SWEPT_ROWS = ("freed#*", "grant#*", "grants#*", "retained#*", "sweep#*", "usage#*")
_SYNCERS_ROWS = ("checkpoint#*", "archive#*", "archived#*", "snapshot#*")


def of_service(service: str, names: Names, mail_from: str) -> Document:
    """The whole policy of one of the four services, or of the operator. Raises KeyError for another name."""
    statements: dict[str, Callable[[], list[Statement]]] = {
        "gateway": lambda: _gateway(names),
        "metadata": lambda: _metadata(names),
        "syncer": lambda: _syncer(names),
        "notifier": lambda: _notifier(names, mail_from),
        "admin": lambda: _operator(names),
    }
    return _document(*statements[service]())


def of_client_role(names: Names) -> Document:
    """The most any client's credential could do; each grant's session policy leaves a part of it."""
    objects = [names.objects_arn(prefix) for prefix in _BYTES]
    return _document(
        _allow("Upload", _UPLOAD, objects),
        _allow("Download", _READ_OBJECTS, objects),
    )


def of_instance(service: str, names: Names) -> Document:
    """What an instance on AWS may besides its service: fetch image and secrets, write logs, tell its group."""
    secrets = [names.secret_arn(names.secret(kind)) for kind in SIGNING_KEYS[service]]
    return _document(
        # The token is the account's; what it opens is said by the next statement.
        _allow("AskForToken", ("ecr:GetAuthorizationToken",), ["*"]),
        _allow("PullImage", ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), [names.repository_arn(service)]),
        _allow("ReadSecrets", ("secretsmanager:GetSecretValue",), [*secrets, names.secret_arn(names.redis_secret)]),
        _allow("WriteLogs", ("logs:CreateLogStream", "logs:PutLogEvents"), [f"{names.log_group_arn(service)}:*"]),
        _allow(
            "TellGroup",
            ("autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"),
            [names.scaling_group_arn(service)],
        ),
    )


def of_operator_on_aws(names: Names) -> Document:
    """What the operator may on AWS besides: read the keys of permits, by which a rebuild judges what landed."""
    return _document(
        _allow("ReadPermitKeys", ("secretsmanager:GetSecretValue",), [names.secret_arn(names.secret("permit_keys"))])
    )


def trust_by_instances() -> Document:
    """The trust policy of a service's role: machines of EC2 assume it."""
    return _document(
        {
            "Sid": "InstancesOnly",
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def trust_by_account(names: Names) -> Document:
    """The trust policy of the operator's role: whom of the account policies of their own allow to assume it."""
    return _document(
        {
            "Sid": "AccountDecides",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{names.account}:root"},
            "Action": "sts:AssumeRole",
        }
    )


def trust_by(principal_arn: str) -> Document:
    """The client role's trust policy: only the gateway's identity, a role or a user, assumes it."""
    return _document(
        {
            "Sid": "GatewayOnly",
            "Effect": "Allow",
            "Principal": {"AWS": principal_arn},
            "Action": "sts:AssumeRole",
        }
    )


def bucket_may_send(names: Names, queue: str) -> Document:
    """Queue policy for a queue that gets the bucket's events."""
    return _may_send(names, queue, "s3.amazonaws.com", names.bucket_arn)


def topic_may_send(names: Names, queue: str) -> Document:
    """Queue policy for a queue that is subscribed to the topic."""
    return _may_send(names, queue, "sns.amazonaws.com", names.topic_arn)


def mail_topic_may_send(names: Names, queue: str) -> Document:
    """Queue policy for a queue that is subscribed to the topic of SES's events."""
    return _may_send(names, queue, "sns.amazonaws.com", names.mail_topic_arn)


def ses_may_publish(names: Names) -> Document:
    """Topic policy: SES publishes what became of this account's mail, and nobody else."""
    return _document(
        {
            "Sid": "SesMayPublish",
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": names.mail_topic_arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": names.account}},
        }
    )


def alarms_may_publish(names: Names, severity: str) -> Document:
    """Policy of a topic of alarms: CloudWatch's alarms of this account publish. For AWS only."""
    arn = names.alarm_topic_arn(severity)
    cloudwatch = {
        "Sid": "AlarmsMayPublish",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": names.account}},
    }
    return over_tls_only(_document(cloudwatch), "sns:Publish", [arn])


def never_overwrite(names: Names) -> Document:
    """Bucket policy: whoever writes under `objects/` says `If-None-Match`.

    The parts of a multipart upload carry no such header; its completion does, which is what
    `s3:ObjectCreationOperation` tells apart. Source: "Enforce conditional writes on Amazon S3 buckets".
    """
    return _document(
        {
            "Sid": "NeverOverwrite",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": names.objects_arn("objects/"),
            "Condition": {
                "Null": {"s3:if-none-match": "true"},
                "Bool": {"s3:ObjectCreationOperation": "true"},
            },
        }
    )


def over_tls_only(document: Document | None, action: str, resources: list[str]) -> Document:
    """`document`, if any, and the refusal of every `action` that does not come by TLS. For AWS only.

    The local AWS speaks HTTP: it would refuse everything.
    """
    return _document(
        *(document["Statement"] if document is not None else ()),
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": resources,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


def of_bucket(names: Names) -> Document:
    """The bucket's policy on AWS: nothing is overwritten, and nothing comes without TLS."""
    return over_tls_only(never_overwrite(names), "s3:*", [names.bucket_arn, names.objects_arn("")])


def _gateway(names: Names) -> list[Statement]:
    return [
        _rows("WriteDirectory", names, ("directory",), (*_READ_ROWS, *_CHANGE_ROWS, *_CHECK_ROWS)),
        # It waits for outcomes, and remembers Idempotency-Keys beside them.
        _rows("ReadOutcomes", names, ("outcomes",), ("dynamodb:GetItem", "dynamodb:PutItem")),
        _rows("ReadJournal", names, ("journal", "views"), _READ_ROWS),
        _rows("WriteAudit", names, ("audit",), _APPEND_ROWS),
        # It creates libraries (a head) and moves the members' epoch, in one transaction with the directory.
        _rows("WriteHeads", names, ("journal",), ("dynamodb:PutItem", "dynamodb:UpdateItem"), keys=("head#*",)),
        # People are told why they get no mail, and may try again.
        _rows(
            "LiftSuppressions",
            names,
            ("mail",),
            ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"),
            keys=("suppressed#*",),
        ),
        _rows(
            "WriteWebhooks",
            names,
            ("mail",),
            ("dynamodb:GetItem", "dynamodb:Query", *_CHANGE_ROWS),
            keys=("webhooks#*", "webhookdue#*"),
        ),
        _keep_large_commands(names),
        _allow("SignDownloads", ("s3:GetObjectVersion",), [names.objects_arn(prefix) for prefix in _BYTES]),
        _allow("Send", (*_SEND, *_FIND_QUEUE), [names.queue_arn(queue) for queue in ("commits", "letters")]),
        _see_that_sqs_answers(names),
        _allow("IssueCredentials", ("sts:AssumeRole",), [names.client_role_arn]),
    ]


def _metadata(names: Names) -> list[Statement]:
    return [
        _pulse(names, "metadata"),
        _rows("WriteJournal", names, ("journal",), (*_READ_ROWS, *_CHANGE_ROWS, *_CHECK_ROWS)),
        _rows("WriteViews", names, ("views",), (*_READ_ROWS, "dynamodb:BatchWriteItem", "dynamodb:UpdateItem")),
        _rows("WriteOutcomes", names, ("outcomes",), ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem")),
        _rows("ReadDirectory", names, ("directory",), _READ_ROWS),
        # The sweep moves grants through their index, counts what landed, and remembers how far it has come.
        _rows("WriteSweep", names, ("directory",), _CHANGE_ROWS, keys=_SWEPT_ROWS),
        _allow("CheckBytes", _READ_OBJECTS, [names.objects_arn(prefix) for prefix in _BYTES]),
        _allow("ReadLargeCommands", ("s3:GetObject",), [names.objects_arn("commands/")]),
        # What retention gives up at once may be too much for a queue message.
        _keep_large_commands(names),
        # What retention has given up and no version names any more. Nobody else removes what was uploaded.
        _allow("FreeBytes", ("s3:DeleteObjectVersion",), [names.objects_arn(prefix) for prefix in _BYTES]),
        # Without it a missing object answers 403 instead of 404; the sweep lists what landed, overwritten or not.
        _allow("ListObjects", _LIST_OBJECTS, [names.bucket_arn]),
        *_consume(names, "uploads", "direct", "commits"),
        _allow("SendCommits", _SEND, [names.queue_arn("commits")]),
        _see_that_sqs_answers(names),
        _allow("Publish", ("sns:Publish",), [names.topic_arn]),
    ]


def _syncer(names: Names) -> list[Statement]:
    return [
        _pulse(names, "syncer"),
        _rows("ReadJournal", names, ("journal", "directory"), _READ_ROWS),
        _rows("ReadViews", names, ("views",), ("dynamodb:GetItem", "dynamodb:Query")),
        _rows("KeepCursors", names, ("directory",), ("dynamodb:UpdateItem",), keys=_SYNCERS_ROWS),
        _rows("ForgetArchived", names, ("directory",), ("dynamodb:DeleteItem",), keys=("archive#*",)),
        # A put is looked at again for its checksum; snapshots are read to make the next one, and by clients.
        _allow(
            "Archive",
            ("s3:PutObject", "s3:GetObjectVersion"),
            [names.objects_arn(prefix) for prefix in _ARCHIVED],
        ),
        # Of a snapshot that somebody else has just made the version is not known.
        _allow("FindSnapshots", ("s3:GetObject",), [names.objects_arn("snapshots/")]),
        # What a full segment or a newer snapshot has replaced. What people uploaded is not within reach.
        _allow("Tidy", ("s3:DeleteObjectVersion",), [names.objects_arn(prefix) for prefix in _ARCHIVED]),
        # Without it a missing object answers 403 instead of 404.
        _allow("ListObjects", _LIST_OBJECTS, [names.bucket_arn]),
        *_consume(names, "sync"),
    ]


def _notifier(names: Names, mail_from: str) -> list[Statement]:
    return [
        _pulse(names, "notifier"),
        _rows("ReadJournal", names, ("journal", "directory"), _READ_ROWS),
        _rows("ReadViews", names, ("views",), ("dynamodb:GetItem", "dynamodb:Query")),
        _rows("WriteMail", names, ("mail",), ("dynamodb:GetItem", "dynamodb:Query", *_CHANGE_ROWS)),
        # How far it has come, which news of members it has told, and which it could not read.
        _rows(
            "KeepCheckpoints", names, ("directory",), ("dynamodb:UpdateItem",), keys=("checkpoint#*", "memberchanges#*")
        ),
        _rows("ForgetNews", names, ("directory",), ("dynamodb:DeleteItem",), keys=("memberdue#*", "memberchanges#*")),
        *_consume(names, "notify", "letters", "bounces"),
        # Owners are told of a webhook that was disabled.
        _allow("SendLetters", _SEND, [names.queue_arn("letters")]),
        # It names no resource; the region bounds it where that is known.
        _allow("AskForLimits", ("ses:GetAccount",), ["*"])
        | {"Condition": {"StringEqualsIfExists": {"aws:RequestedRegion": names.region}}},
        # All mail is MIME. The sender is the bound, not the resource: the local AWS names none for a mail.
        _allow("SendMail", ("ses:SendRawEmail",), ["*"])
        | {"Condition": {"StringEquals": {"ses:FromAddress": parseaddr(mail_from)[1]}}},
    ]


def _operator(names: Names) -> list[Statement]:
    """What syncline-admin does to the stack's tables, queues and bucket; no objects' bytes replaced or removed."""
    queues = ("uploads", "direct", "commits", "sync", "notify", "letters", "bounces")
    live, dead = [names.queue_arn(queue) for queue in queues], [names.dead_queue_arn(queue) for queue in queues]
    return [
        _rows("MendJournal", names, ("journal", "views"), (*_READ_ROWS, *_CHANGE_ROWS, "dynamodb:BatchWriteItem")),
        _rows("MendDirectory", names, ("directory",), (*_READ_ROWS, *_CHANGE_ROWS, *_CHECK_ROWS)),
        _rows("MendMail", names, ("mail",), ("dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem")),
        _rows("WriteAudit", names, ("audit",), _APPEND_ROWS),
        _allow("ReadObjects", _READ_OBJECTS, [names.objects_arn("")]),
        _allow("ListObjects", _LIST_OBJECTS, [names.bucket_arn]),
        _allow("LookAtQueues", (*_FIND_QUEUE, *_ASK_DEPTH), [*live, *dead]),
        _allow("SendAgain", _SEND, live),
        _allow("TakeDeadLetters", _TAKE, dead),
        _allow("Publish", ("sns:Publish",), [names.topic_arn]),
    ]


def _rows(
    sid: str, names: Names, tables: tuple[str, ...], actions: tuple[str, ...], keys: tuple[str, ...] = ()
) -> Statement:
    """Rows of `tables`; with `keys`, only those whose partition key is like one of them.

    The partition keys are those of syncline/store. A condition for all values of a key that a request does not have
    holds; only requests for whole tables, such as `Scan`, have none, and nobody may make these.
    """
    statement = _allow(sid, actions, [names.table_arn(table) for table in tables])
    if keys:
        statement["Condition"] = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}
    return statement


def _pulse(names: Names, service: str) -> Statement:
    """Each instance says how it is. The gateway may write all of the directory anyway."""
    return _rows("Pulse", names, ("directory",), ("dynamodb:PutItem",), keys=(f"pulse#{service}",))


def _keep_large_commands(names: Names) -> Statement:
    """The body of a command that is too large for a message; a put is looked at again for its checksum."""
    return _allow("KeepLargeCommands", ("s3:PutObject", "s3:GetObjectVersion"), [names.objects_arn("commands/")])


def _see_that_sqs_answers(names: Names) -> Statement:
    """For readiness."""
    return _allow("AskDepth", _ASK_DEPTH, [names.queue_arn("commits")])


def _consume(names: Names, *queues: str) -> list[Statement]:
    live, dead = [names.queue_arn(queue) for queue in queues], [names.dead_queue_arn(queue) for queue in queues]
    return [
        _allow("Consume", (*_TAKE, "sqs:ChangeMessageVisibility", *_FIND_QUEUE), live),
        # A message that can never succeed is set aside with its reason.
        _allow("SetAside", (*_SEND, *_FIND_QUEUE), dead),
    ]


def _may_send(names: Names, queue: str, service: str, source_arn: str) -> Document:
    return _document(
        {
            "Sid": "SourceMaySend",
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": names.queue_arn(queue),
            "Condition": {
                "ArnEquals": {"aws:SourceArn": source_arn},
                "StringEquals": {"aws:SourceAccount": names.account},
            },
        }
    )


def _allow(sid: str, actions: tuple[str, ...], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def _document(*statements: Statement) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}
