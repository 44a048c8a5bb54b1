"""The one definition of Syncline's AWS resources, as plain values without I/O.

The embedded stack, compose and the infrastructure on AWS all create exactly what stands here, so a
queue, a lifetime or a permission is changed in one place. Who may do what is in `deploy.permissions`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from deploy import permissions
from deploy.names import Names
from deploy.permissions import Document
from syncline.ports.queues import RECEIVES_MAX, Queue as PortQueue, receives_max, visibility_s

SERVICES = ("gateway", "metadata", "syncer", "notifier")
# The identity of whoever runs `syncline-admin`.
OPERATOR = "admin"
# What each may sign and check: permits, tokens of sessions, links in mail.
SIGNING_KEYS = {
    "gateway": ("permit_keys", "token_keys", "link_keys"),
    "metadata": ("permit_keys",),
    "syncer": ("token_keys",),
    "notifier": ("link_keys",),
    OPERATOR: ("permit_keys",),
}

TABLES = ("journal", "views", "directory", "outcomes", "mail", "audit")
TABLES_THAT_EXPIRE = ("directory", "outcomes", "mail")
TTL_ATTRIBUTE = "expires_at"
# All keys are strings.
KEYS = {"pk": "HASH", "sk": "RANGE"}

# What SES tells of. A bounce that may pass is no reason to stop, but is told too.
MAIL_EVENTS = ("bounce", "complaint")

MULTIPART_DAYS_MAX = 7
# S3's least; what is overwritten or expired is gone a day later.
NONCURRENT_DAYS = 1
# A referred-to command body outlives the queue message that refers to it.
COMMANDS_DAYS_MAX = 30
# Intelligent-Tiering asks $0.0025 a month for watching 1,000 objects and saves at most $0.0105 per GB: it pays
# above 240 KB. The transition ($0.01 per 1,000) is earned back within two months by objects of 1 MiB.
COOL_DAYS = 30
COOL_BYTES_MIN = 2**20
RETENTION_SECONDS = 14 * 24 * 3600
# High throughput: the order and the duplicates that matter are those of one library.
FIFO = {
    "ContentBasedDeduplication": False,
    "DeduplicationScope": "messageGroup",
    "FifoThroughputLimit": "perMessageGroupId",
}
# A batch is committed by its client before its own events arrive (design §5).
UPLOADS_DELAY_SECONDS = 120

CORS_METHODS = ("GET", "PUT", "POST", "HEAD")
CORS_ALLOWED_HEADERS = ("*",)
CORS_EXPOSED_HEADERS = ("ETag", "x-amz-version-id", "x-amz-checksum-sha256")
CORS_AGE_SECONDS_MAX = 3600


@dataclass(frozen=True, slots=True)
class Notification:
    """S3 events of the objects under `prefix` go to the queue `queue` (its short name)."""

    prefix: str
    queue: str
    events: tuple[str, ...] = ("s3:ObjectCreated:*",)


@dataclass(frozen=True, slots=True)
class Expiry:
    """Objects under `prefix` are removed after `days`, and their versions `noncurrent_days` after that."""

    prefix: str
    days: int
    noncurrent_days: int = NONCURRENT_DAYS

    @property
    def name(self) -> str:
        return f"expire-{self.prefix.strip('/')}"


@dataclass(frozen=True, slots=True)
class Cooling:
    """Objects under `prefix` of more than `bytes_min` go to S3 Intelligent-Tiering after `days`, versions too.

    That class answers as quickly as any and asks nothing for reading; where nobody reads, it costs less.
    """

    prefix: str
    days: int = COOL_DAYS
    bytes_min: int = COOL_BYTES_MIN
    storage_class: str = "INTELLIGENT_TIERING"

    @property
    def name(self) -> str:
        return f"cool-{self.prefix.strip('/')}"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A versioned bucket without public access. `policy_aws` stands on AWS instead of `policy` (TLS only)."""

    name: str
    notifications: tuple[Notification, ...]
    expiries: tuple[Expiry, ...]
    coolings: tuple[Cooling, ...]
    policy: Document
    policy_aws: Document
    cors_origins: tuple[str, ...]
    cors_methods: tuple[str, ...] = CORS_METHODS
    cors_allowed_headers: tuple[str, ...] = CORS_ALLOWED_HEADERS
    cors_exposed_headers: tuple[str, ...] = CORS_EXPOSED_HEADERS
    cors_age_seconds_max: int = CORS_AGE_SECONDS_MAX
    multipart_days_max: int = MULTIPART_DAYS_MAX
    multipart_rule_name: str = "unfinished-uploads"


