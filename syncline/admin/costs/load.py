"""What people ask of a stack, and what a stack consists of. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

import msgspec

DAYS = 365 / 12
HOURS = 24 * DAYS
PEAK = 3
"""Times the mean of the day."""

# -- assumed: nobody has measured these on AWS
GATEWAY_REQUESTS_PER_S = 100
METADATA_COMMITS_PER_S = 30
BUSY_SHARE = 0.6
"""How much of what an instance can do it is given to do."""
HELD_PER_SYNCER = 2_000
"""``HELD_MAX`` of services/syncer/hub.py."""


class Variant(StrEnum):
    """Those of deploy/aws."""

    TRIAL = "trial"
    PRODUCTION = "production"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A month. ``changes_per_day`` are files that one user changes; ``downloads_per_change`` devices that fetch each;
    ``online_hours`` how long a device is connected each day. Rows stay for good, so ``age_months`` counts."""

    users: float
    files: float
    changes_per_day: float
    file_bytes: float = 1_048_576
    changes_per_commit: float = 1
    downloads_per_change: float = 3
    devices: float = 2
    online_hours: float = 8
    kept_days: float = 30
    mails_per_day: float = 1
    age_months: float = 12

    @property
    def changes(self) -> float:
        return self.users * self.changes_per_day * DAYS

    @property
    def commits(self) -> float:
        return self.changes / self.changes_per_commit

    @property
    def online_s(self) -> float:
        """Seconds that all devices together are connected."""
        return self.users * self.devices * self.online_hours * DAYS * 3_600

    @property
    def mails(self) -> float:
        return self.users * self.mails_per_day * DAYS

    @property
    def connected_at_peak(self) -> float:
        return self.users * self.devices * min(1, PEAK * self.online_hours / 24)

    @property
    def stored_gb(self) -> float:
        """The files, and the versions that are kept of what changed."""
        kept = self.users * self.changes_per_day * self.kept_days
        return (self.files + kept) * self.file_bytes / 2**30


class Size(msgspec.Struct, frozen=True):
    """Instances of one service."""

    instance_type: str
    least: int


class Shape(msgspec.Struct, frozen=True):
    """What a variant consists of, whoever uses it. Compared with deploy/aws by a test."""

    sizes: Mapping[str, Size]
    zones: int
    cache_type: str
    caches: int
    gateways_of_nat: int
    endpoints: int
    addresses: int
    backups: int
    """Backups of the tables that are there at a time, each whole."""


_TRIAL = dict.fromkeys(("gateway", "metadata", "syncer", "notifier"), Size("t4g.small", 1))
_PRODUCTION = dict.fromkeys(("gateway", "metadata", "syncer"), Size("c7g.medium", 3))
SHAPES: Mapping[Variant, Shape] = {
    Variant.TRIAL: Shape(_TRIAL, 1, "cache.t4g.micro", 1, 0, 0, 6, 7),
    Variant.PRODUCTION: Shape({**_PRODUCTION, "notifier": Size("c7g.medium", 2)}, 3, "cache.m7g.large", 3, 3, 9, 6, 47),
}
DISK_GB = 16
SECRETS = 4
DASHBOARDS = 1
METRICS = 40
"""Made from the services' pulses; rounded up."""
ALARM_METRICS = 160
"""What alarms read, rounded up: one that reckons with several metrics is billed for each."""


def instances(load: Load, shape: Shape) -> dict[str, int]:
    """How many of each service: the least, or as many as the busiest hours want."""
    peak = PEAK / (DAYS * 86_400)
    requests = load.commits * (2 + 2 * load.downloads_per_change) + load.online_s / 900
    wanted = {
        "gateway": requests * peak / GATEWAY_REQUESTS_PER_S / BUSY_SHARE,
        "metadata": load.commits * peak / METADATA_COMMITS_PER_S / BUSY_SHARE,
        "syncer": load.connected_at_peak / HELD_PER_SYNCER / BUSY_SHARE,
        "notifier": 0.0,
    }
    return {service: max(size.least, math.ceil(wanted[service])) for service, size in shape.sizes.items()}
