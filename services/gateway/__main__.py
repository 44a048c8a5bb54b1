"""``python -m services.gateway``: the gateway on AWS's ports, configured by the environment (docs/operations.md)."""

from __future__ import annotations

import asyncio
import os
import sys

from services.gateway.app import Keys, Ports, make_gateway
from syncline.aws.clock import SystemClock
from syncline.aws.connect import connect
from syncline.aws.settings import Settings
from syncline.domain.errors import Broken
from syncline.domain.permits import PermitKey, PermitKeys
from syncline.otlp import configure_tracing
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.http import HttpServer
from syncline.serving.life import live
from syncline.serving.limits import rates_from
from syncline.serving.logging import configure_logging, get_logger
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_requests, measures_of_surroundings
from syncline.store.usage import Quotas

SERVICE = "gateway"


async def serve(settings: Settings) -> None:
    """Serve until a signal. Raises ``Broken`` for a setting that is missing or wrong."""
    host, port = settings.listen
    secrets = settings.secrets()
    permit_keys = PermitKeys(tuple(PermitKey(key.id, key.secret) for key in secrets.permit_keys))
    if not secrets.link_keys:
        raise Broken("SYNCLINE_SECRETS holds no link_keys: links in mail could not be opened")
    keys = Keys(permit_keys, secrets.token_keys, secrets.link_keys)
    metrics, clock = Metrics(SERVICE), SystemClock()
    calls = AwsCalls(metrics)
    async with connect(settings, calls) as aws:
        ports = Ports(aws.tables, aws.objects, aws.queues, aws.cache, aws.credentials, clock)
        app = make_gateway(
            ports,
            keys,
            public_url=settings.public_url,
            registration=settings.registration,
            quotas=Quotas(settings.library_quota_bytes, settings.account_quota_bytes),
            rates=rates_from(settings.rate_limits),
            metrics=metrics,
        )
        measures = measures_of_requests(metrics)
        measures += measures_of_surroundings(clock, cache=aws.cache, calls=calls)
        pulse = Pulse(metrics, aws.tables, clock, measures, calls=calls)
        await live([pulse, HttpServer(app, host, port)])


def main() -> int:
    try:
        settings = Settings.from_environ(os.environ)
        configure_logging(SERVICE, settings.log_level, names=settings.log_names)
        configure_tracing(SERVICE)
        asyncio.run(serve(settings))
    except Broken as error:
        configure_logging(SERVICE)
        get_logger().error("cannot-start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
