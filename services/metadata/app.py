"""What metadata is made of: the committer, two intakes, the sweep, and the pages that say how it is."""

from __future__ import annotations

from aiohttp import web

from services.metadata.arrivals import Arrivals
from services.metadata.committer import Committer
from services.metadata.giving_up import FREE_AFTER_S, GivingUp
from services.metadata.grant_sweep import GrantSweep
from services.metadata.intake import Intake
from services.metadata.measures import Measures
from services.metadata.move_sweep import MoveSweep
from services.metadata.pulse import measures_of_metadata
from services.metadata.sweep import Sweep, grace_s
from syncline.domain.permits import PermitKeys
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Tables
from syncline.ports.topics import ChangesTopic
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.consumer import Consumer
from syncline.serving.http import make_app
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_queue, measures_of_surroundings
from syncline.store.journal import Journal

COMMIT_RECEIVERS = 4
"""Batches of different libraries in work at a time; one library's commits come one after another."""
INTAKE_RECEIVERS = 2
READY_PROBE = "readyz"


def parts(
    *,
    tables: Tables,
    objects: ObjectStore,
    queues: Queues,
    topic: ChangesTopic,
    cache: Cache,
    clock: Clock,
    keys: PermitKeys,
    metrics: Metrics,
    sweep_interval_s: int,
    free_after_s: int,
    calls: AwsCalls | None = None,
) -> list[Pulse | Consumer | Sweep]:
    """The pulse, the consumers of the queues ``commits``, ``uploads`` and ``direct``, and the sweep."""
    measures = Measures(metrics)
    committer = Committer(tables, objects, topic, cache, clock, measures)
    intake = Intake(tables, objects, queues, keys, clock, measures)
    consumers = [
        Consumer(queues, queue, handle, clock=clock, metrics=metrics, receivers=receivers)
        for queue, handle, receivers in (
            (Queue.COMMITS, committer.handle, COMMIT_RECEIVERS),
            (Queue.UPLOADS, intake.handle, INTAKE_RECEIVERS),
            (Queue.DIRECT, intake.handle, INTAKE_RECEIVERS),
        )
    ]
    sweep = make_sweep(
        tables=tables,
        objects=objects,
        queues=queues,
        topic=topic,
        clock=clock,
        keys=keys,
        measures=measures,
        interval_s=sweep_interval_s,
        free_after_s=free_after_s,
    )
    told = measures_of_surroundings(clock, cache=cache, calls=calls) + measures_of_metadata(metrics, measures, sweep)
    for consumer in consumers:
        told += measures_of_queue(consumer, metrics, clock)
    return [Pulse(metrics, tables, clock, told, calls=calls), *consumers, sweep]


def make_sweep(
    *,
    tables: Tables,
    objects: ObjectStore,
    queues: Queues,
    topic: ChangesTopic,
    clock: Clock,
    keys: PermitKeys,
    measures: Measures,
    interval_s: int,
    free_after_s: int = FREE_AFTER_S,
) -> Sweep:
    """What heals everything that was lost on the way, every ``interval_s`` seconds."""
    grace = grace_s(interval_s)
    arrivals = Arrivals(tables, objects, queues, keys)
    jobs = (
        GrantSweep(tables, objects, arrivals, clock, measures, grace_s=grace),
        MoveSweep(tables, topic, clock, measures, grace_s=grace),
        GivingUp(tables, objects, queues, clock, measures, free_after_s=free_after_s),
    )
    return Sweep(jobs, tables, clock, measures, interval_s=interval_s)


def make_pages(metrics: Metrics, tables: Tables, queues: Queues) -> web.Application:
    """``/healthz``, ``/readyz`` (tables and queues answer) and ``/metrics``."""

    async def tables_answer() -> None:
        await Journal(tables).head(READY_PROBE)

    async def queues_answer() -> None:
        await queues.depth(Queue.COMMITS)

    return make_app(metrics, ready={"tables": tables_answer, "queues": queues_answer})
