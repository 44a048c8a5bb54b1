"""``python -m services.notifier``: tells followers by mail on AWS."""

from __future__ import annotations

import asyncio
import os

from services.notifier.app import SERVICE, Ports, make_notifier
from syncline.aws.clock import SystemClock
from syncline.aws.connect import connect
from syncline.aws.settings import Settings
from syncline.otlp import configure_tracing
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.http import HttpServer
from syncline.serving.life import live
from syncline.serving.logging import configure_logging
from syncline.serving.metrics import Metrics


async def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging(SERVICE, settings.log_level, names=settings.log_names)
    configure_tracing(SERVICE)
    metrics = Metrics(SERVICE)
    calls = AwsCalls(metrics)
    async with connect(settings, calls) as aws:
        cache = aws.cache if settings.has("SYNCLINE_REDIS_URL") else None
        notifier = make_notifier(
            Ports(aws.tables, aws.queues, aws.mailer, SystemClock(), aws.certificates, cache=cache),
            link_keys=settings.secrets().link_keys,
            public_url=settings.public_url,
            mail_from=settings.mail_from,
            window_s=settings.digest_window_s,
            reply_to=settings.reply_to,
            mail_topic_arn=settings.mail_topic_arn,
            mail_events_raw=settings.mail_events_raw,
            metrics=metrics,
            calls=calls,
        )
        server = HttpServer(notifier.app, *settings.listen)
        queues = [notifier.consumer, notifier.letters, notifier.returns]
        await live([notifier.pulse, notifier.sender, notifier.deliverer, notifier.announcer, *queues, server])


if __name__ == "__main__":
    asyncio.run(main())
