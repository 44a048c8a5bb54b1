"""What metadata is made of: the committer, two intakes, and the pages that say how it is."""

from __future__ import annotations

from aiohttp import web

from services.metadata.committer import Committer
from services.metadata.intake import Intake
from services.metadata.measures import Measures
from syncline.domain.permits import PermitKeys
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Tables
from syncline.ports.topics import ChangesTopic
from syncline.serving.consumer import Consumer
from syncline.serving.http import make_app
from syncline.serving.metrics import Metrics
from syncline.store.journal import Journal

COMMIT_RECEIVERS = 4
"""Batches of different libraries in work at a time; one library's commits come one after another."""
INTAKE_RECEIVERS = 2
COMMITS_VISIBILITY_S = 90
READY_PROBE = "readyz"


def consumers(
    *,
    tables: Tables,
    objects: ObjectStore,
    queues: Queues,
    topic: ChangesTopic,
    cache: Cache,
    clock: Clock,
    keys: PermitKeys,
    metrics: Metrics,
) -> list[Consumer]:
    """The consumers of the queues ``commits``, ``uploads`` and ``direct``."""
    measures = Measures(metrics)
    committer = Committer(tables, objects, topic, cache, clock, measures)
    intake = Intake(tables, objects, queues, keys, measures)
    return [
        Consumer(
            queues,
            Queue.COMMITS,
            committer.handle,
            clock=clock,
            metrics=metrics,
            receivers=COMMIT_RECEIVERS,
            visibility_s=COMMITS_VISIBILITY_S,
        ),
        *(
            Consumer(queues, queue, intake.handle, clock=clock, metrics=metrics, receivers=INTAKE_RECEIVERS)
            for queue in (Queue.UPLOADS, Queue.DIRECT)
        ),
    ]


def make_pages(metrics: Metrics, tables: Tables, queues: Queues) -> web.Application:
    """``/healthz``, ``/readyz`` (tables and queues answer) and ``/metrics``."""

    async def tables_answer() -> None:
        await Journal(tables).head(READY_PROBE)

    async def queues_answer() -> None:
        await queues.depth(Queue.COMMITS)

    return make_app(metrics, ready={"tables": tables_answer, "queues": queues_answer})
