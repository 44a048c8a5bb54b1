"""Metrics for Prometheus: one registry per process, with the golden signals of requests and of queue work."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


_STAGE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)


class Metrics:
    """A service's metrics, all named ``syncline_…`` and labelled with the service.

    ``counter``, ``gauge`` and ``histogram`` make further ones; ask once, at start.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self.requests = self.counter("requests", "HTTP requests answered.", ("method", "route", "status"))
        self.request_seconds = self.histogram("request_seconds", "Time to answer.", ("method", "route"))
        self.requests_in_flight = self.gauge("requests_in_flight", "HTTP requests being answered.")
        self.messages = self.counter("messages", "Queue messages by what became of them.", ("queue", "result"))
        self.message_seconds = self.histogram("message_seconds", "Time to handle a batch.", ("queue",))
        self.message_age_seconds = self.histogram("message_age_seconds", "Time from sending to receiving.", ("queue",))

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"syncline_{self.service}_{name}", meaning, labels, registry=self.registry)

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"syncline_{self.service}_{name}", meaning, labels, registry=self.registry)

    def histogram(
        self, name: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = _SECONDS
    ) -> Histogram:
        return Histogram(f"syncline_{self.service}_{name}", meaning, labels, buckets=buckets, registry=self.registry)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class Stages:
    """How long a change takes on its way, stage by stage; each is measured by the service that ends it.

    ``seen``: from landing in S3 to its event's being read (the durable road alone). ``committed``: from being asked for
    on the queue ``commits`` to being in the journal. ``applied``: from the commit to the views' having it. ``woken``:
    from the commit to waking held requests. ``mailed``: from the oldest commit of a mail to SES's taking it (the window
    in which changes are gathered is in it).
    """

    def __init__(self, metrics: Metrics) -> None:
        self._seconds = metrics.histogram(
            "commit_stage_seconds", "Time of a change's way, by stage.", ("stage",), _STAGE_SECONDS
        )

    def passed(self, stage: str, *, since_ms: int, now_ms: int) -> None:
        """A stage that began at ``since_ms`` is over; clocks of two machines may differ a little."""
        self._seconds.labels(stage).observe(max(0, now_ms - since_ms) / 1000)
