"""What the services expose on ``/metrics``: every service made whole, on ports in memory."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.registry import Collector

from services.gateway.app import Keys, Ports as GatewayPorts, make_gateway
from services.metadata.app import parts
from services.notifier.app import Ports as NotifierPorts, make_notifier
from services.syncer.app import Ports as SyncerPorts, make_syncer
from syncline.domain.permits import PermitKey, PermitKeys
from syncline.memory import (
    ManualClock,
    MemoryCache,
    MemoryCredentials,
    MemoryMailer,
    MemoryObjects,
    MemoryQueues,
    MemoryTables,
    MemoryTopic,
)
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_requests, measures_of_surroundings

PERMIT_KEY = PermitKey("k", b"a secret of at least 32 bytes....")
PERMIT_KEYS = PermitKeys((PERMIT_KEY,))


@dataclass(frozen=True)
class Exposed:
    """One metric. ``name`` without the endings that samples have; ``kind`` in Prometheus's words."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]

    @property
    def shown(self) -> str:
        """As queries name it: counters with ``_total``."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def exposed() -> dict[str, list[Exposed]]:
    """Each service's metrics in order of name."""
    return {metrics.service: _metrics_of(metrics) for metrics in _services()}


def _services() -> list[Metrics]:
    clock, tables = ManualClock(), MemoryTables()
    queues, cache = MemoryQueues(clock), MemoryCache(clock)
    objects = MemoryObjects(clock, queues)
    gateway, metadata, syncer, notifier = (Metrics(name) for name in ("gateway", "metadata", "syncer", "notifier"))
    make_gateway(
        GatewayPorts(tables, objects, queues, cache, MemoryCredentials(clock), clock),
        Keys(PERMIT_KEYS, [PERMIT_KEY], [PERMIT_KEY]),
        public_url="https://x.test",
        metrics=gateway,
    )
    calls = AwsCalls(gateway)
    measures = measures_of_requests(gateway) + measures_of_surroundings(clock, cache=cache, calls=calls)
    Pulse(gateway, tables, clock, measures, calls=calls)
    parts(
        tables=tables,
        objects=objects,
        queues=queues,
        topic=MemoryTopic(queues),
        cache=cache,
        clock=clock,
        keys=PERMIT_KEYS,
        metrics=metadata,
        sweep_interval_s=60,
        free_after_s=60,
        calls=AwsCalls(metadata),
    )
    make_syncer(
        SyncerPorts(tables, objects, queues, cache, clock),
        token_keys=[PERMIT_KEY],
        public_url="https://x.test",
        metrics=syncer,
        calls=AwsCalls(syncer),
    )
    make_notifier(
        NotifierPorts(tables, queues, MemoryMailer(), clock, cache=cache),
        link_keys=[PERMIT_KEY],
        public_url="https://x.test",
        mail_from="files@example.org",
        window_s=60,
        metrics=notifier,
        calls=AwsCalls(notifier),
    )
    return [gateway, metadata, syncer, notifier]


def _metrics_of(metrics: Metrics) -> list[Exposed]:
    found = []
    for collector in set(metrics.registry._collector_to_names):
        (family,) = collector.collect()
        found.append(Exposed(family.name, family.type, family.documentation, _labels(collector)))
    return sorted(found, key=lambda one: one.name)


def _labels(collector: Collector) -> tuple[str, ...]:
    return tuple(getattr(collector, "_labelnames", ()))
