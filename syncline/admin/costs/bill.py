"""The monthly bill: what is used, made of the counted work, times list prices. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncline.admin.costs.calls import REST_S, Work
from syncline.admin.costs.load import (
    ALARM_METRICS,
    DASHBOARDS,
    DAYS,
    DISK_GB,
    HOURS,
    METRICS,
    SECRETS,
    SHAPES,
    Load,
    Shape,
    Variant,
    instances,
)
from syncline.admin.costs.prices import Price
from syncline.client.transfer import STRIPED_FROM_BYTES, STRIPES
from syncline.domain.checksums import is_multipart, part_ranges

GIB = 2**30
MILLION = 1_000_000
HELD_S = 50
"""How long one request for heads is held."""
TOKEN_S = 900
"""How long an access token lasts."""
EVENTS_AT_ONCE = 10
FILES_AT_ONCE = 100

# -- assumed: not counted anywhere
LOG_BYTES_PER_REQUEST = 500
API_BYTES_PER_REQUEST = 3_000
QUEUE_BYTES_PER_REQUEST = 4_000
MAIL_BYTES = 40_000
CONNECTIONS_S = 900
"""A device keeps its connection so long."""
LCU_CONNECTIONS_PER_S, LCU_ACTIVE, LCU_BYTES_PER_HOUR = 25, 3_000, GIB

Usage = Mapping[str, float]
"""Amounts a month by the names of prices."""

S3_WRITES = ("PutObject", "ListObjectsV2", "ListObjectVersions")
S3_READS = ("HeadObject", "GetObject")
SQS = ("SendMessage", "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "GetQueueAttributes")
FREE = ("AssumeRole", "DeleteObject")
DYNAMODB = (
    "GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"
)  # fmt: skip
ON_FIFO = frozenset({"commit accepted", "new version committed", "100 new files committed"})
"""Work whose messages lie on ``commits``, the FIFO queue."""


class Line(msgspec.Struct, frozen=True):
    service: str
    what: str
    amount: float
    dollars: float
    source: str


class Bill(msgspec.Struct, frozen=True):
    """All in dollars a month, but ``per_million_uploads``: dollars for a million files put and committed, whenever.

    ``fixed`` is what the stack costs when nobody uses it; ``per_user`` a user's share of the rest; ``per_idle_client``
    a device that is connected all month and to which nothing happens.
    """

    total: float
    fixed: float
    per_user: float
    per_million_uploads: float
    per_idle_client: float
    services: dict[str, float]
    instances: dict[str, int]
    lines: list[Line]


def bill(load: Load, variant: Variant, prices: Mapping[str, Price], counted: Mapping[str, Work]) -> Bill:
    """The bill of a month in which ``load`` is asked of a stack of ``variant``."""
    shape = SHAPES[variant]
    lines = _lines(_all(load, shape, counted), prices)
    total = sum(line.dollars for line in lines)
    nobody = Load(users=0, files=0, changes_per_day=0)
    million = msgspec.structs.replace(load, users=MILLION / DAYS, changes_per_day=1.0)
    fixed = cost(_all(nobody, shape, counted), prices)
    return Bill(
        total=total,
        fixed=fixed,
        per_user=(total - fixed) / load.users if load.users else 0.0,
        per_million_uploads=cost(uploads(million, counted), prices),
        per_idle_client=cost(connected(DAYS * 86_400, counted), prices),
        services=dict(_sum(*({line.service: line.dollars} for line in lines))),
        instances=instances(load, shape),
        lines=lines,
    )


def cost(usage: Usage, prices: Mapping[str, Price]) -> float:
    """Raises ``KeyError`` for an amount that has no price."""
    return sum(prices[name].of(amount) for name, amount in usage.items())


def _lines(usage: Usage, prices: Mapping[str, Price]) -> list[Line]:
    lines = [
        Line(prices[name].service, prices[name].unit, amount, prices[name].of(amount), prices[name].source)
        for name, amount in usage.items()
    ]
    return sorted(lines, key=lambda line: (line.service, line.what))


def _all(load: Load, shape: Shape, counted: Mapping[str, Work]) -> Usage:
    parts = (
        uploads(load, counted),
        downloads(load, counted),
        connected(load.online_s, counted),
        mails(load, counted),
        kept(load, shape, counted),
        standing(load, shape, counted),
        _balanced(load),
    )
    return _sum(*parts)


# -- what is used, part by part


def uploads(load: Load, counted: Mapping[str, Work]) -> Usage:
    """Files put to S3, committed, announced, archived and told."""
    extra = (load.changes_per_commit - 1) / (FILES_AT_ONCE - 1)
    one, many = "new version committed", "100 new files committed"
    each_commit = [
        _used("permit for a file", counted),
        _used("commit accepted", counted),
        _times(_used(one, counted), 1 - extra) if extra < 1 else {},
        _times(_used(many, counted), extra if extra < 1 else load.changes_per_commit / FILES_AT_ONCE),
        _used("move heard of by the syncer", counted),
        _used("commit archived by itself", counted),
        _used("move told to a follower", counted),
        {"logs": LOG_BYTES_PER_REQUEST * 4 / GIB},
    ]
    each_file: list[Usage] = [
        {"object writes": _puts(load.file_bytes), "queue requests": 1.0},  # S3 sends each event by itself
        _times(_used("10 events of committed files", counted), 1 / EVENTS_AT_ONCE),
    ]
    return _sum(_times(_sum(*each_commit), load.commits), _times(_sum(*each_file), load.changes))


def downloads(load: Load, counted: Mapping[str, Work]) -> Usage:
    """Devices that hear of changes read them, get a credential and fetch the bytes."""
    reads = load.commits * load.downloads_per_change
    files = load.changes * load.downloads_per_change
    bytes_out = files * load.file_bytes + reads * 2 * API_BYTES_PER_REQUEST
    return _sum(
        _times(_sum(_used("changes read", counted), _used("read credential", counted)), reads),
        {"object reads": files * _gets(load.file_bytes), "data out": bytes_out / GIB},
        {"logs": reads * 2 * LOG_BYTES_PER_REQUEST / GIB},
    )


def connected(seconds: float, counted: Mapping[str, Work]) -> Usage:
    """Devices that hold a request for heads for so many seconds together, their tokens renewed meanwhile."""
    return _sum(
        _times(_used("heads held for 50 s", counted), seconds / HELD_S),
        _times(_used("session refreshed", counted), seconds / TOKEN_S),
        {"logs": (seconds / HELD_S + seconds / TOKEN_S) * LOG_BYTES_PER_REQUEST / GIB},
        {"data out": (seconds / HELD_S + seconds / TOKEN_S) * API_BYTES_PER_REQUEST / GIB},
    )


def mails(load: Load, counted: Mapping[str, Work]) -> Usage:
    return _sum(
        _times(_used("mail of a window", counted), load.mails),
        {"mails": load.mails, "nat data": load.mails * MAIL_BYTES / GIB},
    )


def kept(load: Load, shape: Shape, counted: Mapping[str, Work]) -> Usage:
    """Bytes in the bucket and the tables, and their backups."""
    each = counted["new version committed"].stored_bytes
    rows_gb = (load.files + load.changes * load.age_months) * each / GIB
    return {
        "object storage": load.stored_gb,
        "object backups": load.stored_gb,
        "row storage": rows_gb,
        "row recovery": rows_gb,
        "row backups": rows_gb * shape.backups,
    }


def standing(load: Load, shape: Shape, counted: Mapping[str, Work]) -> Usage:
    """Machines, addresses and what the services ask for without being asked."""
    running = instances(load, shape)
    machines = [{shape.sizes[service].instance_type: count * HOURS} for service, count in running.items()]
    extra = sum(running.values()) - sum(size.least for size in shape.sizes.values())
    at_rest = [
        _times(_used(f"{service} at rest", counted), count * HOURS * 3_600 / REST_S)
        for service, count in running.items()
        if f"{service} at rest" in counted
    ]
    addresses = shape.addresses + (0 if shape.gateways_of_nat else extra)
    fixed = {
        "disk": sum(running.values()) * DISK_GB,
        "address": addresses * HOURS,
        "nat": shape.gateways_of_nat * HOURS,
        "endpoint": shape.endpoints * HOURS,
        "balancer": HOURS,
        shape.cache_type: shape.caches * HOURS,
        "alarms": ALARM_METRICS,
        "metrics": METRICS,
        "dashboards": DASHBOARDS,
        "secrets": SECRETS,
    }
    return _sum(fixed, *machines, *at_rest)


def _balanced(load: Load) -> Usage:
    """Capacity units of the load balancer: the largest of its measures counts."""
    requests = load.commits * (2 + 2 * load.downloads_per_change) + load.online_s * (1 / HELD_S + 1 / TOKEN_S)
    seconds = DAYS * 86_400
    measures = (
        load.online_s / CONNECTIONS_S / seconds / LCU_CONNECTIONS_PER_S,
        load.online_s / seconds / LCU_ACTIVE,
        requests * 2 * API_BYTES_PER_REQUEST / HOURS / LCU_BYTES_PER_HOUR,
    )
    return {"balancer capacity": max(measures) * HOURS}


# -- sums


def _used(name: str, counted: Mapping[str, Work]) -> Usage:
    """A piece of work in the names of prices. Raises ``ValueError`` for a call that nobody has thought of."""
    work = counted[name]
    unknown = set(work.calls) - {*S3_WRITES, *S3_READS, *SQS, *FREE, *DYNAMODB, "Publish"}
    if unknown:
        raise ValueError(f"{name}: what do {sorted(unknown)} cost?")
    messages = sum(work.calls.get(call, 0) for call in SQS)
    usage = {
        "object writes": sum(work.calls.get(call, 0) for call in S3_WRITES),
        "object reads": sum(work.calls.get(call, 0) for call in S3_READS),
        "fifo requests" if name in ON_FIFO else "queue requests": messages,
        "endpoint data": messages * QUEUE_BYTES_PER_REQUEST / GIB,
        "publications": work.calls.get("Publish", 0),
        "row reads": work.read_units,
        "row writes": work.write_units,
    }
    return {name: amount for name, amount in usage.items() if amount}


def _puts(file_bytes: float) -> float:
    """Requests that bring a file up: one, or its parts with what begins and ends them."""
    size = round(file_bytes)
    return len(part_ranges(size)) + 2 if is_multipart(size) else 1


def _gets(file_bytes: float) -> float:
    return STRIPES if file_bytes >= STRIPED_FROM_BYTES else 1


def _times(usage: Usage, factor: float) -> Usage:
    return {name: amount * factor for name, amount in usage.items()}


def _sum(*usages: Usage) -> Usage:
    total: dict[str, float] = {}
    for usage in usages:
        for name, amount in usage.items():
            total[name] = total.get(name, 0.0) + amount
    return total
