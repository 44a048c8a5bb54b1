"""``python -m services.metadata``: wires metadata to AWS and runs it until a signal."""

from __future__ import annotations

import asyncio
import os

from services.metadata.app import make_pages, parts
from syncline.aws.clock import SystemClock
from syncline.aws.connect import connect
from syncline.aws.settings import Settings
from syncline.domain.permits import PermitKey, PermitKeys
from syncline.otlp import configure_tracing
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.http import HttpServer
from syncline.serving.life import live
from syncline.serving.logging import configure_logging
from syncline.serving.metrics import Metrics

SERVICE = "metadata"


async def serve(settings: Settings) -> None:
    metrics = Metrics(SERVICE)
    keys = PermitKeys(tuple(PermitKey(key.id, key.secret) for key in settings.secrets().permit_keys))
    calls = AwsCalls(metrics)
    async with connect(settings, calls) as aws:
        pages = make_pages(metrics, aws.tables, aws.queues)
        work = parts(
            tables=aws.tables,
            objects=aws.objects,
            queues=aws.queues,
            topic=aws.topic,
            cache=aws.cache,
            clock=SystemClock(),
            keys=keys,
            metrics=metrics,
            sweep_interval_s=settings.sweep_interval_s,
            free_after_s=settings.free_after_s,
            calls=calls,
        )
        await live([HttpServer(pages, *settings.listen), *work])


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging(SERVICE, settings.log_level, names=settings.log_names)
    configure_tracing(SERVICE)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
