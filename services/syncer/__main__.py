"""``python -m services.syncer``: serves ``/v1/sync`` on AWS."""

from __future__ import annotations

import asyncio
import os

from services.syncer.app import SERVICE, Keeping, Ports, make_syncer
from syncline.aws.clock import SystemClock
from syncline.aws.connect import connect
from syncline.aws.settings import Settings
from syncline.otlp import configure_tracing
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.http import HttpServer
from syncline.serving.life import live
from syncline.serving.limits import rates_from
from syncline.serving.logging import configure_logging
from syncline.serving.metrics import Metrics


async def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging(SERVICE, settings.log_level, names=settings.log_names)
    configure_tracing(SERVICE)
    metrics = Metrics(SERVICE)
    calls = AwsCalls(metrics)
    async with connect(settings, calls) as aws:
        ports = Ports(aws.tables, aws.objects, aws.queues, aws.cache, SystemClock())
        keeping = Keeping(
            settings.archive_s, settings.snapshot_changes, settings.commits_retained, settings.replaced_kept_s
        )
        syncer = make_syncer(
            ports,
            token_keys=settings.secrets().token_keys,
            public_url=settings.public_url,
            keeping=keeping,
            rates=rates_from(settings.rate_limits),
            metrics=metrics,
            calls=calls,
        )
        server = HttpServer(syncer.app, *settings.listen)
        await live([syncer.pulse, syncer.hub, syncer.archiver, syncer.consumer, server])


if __name__ == "__main__":
    asyncio.run(main())
