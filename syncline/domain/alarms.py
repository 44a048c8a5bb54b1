"""The alarms: what is watched, and when it is wrong. The one list of them.

``syncline-admin health`` judges a stack by it (``domain/health.py``), CloudWatch's alarms on AWS are made of it, and
each ``kind`` has its runbook, the heading of that name in docs/operations.md. An alarm goes off when its figure
(``domain/figures.py``) is above its threshold, or below it: health says so at once, CloudWatch once it has been so for
``for_s``. No figure, no alarm; but no pulse at all means that nobody lives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from syncline.domain.figures import (
    CONSUMED,
    SERVICES,
    AwsMetric,
    DeadLetters,
    Fold,
    Living,
    Lost,
    Measured,
    QueueAge,
    RowsAside,
    Share,
    Source,
    Spending,
    Statistic,
)


class Severity(StrEnum):
    PAGE = "page"  # people notice, or soon will: at any hour
    TICKET = "ticket"  # nothing is lost by looking in the morning


class Alarm(msgspec.Struct, frozen=True):
    """``name`` is unique; alarms of one ``kind`` share a runbook. ``says`` and ``why`` are for people."""

    kind: str
    name: str
    says: str
    why: str
    source: Source
    threshold: float
    unit: str
    below: bool
    for_s: int
    severity: Severity

    @property
    def runbook(self) -> str:
        """Where it is in the documentation."""
        return f"docs/operations.md#{self.kind}"

    @property
    def on_aws_only(self) -> bool:
        return isinstance(self.source, AwsMetric | Spending)

    def is_wrong(self, figure: float) -> bool:
        return figure < self.threshold if self.below else figure > self.threshold


QUEUE_AGE_S_MAX: Mapping[str, int] = {
    "commits": 60,  # clients wait for it, 25 s
    "direct": 300,
    "uploads": 600,  # delayed by 120 s, and for clients that died anyway
    "sync": 300,  # held requests look by themselves
    "notify": 600,
    "letters": 1_800,  # they wait for a mail service that is away
    "bounces": 3_600,
}
_OLD_MATTERS = {
    "commits": "changes are not taken: clients wait, and are told to ask again later",
    "direct": "files sent by scripts do not appear",
    "uploads": "files whose sender died before committing do not appear",
    "sync": "clients hear of changes late, and nothing is marked for archiving",
    "notify": "followers and webhooks are not told",
    "letters": "invitations and links to new passwords do not arrive",
    "bounces": "mail goes on to addresses that do not want it",
}
_PAGING_QUEUES = ("commits", "direct", "sync")
_LATENCY_S_MAX = {"gateway": 5.0, "syncer": 10.0}
REQUESTS_LEAST = 50
"""Of fewer requests in the window no share and no percentile says anything."""
MAILS_LEAST = 20


def _alarm(
    kind: str,
    says: str,
    why: str,
    source: Source,
    threshold: float,
    unit: str,
    *,
    of: str = "",
    below: bool = False,
    for_s: int = 0,
    page: bool = False,
) -> Alarm:
    """``of``: what this alarm of its kind is about."""
    name = f"{kind}-{of}" if of else kind
    severity = Severity.PAGE if page else Severity.TICKET
    return Alarm(kind, name, says, why, source, threshold, unit, below, for_s, severity)


def _instances() -> Iterator[Alarm]:
    for service in SERVICES:
        says = f"No instance of {service} is ready"
        why = "What it does is not done; what it would have done waits on queues and in tables, and is not lost."
        yield _alarm(
            "service-gone", says, why, Living(service), 1, "instances", of=service, below=True, for_s=180, page=True
        )
    for service in SERVICES:
        says = f"Instances of {service} died without being stopped"
        why = "One may be a machine's end; several are a crash that repeats."
        yield _alarm("instance-lost", says, why, Lost(service), 0, "instances", of=service)


def _queues() -> Iterator[Alarm]:
    consumers = [(queue, service) for service, queues in CONSUMED.items() for queue in queues]
    for queue, service in consumers:
        says, why = f"Messages wait too long on {queue}", f"While it lasts, {_OLD_MATTERS[queue]}."
        age, most, page = QueueAge(queue, service), QUEUE_AGE_S_MAX[queue], queue in _PAGING_QUEUES
        yield _alarm("queue-old", says, why, age, most, "s", of=queue, for_s=180, page=page)
    for queue, _ in consumers:
        says = f"There are dead letters of {queue}"
        why = "Nothing reads them by itself. What they ask for is not done until somebody sends them again."
        yield _alarm(
            "dead-letters", says, why, DeadLetters(queue), 0, "letters", of=queue, for_s=60, page=queue == "commits"
        )


def _requests() -> Iterator[Alarm]:
    for service in _LATENCY_S_MAX:
        says = f"{service} answers with errors (5xx)"
        why = "Clients try again by themselves, so people see slowness first."
        source = Share(service, "answers_5xx", "requests", REQUESTS_LEAST)
        yield _alarm("errors", says, why, source, 2, "%", of=service, page=True)
    for service, seconds in _LATENCY_S_MAX.items():
        says = f"One request in a hundred to {service} takes too long"
        why = "People wait. Requests that are held on purpose are not counted."
        yield _alarm("slow", says, why, Measured((service,), "request_p99_s"), seconds, "s", of=service, for_s=900)
    yield _alarm(
        "commits-slow",
        "Commits take too long once they are received",
        "Every change of every client goes this way; a library's commits go one after the other.",
        Measured(("metadata",), "commit_p99_s"),
        10,
        "s",
        for_s=900,
    )


def _behind() -> Iterator[Alarm]:
    yield _alarm(
        "views-behind",
        "Views of a library are behind its journal, and the sweep could not bring them up",
        "Folders show an old state. Nothing is lost: views are made of the journal.",
        Measured(("metadata",), "views_behind_s"),
        600,
        "s",
        page=True,
    )
    yield _alarm(
        "news-behind",
        "The archive or the followers of a library have not heard of its commits",
        "Mail is missing, or the bucket could not rebuild the newest state.",
        Measured(("metadata",), "news_behind_s"),
        3_600,
        "s",
    )
    yield _alarm(
        "sweep-failing",
        "The sweep does not get through",
        "What is lost on the way is not healed meanwhile: files whose event was lost do not appear.",
        Measured(("metadata",), "sweep_rounds_missed"),
        3,
        "rounds",
    )
    yield _alarm(
        "given-up",
        "The sweep has given something up",
        "A file that landed is no version, or followers were not told: only a person can look now.",
        Measured(("metadata",), "sweep_given_up", Fold.SUM),
        0,
        "things",
    )
    yield _alarm(
        "archive-behind",
        "A library cannot be archived",
        "Should the tables be lost, the bucket could not rebuild its newest state.",
        Measured(("syncer",), "archive_failed_in_a_row"),
        4,
        "times",
    )


def _mail() -> Iterator[Alarm]:
    yield _alarm(
        "mail-late",
        "Mail about changes goes out late",
        "Followers hear late; after three days a mail is given up.",
        Measured(("notifier",), "mail_late_s"),
        900,
        "s",
    )
    yield _alarm(
        "mail-given-up",
        "Mail was given up after three days",
        "Followers were not told, and will not be.",
        Measured(("notifier",), "mails_given_up", Fold.SUM),
        0,
        "mails",
    )
    yield _alarm(
        "bounces",
        "Too much mail comes back",
        "SES looks into an account at 5 % and stops its mail at 10 %.",
        Share("notifier", "mails_bounced", "mails_sent", MAILS_LEAST),
        5,
        "%",
    )
    yield _alarm(
        "complaints",
        "People call the mail spam",
        "SES looks into an account at 0.1 % and stops its mail at 0.5 %.",
        Share("notifier", "mails_complained", "mails_sent", MAILS_LEAST),
        0.1,
        "%",
    )
    yield _alarm(
        "mail-quota",
        "The mail that SES allows in 24 hours is nearly used up",
        "When it is, all mail waits, links to new passwords too.",
        Measured(("notifier",), "mail_quota_used_percent"),
        80,
        "%",
    )
    yield _alarm(
        "rows-aside",
        "The notifier has set rows aside that it cannot read",
        "What they would have told people is not told until they are mended and put back.",
        RowsAside(),
        0,
        "rows",
    )


def _surroundings() -> Iterator[Alarm]:
    yield _alarm(
        "cache-away",
        "Redis does not answer",
        "Everything is right, only slower: wake-ups come late, and each instance counts rate limits for itself.",
        Measured(SERVICES, "cache_away_s"),
        60,
        "s",
        for_s=120,
    )
    yield _alarm(
        "throttles",
        "AWS throttles the services",
        "Calls are repeated, so all is slower; with more of it requests fail.",
        Measured(SERVICES, "aws_throttles", Fold.SUM),
        100,
        "calls",
    )
    yield _alarm(
        "clock-off",
        "An instance's clock differs from AWS's",
        "Permits, links and credentials end too early or too late; from five minutes on AWS refuses every request.",
        Measured(SERVICES, "clock_off_s"),
        20,
        "s",
        for_s=300,
    )


def _on_aws() -> Iterator[Alarm]:
    yield _alarm(
        "no-healthy-host",
        "The load balancer has no healthy target",
        "Requests that need the service fail.",
        AwsMetric("AWS/ApplicationELB", "HealthyHostCount", Statistic.MINIMUM, "each target group"),
        1,
        "hosts",
        below=True,
        for_s=120,
        page=True,
    )
    yield _alarm(
        "balancer-errors",
        "The load balancer itself answers with errors",
        "Instances that are full, hang, or close connections: their own figures may look well.",
        AwsMetric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", Statistic.SUM, "the load balancer"),
        50,
        "answers in 5 minutes",
        for_s=300,
        page=True,
    )
    yield _alarm(
        "table-throttles",
        "DynamoDB throttles a table",
        "A partition gets more than 1,000 write or 3,000 read units a second, or the account's limit is reached.",
        AwsMetric("AWS/DynamoDB", "ThrottledRequests", Statistic.SUM, "each table"),
        100,
        "calls in 5 minutes",
        for_s=300,
    )
    yield _alarm(
        "table-errors",
        "DynamoDB fails by itself",
        "Calls are repeated; with more of it nothing works.",
        AwsMetric("AWS/DynamoDB", "SystemErrors", Statistic.SUM, "each table"),
        10,
        "calls in 5 minutes",
        for_s=300,
    )
    yield _alarm(
        "redis-full",
        "Redis is nearly full",
        "What is cached is thrown away early: slower, and still right.",
        AwsMetric("AWS/ElastiCache", "DatabaseMemoryUsagePercentage", Statistic.MAXIMUM, "each Redis node"),
        80,
        "%",
        for_s=900,
    )
    yield _alarm(
        "mail-reputation",
        "SES counts too many bounces",
        "SES looks into an account at 5 % and stops its mail at 10 %.",
        AwsMetric("AWS/SES", "Reputation.BounceRate", Statistic.MAXIMUM, "the account"),
        0.05,
        "of all mail",
        of="bounces",
    )
    yield _alarm(
        "mail-reputation",
        "SES counts too many complaints",
        "SES looks into an account at 0.1 % and stops its mail at 0.5 %.",
        AwsMetric("AWS/SES", "Reputation.ComplaintRate", Statistic.MAXIMUM, "the account"),
        0.001,
        "of all mail",
        of="complaints",
    )
    yield _alarm(
        "certificate-expiring",
        "The certificate of the load balancer ends soon",
        "After that no client connects. ACM renews it by itself 60 days before, unless its DNS record is gone.",
        AwsMetric("AWS/CertificateManager", "DaysToExpiry", Statistic.MINIMUM, "the certificate"),
        30,
        "days",
        below=True,
    )
    yield _alarm(
        "backup-failed",
        "A backup failed",
        "Point-in-time recovery goes back 35 days only; backups are for what is noticed later.",
        AwsMetric("AWS/Backup", "NumberOfBackupJobsFailed", Statistic.SUM, "the backup vault"),
        0,
        "jobs",
    )
    yield _alarm(
        "budget",
        "The month becomes dearer than planned",
        "Something is used more than expected, or runs in circles.",
        Spending(),
        100,
        "% of the budget",
    )


ALARMS: tuple[Alarm, ...] = (
    *_instances(),
    *_queues(),
    *_requests(),
    *_behind(),
    *_mail(),
    *_surroundings(),
    *_on_aws(),
)
