"""Where the figures that alarms judge come from.

Services tell theirs in **pulses**: every ``PULSE_S`` a row that ``syncline-admin health`` reads, and a log line of the
same that CloudWatch's metric filters read::

    {"event": "pulse", "service": "gateway", "instance": "…", "state": "ready", "measures": {"requests": 12, …}, …}

Of what is counted, the row tells how often it happened in the last ``WINDOW_S`` seconds, the line how often since the
line before: the sum of all instances' lines over ``WINDOW_S`` is what health sees. Other measures are as of now.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

PULSE_S = 30
WINDOW_S = 900

SERVICES = ("gateway", "metadata", "syncer", "notifier")
CONSUMED: Mapping[str, tuple[str, ...]] = {
    "metadata": ("commits", "uploads", "direct"),
    "syncer": ("sync",),
    "notifier": ("notify", "letters", "bounces"),
}
"""Which service consumes which queues."""


class State(StrEnum):
    """Where an instance is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Fold(StrEnum):
    """How the figures of several instances become one."""

    HIGHEST = "highest"
    SUM = "sum"


class Living(msgspec.Struct, frozen=True):
    """How many instances of ``service`` are ready and not stale. CloudWatch: pulse lines with state ``ready``."""

    service: str


class Lost(msgspec.Struct, frozen=True):
    """How many instances of ``service`` fell silent within ``WINDOW_S`` without having been stopped. Health only."""

    service: str


class DeadLetters(msgspec.Struct, frozen=True):
    """How many dead letters ``queue`` has. CloudWatch: AWS/SQS ApproximateNumberOfMessagesVisible of its dead-letter
    queue."""

    queue: str


class QueueAge(msgspec.Struct, frozen=True):
    """Seconds since the oldest message on ``queue`` was sent. CloudWatch: AWS/SQS ApproximateAgeOfOldestMessage;
    health: ``measure`` in the pulses of ``service``, which is what its consumers met, or could not finish."""

    queue: str
    service: str

    @property
    def measure(self) -> str:
        return f"queue_{self.queue}_age_s"


class Measured(msgspec.Struct, frozen=True):
    """A measure in the pulses of ``services``. CloudWatch: a metric filter on each one's log group."""

    services: tuple[str, ...]
    measure: str
    fold: Fold = Fold.HIGHEST


class Share(msgspec.Struct, frozen=True):
    """100 × ``part`` ÷ ``whole``, measures in the pulses of ``service`` counted over ``WINDOW_S`` and all instances; no
    figure when ``whole`` is below ``least``. CloudWatch: metric math on two metric filters."""

    service: str
    part: str
    whole: str
    least: int


class RowsAside(msgspec.Struct, frozen=True):
    """How many rows the notifier has set aside. Health counts them; CloudWatch: the sum of its ``measure``."""

    service: str = "notifier"
    measure: str = "rows_set_aside"


class Statistic(StrEnum):
    """CloudWatch's."""

    SUM = "Sum"
    MAXIMUM = "Maximum"
    MINIMUM = "Minimum"
    AVERAGE = "Average"


class AwsMetric(msgspec.Struct, frozen=True):
    """A metric of CloudWatch that nobody but AWS has: health does not see it. ``of`` says which resources it is
    about, one alarm for each."""

    namespace: str
    metric: str
    statistic: Statistic
    of: str


class Spending(msgspec.Struct, frozen=True):
    """Percent of the month's budget that is spent or, by AWS Budgets' forecast, will be. AWS only."""


Source = Living | Lost | DeadLetters | QueueAge | Measured | Share | RowsAside | AwsMetric | Spending
