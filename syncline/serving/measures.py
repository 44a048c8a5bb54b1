"""What a pulse tells in numbers: counts, percentiles and gauges, read off what the service counts anyway.

Names end in their unit; a count has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

from syncline.domain.errors import SynclineError
from syncline.domain.figures import PULSE_S, WINDOW_S
from syncline.serving.logging import get_logger

Labels = Mapping[str, str]
Wanted = Callable[[Labels], bool]
Buckets = Mapping[float, float]
"""How many were at most so long, by upper bound in s."""

_WINDOW_PULSES = WINDOW_S // PULSE_S


def _all(_labels: Labels) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened. ``total`` only grows."""

    name: str
    total: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Percentile:
    """The time within which ``share`` of the window's cases were over; none of fewer than ``least``."""

    name: str
    buckets: Callable[[], Buckets]
    share: float = 0.99
    least: int = 1


@dataclass(frozen=True, slots=True)
class Gauge:
    """What is so now, a number; None: not known. May raise any ``SynclineError``, and is not told then."""

    name: str
    read: Callable[[], Awaitable[float | None]]


Measure = Count | Percentile | Gauge


def total(counter: Counter, wanted: Wanted = _all) -> Callable[[], float]:
    """Reads the sum of a counter over the labels that are ``wanted``."""

    def read() -> float:
        samples = (sample for family in counter.collect() for sample in family.samples)
        return sum(one.value for one in samples if one.name.endswith("_total") and wanted(one.labels))

    return read


def buckets(histogram: Histogram, wanted: Wanted = _all) -> Callable[[], Buckets]:
    """Reads a histogram's buckets, together for the labels that are ``wanted``."""

    def read() -> Buckets:
        sums: dict[float, float] = {}
        for sample in (sample for family in histogram.collect() for sample in family.samples):
            if sample.name.endswith("_bucket") and wanted(sample.labels):
                bound = float(sample.labels["le"])
                sums[bound] = sums.get(bound, 0.0) + sample.value
        return sums

    return read


def quantile(counts: Buckets, share: float) -> float | None:
    """Within how many s ``share`` of the cases were over: linear within a bucket, the highest bound above it. Pure."""
    bounds = sorted(counts)
    cases = counts[bounds[-1]] if bounds else 0.0
    if cases <= 0:
        return None
    wanted, low, below = share * cases, 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= wanted:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - below) / (counts[bound] - below)
        low, below = bound, counts[bound]
    return low


class Tallies:
    """Takes the figures of all measures, once a pulse."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._counts = [one for one in measures if isinstance(one, Count)]
        self._percentiles = [one for one in measures if isinstance(one, Percentile)]
        self._gauges = [one for one in measures if isinstance(one, Gauge)]
        self._taken: deque[tuple[list[float], list[Buckets]]] = deque([self._now()], maxlen=_WINDOW_PULSES)

    async def take(self) -> tuple[dict[str, float], dict[str, float]]:
        """The figures of the window, and the same with what was counted since the last taking only."""
        (first_counts, first_buckets), (last_counts, _) = self._taken[0], self._taken[-1]
        counts, all_buckets = self._now()
        self._taken.append((counts, all_buckets))
        same = await self._read_gauges()
        for one, now, first in zip(self._percentiles, all_buckets, first_buckets, strict=True):
            within = {bound: count - first.get(bound, 0.0) for bound, count in now.items()}
            figure = quantile(within, one.share)
            if figure is not None and max(within.values()) >= one.least:
                same[one.name] = round(figure, 3)
        names = [one.name for one in self._counts]
        window = {name: now - first for name, now, first in zip(names, counts, first_counts, strict=True)}
        since = {name: now - last for name, now, last in zip(names, counts, last_counts, strict=True)}
        return {**window, **same}, {**since, **same}

    def _now(self) -> tuple[list[float], list[Buckets]]:
        return [one.total() for one in self._counts], [one.buckets() for one in self._percentiles]

    async def _read_gauges(self) -> dict[str, float]:
        told: dict[str, float] = {}
        for one in self._gauges:
            try:
                figure = await one.read()
            except SynclineError as error:
                get_logger().warning("measure-not-read", measure=one.name, reason=str(error)[:200])
                continue
            if figure is not None:
                told[one.name] = round(figure, 3)
        return told
