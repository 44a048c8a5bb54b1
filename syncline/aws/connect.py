"""One process's way to AWS: the shared clients, and the ports on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session

from syncline.aws.cache import RedisCache
from syncline.aws.calls import CallObserver, CallWatch, Unobserved
from syncline.aws.certificates import SnsCertificates
from syncline.aws.credentials import StsCredentialIssuer
from syncline.aws.mail import SesMailer
from syncline.aws.objects import S3Objects
from syncline.aws.queues import MAX_WAIT_S, SqsQueues
from syncline.aws.settings import Settings
from syncline.aws.tables import DynamoTables
from syncline.aws.topics import SnsChangesTopic
from syncline.domain.errors import Broken

CONNECTIONS_MAX = 64
CONNECT_S = 3
READ_S = 10
ATTEMPTS_MAX = 4
"""Tries of one request, the first included."""

Client = Any


class Aws:
    """The ports on AWS. A part whose settings are missing is ``Broken``, naming the variable, when it is used."""

    def __init__(self, settings: Settings, clients: dict[str, Client], cache: RedisCache | None) -> None:
        self._settings = settings
        self._clients = clients
        self._cache = cache
        self.tables = DynamoTables(clients["dynamodb"], clients["dynamodb-once"], settings.stack)
        self.queues = SqsQueues(clients["sqs"], settings.stack)

    @property
    def objects(self) -> S3Objects:
        bucket = self._settings.bucket
        return S3Objects(self._clients["s3"], self._clients["s3-public"], bucket)

    @property
    def topic(self) -> SnsChangesTopic:
        arn = self._settings.changes_topic_arn
        return SnsChangesTopic(self._clients["sns"], arn)

    @property
    def credentials(self) -> StsCredentialIssuer:
        role_arn = self._settings.client_role_arn
        return StsCredentialIssuer(
            self._clients["sts"],
            role_arn=role_arn,
            bucket=self._settings.bucket,
            region=self._settings.region,
            endpoint=self._settings.s3_public_endpoint or "",
        )

    @property
    def mailer(self) -> SesMailer:
        mail_from = self._settings.mail_from
        return SesMailer(self._clients["ses"], mail_from, configuration_set=self._settings.mail_configuration_set)

    @property
    def certificates(self) -> SnsCertificates:
        return SnsCertificates()

    @property
    def cache(self) -> RedisCache:
        if self._cache is None:
            raise Broken(f"There is no cache: {self._settings.needed('SYNCLINE_REDIS_URL')}")
        return self._cache


@asynccontextmanager
async def connect(settings: Settings, observer: CallObserver | None = None) -> AsyncIterator[Aws]:
    """Open what ``settings`` name; everything is closed at the end. Nothing is sent until a port is used.

    ``observer`` hears of every call."""
    async with AsyncExitStack() as stack:
        session = get_session()
        observer = observer or Unobserved()
        clients = {
            name: await stack.enter_async_context(_client(session, settings, name)) for name in _named_clients(settings)
        }
        cache = None
        if settings.has("SYNCLINE_REDIS_URL"):
            connecting = RedisCache.connect(settings.redis_url, gave_up=observer.cache_gave_up)
            cache = await stack.enter_async_context(connecting)
        for name, client in clients.items():
            CallWatch(_service(name), observer).register(client)
        yield Aws(settings, clients, cache)


def _named_clients(settings: Settings) -> list[str]:
    """Making a client costs a tenth of a second: a service makes those it has settings for."""
    optional = {
        "SYNCLINE_BUCKET": ["s3", "s3-public"],
        "SYNCLINE_CHANGES_TOPIC_ARN": ["sns"],
        "SYNCLINE_CLIENT_ROLE_ARN": ["sts"],
        "SYNCLINE_MAIL_FROM": ["ses"],
    }
    named = [name for variable, names in optional.items() if settings.has(variable) for name in names]
    return ["dynamodb", "dynamodb-once", "sqs", *named]


def _service(name: str) -> str:
    return {"dynamodb-once": "dynamodb", "s3-public": "s3", "ses": "sesv2"}.get(name, name)


def _client(session: AioSession, settings: Settings, name: str) -> Any:
    endpoint = settings.s3_public_endpoint if name == "s3-public" else settings.endpoint_url
    return session.create_client(
        _service(name),
        region_name=settings.region,
        endpoint_url=endpoint,
        config=_config(name, virtual_host=endpoint is None),
    )


def _config(name: str, *, virtual_host: bool) -> AioConfig:
    # A repeated write without a token, or a repeated mail, is for the caller to judge.
    attempts = 1 if name in ("dynamodb-once", "ses") else ATTEMPTS_MAX
    return AioConfig(
        max_pool_connections=CONNECTIONS_MAX,
        connect_timeout=CONNECT_S,
        read_timeout=MAX_WAIT_S + READ_S if name == "sqs" else READ_S,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        signature_version="s3v4" if name.startswith("s3") else None,
        s3={"addressing_style": "virtual" if virtual_host else "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="syncline",
    )
