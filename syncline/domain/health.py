"""Judging a stack by what was seen of it: which alarms go off. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from syncline.domain.alarms import ALARMS, Alarm, Severity
from syncline.domain.figures import (
    WINDOW_S,
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
    State,
)

STALE_S = 90
"""An instance whose last pulse is older is taken for dead: two pulses may be late or lost."""


class Instance(msgspec.Struct, frozen=True):
    """One instance of a service, as its last pulse told of it. ``at_ms`` and ``started_at_ms`` are Unix ms."""

    service: str
    name: str
    version: str
    state: State
    started_at_ms: int
    at_ms: int
    measures: Mapping[str, float]

    def is_stale(self, now_ms: int) -> bool:
        return now_ms - self.at_ms > STALE_S * 1000


class Observation(msgspec.Struct, frozen=True):
    """What was seen of a stack at ``at_ms``: instances by service, dead letters by queue. What could not be seen is
    missing, or None; no alarm about it goes off."""

    at_ms: int
    instances: Mapping[str, tuple[Instance, ...]]
    dead_letters: Mapping[str, int]
    rows_aside: int | None

    def living(self, service: str) -> list[Instance]:
        """Those whose pulses still come, draining ones too."""
        return [one for one in self.instances.get(service, ()) if not one.is_stale(self.at_ms)]

    def lost(self, service: str) -> list[Instance]:
        """Those that fell silent within ``WINDOW_S`` and were not stopped."""
        silent = [one for one in self.instances.get(service, ()) if one.is_stale(self.at_ms)]
        return [one for one in silent if self.at_ms - one.at_ms <= WINDOW_S * 1000]


class Firing(msgspec.Struct, frozen=True):
    """An alarm that goes off, with its figure."""

    alarm: Alarm
    figure: float


def judge(seen: Observation) -> list[Firing]:
    """The alarms that go off, those that page first, else in the order of ``ALARMS``."""
    figures = ((alarm, figure_of(alarm.source, seen)) for alarm in ALARMS)
    wrong = [Firing(alarm, figure) for alarm, figure in figures if figure is not None and alarm.is_wrong(figure)]
    return sorted(wrong, key=lambda firing: firing.alarm.severity is not Severity.PAGE)


def figure_of(source: Source, seen: Observation) -> float | None:
    """The figure of a source; None where it could not be seen, or nobody tells it."""
    match source:
        case DeadLetters(queue):
            return seen.dead_letters.get(queue)
        case RowsAside():
            return seen.rows_aside
        case AwsMetric() | Spending():
            return None
        case Living(service):
            ready = [one for one in seen.living(service) if one.state is State.READY]
            return len(ready) if service in seen.instances else None
        case Lost(service):
            return len(seen.lost(service))
        case QueueAge(_, service):
            return _folded(seen, (service,), source.measure, max)
        case Measured(services, measure, fold):
            return _folded(seen, services, measure, max if fold is Fold.HIGHEST else sum)
        case Share(service, part, whole, least):
            total = _folded(seen, (service,), whole, sum) or 0
            some = _folded(seen, (service,), part, sum) or 0
            return 100 * some / total if total >= least else None


def _folded(
    seen: Observation, services: tuple[str, ...], measure: str, fold: Callable[[list[float]], float]
) -> float | None:
    living = [one for service in services for one in seen.living(service)]
    told = [one.measures[measure] for one in living if measure in one.measures]
    return fold(told) if told else None