@dataclass(frozen=True, slots=True)
class Table:
    """A table on demand, keyed by `KEYS`."""

    name: str
    ttl_attribute: str | None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue with its dead-letter queue; `policy` lets the bucket or the topic send to it.

    `policy_aws` and `dead_policy_aws` stand on AWS instead: they refuse besides what does not come by TLS.
    """

    short_name: str
    name: str = ""
    dead_name: str = ""
    fifo: bool = False
    delay_seconds: int = 0
    visibility_seconds: int = 0
    retention_seconds: int = RETENTION_SECONDS
    receive_count_max: int = RECEIVES_MAX
    policy: Document | None = None
    policy_aws: Document | None = None
    dead_policy_aws: Document | None = None

    def redrive(self, names: Names) -> Document:
        """What SQS calls the redrive policy: where what was received too often goes."""
        return {
            "deadLetterTargetArn": names.dead_queue_arn(self.short_name),
            "maxReceiveCount": self.receive_count_max,
        }

    def redrive_allow(self, names: Names) -> Document:
        """The dead-letter queue takes letters of this queue and no other."""
        return {"redrivePermission": "byQueue", "sourceQueueArns": [names.queue_arn(self.short_name)]}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the queues (short names) that get its messages: raw, or in SNS's signed envelope.

    `policy` lets another service of AWS publish; `policy_aws` stands on AWS instead (TLS only).
    """

    name: str
    subscribers: tuple[str, ...]
    raw: bool = True
    policy: Document | None = None
    policy_aws: Document | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What one service, or the operator, runs as: its IAM name and its only policy."""

    service: str
    name: str
    policy: Document


@dataclass(frozen=True, slots=True)
class ClientRole:
    """The role behind every credential a client gets; session policies narrow it per grant."""

    name: str
    policy: Document
    trusted_service: str = "gateway"
    session_seconds_max: int = 3600


@dataclass(frozen=True, slots=True)
class Definition:
    """Everything a stack consists of."""

    names: Names
    bucket: Bucket
    tables: tuple[Table, ...]
    queues: tuple[Queue, ...]
    topic: Topic
    mail_topic: Topic
    identities: tuple[Identity, ...]
    client_role: ClientRole
    mail_from: str


def define(
    names: Names,
    *,
    mail_from: str,
    uploads_delay_seconds: int = UPLOADS_DELAY_SECONDS,
    cors_origins: tuple[str, ...] = ("*",),
    mail_events_raw: bool = False,
) -> Definition:
    """The resources of the stack that `names` names.

    `uploads_delay_seconds` is 0–900 (SQS's bounds); `mail_from` is the address mail is sent from;
    `mail_events_raw` leaves out the signed envelope around SES's events, where SNS's signatures cannot be checked.
    """
    return Definition(
        names=names,
        bucket=_bucket(names, cors_origins),
        tables=tuple(
            Table(names.table(table), TTL_ATTRIBUTE if table in TABLES_THAT_EXPIRE else None) for table in TABLES
        ),
        queues=_queues(names, uploads_delay_seconds),
        topic=_topic(Topic(names.topic, ("sync", "notify")), names.topic_arn),
        mail_topic=_topic(
            Topic(names.mail_topic, ("bounces",), raw=mail_events_raw, policy=permissions.ses_may_publish(names)),
            names.mail_topic_arn,
        ),
        identities=tuple(
            Identity(service, names.identity(service), permissions.of_service(service, names, mail_from))
            for service in (*SERVICES, OPERATOR)
        ),
        client_role=ClientRole(names.client_role, permissions.of_client_role(names)),
        mail_from=mail_from,
    )


def _bucket(names: Names, cors_origins: tuple[str, ...]) -> Bucket:
    return Bucket(
        name=names.bucket,
        notifications=(Notification("objects/", "uploads"), Notification("direct/", "direct")),
        expiries=(Expiry("commands/", COMMANDS_DAYS_MAX),),
        coolings=(Cooling("objects/"), Cooling("direct/")),
        cors_origins=cors_origins,
        policy=permissions.never_overwrite(names),
        policy_aws=permissions.of_bucket(names),
    )


def _topic(topic: Topic, arn: str) -> Topic:
    # SNS takes no `sns:*` in a topic's policy: publishing is what others could do.
    return replace(topic, policy_aws=permissions.over_tls_only(topic.policy, "sns:Publish", [arn]))


def _queues(names: Names, uploads_delay_seconds: int) -> tuple[Queue, ...]:
    from_bucket = partial(permissions.bucket_may_send, names)
    from_topic = partial(permissions.topic_may_send, names)
    plain = (
        Queue("uploads", delay_seconds=uploads_delay_seconds, policy=from_bucket("uploads")),
        Queue("direct", policy=from_bucket("direct")),
        Queue("commits", fifo=True),
        Queue("sync", policy=from_topic("sync")),
        Queue("notify", policy=from_topic("notify")),
        Queue("letters"),
        Queue("bounces", policy=permissions.mail_topic_may_send(names, "bounces")),
    )
    return tuple(
        replace(
            queue,
            name=names.queue(queue.short_name),
            dead_name=names.dead_queue(queue.short_name),
            visibility_seconds=visibility_s(PortQueue(queue.short_name)),
            receive_count_max=receives_max(PortQueue(queue.short_name)),
            policy_aws=permissions.over_tls_only(queue.policy, "sqs:*", [names.queue_arn(queue.short_name)]),
            dead_policy_aws=permissions.over_tls_only(None, "sqs:*", [names.dead_queue_arn(queue.short_name)]),
        )
        for queue in plain
    )
