"""Webhooks and SNS's certificates over real TLS: on loopback, with an authority of our own."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from services.notifier.reaching import HttpsPoster
from services.notifier.signatures import certificate_url, verify
from syncline.aws.certificates import BYTES_MAX, SnsCertificates
from syncline.domain.errors import Broken, Temporary
from syncline.domain.webhooks import is_public
from syncline.messages.envelope import Unreadable
from tests.unit.notifier.test_returns import TOPIC, URL, signed, signer
from tests.unit.notifier.test_webhooks import Names

HOOKS, SNS = "hooks.example.org", "sns.eu-central-1.amazonaws.com"
CA = trustme.CA()


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    """What clients have, with other authorities."""
    context = ssl.create_default_context()
    for one in authorities:
        one.configure_trust(context)
    return context


def long_ago(host: str) -> trustme.LeafCert:
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    return CA.issue_cert(host, not_before=end - datetime.timedelta(days=30), not_after=end)


class Site:
    """An HTTPS server on 127.0.0.1 whose certificate is as told."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.names: list[str | None] = []
        self.content = b""
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        if request.path.startswith("/away"):
            return web.Response(status=302, headers={"Location": f"https://{HOOKS}:{self.port}/inside"})
        return web.Response(body=self.content)


@asynccontextmanager
async def site(certificate: trustme.LeafCert) -> AsyncIterator[Site]:
    made, app = Site(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await listening.start()
        made.port = runner.addresses[0][1]
        yield made
    finally:
        await runner.cleanup()


BAD = {
    "wrong host": lambda host: CA.issue_cert("other.example.org"),
    "wrong host below": lambda host: CA.issue_cert(f"x.{host}"),
    "expired": long_ago,
    "unknown authority": lambda host: trustme.CA().issue_cert(host),
}


# -- webhooks -------------------------------------------------------------------------------------------------------


def poster(*authorities: trustme.CA, resolver: AbstractResolver | None = None) -> HttpsPoster:
    """As in production, but that 127.0.0.1 is the open internet."""
    names = resolver or Names("127.0.0.1")
    return HttpsPoster(rule=lambda address: address == "127.0.0.1", resolver=names, tls=trusting(*authorities))


async def test_a_webhook_with_a_good_certificate_is_told() -> None:
    async with site(CA.issue_cert(HOOKS)) as server:
        assert await poster(CA).post(f"https://{HOOKS}:{server.port}/in", b"{}", {}) == 200
        assert server.paths == ["/in"]


@pytest.mark.parametrize("bad", BAD)
async def test_a_webhook_with_another_is_not(bad: str) -> None:
    async with site(BAD[bad](HOOKS)) as server:
        with pytest.raises(Temporary, match="its certificate is not valid"):
            await poster(CA).post(f"https://{HOOKS}:{server.port}/in", b"{}", {})
        assert server.paths == []


async def test_the_system_s_authorities_are_asked_where_none_are_named() -> None:
    async with site(CA.issue_cert(HOOKS)) as server:
        plain = HttpsPoster(rule=lambda _: True, resolver=Names("127.0.0.1"))
        with pytest.raises(Temporary, match="its certificate is not valid"):
            await plain.post(f"https://{HOOKS}:{server.port}/in", b"{}", {})
        assert server.paths == []


async def test_a_good_certificate_opens_no_inner_address() -> None:
    async with site(CA.issue_cert(HOOKS)) as server:
        for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "10.0.0.1"):
            judging = HttpsPoster(rule=is_public, resolver=Names(address), tls=trusting(CA))
            with pytest.raises(Temporary, match="no address on the open internet"):
                await judging.post(f"https://{HOOKS}:{server.port}/in", b"{}", {})
        assert server.paths == []


async def test_a_redirect_over_tls_is_not_followed() -> None:
    async with site(CA.issue_cert(HOOKS)) as server:
        assert await poster(CA).post(f"https://{HOOKS}:{server.port}/away", b"{}", {}) == 302
        assert server.paths == ["/away"]


class Rebinding(Names):
    """Leads to where the test allows at the first asking only."""

    asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked += 1
        return await (Names("127.0.0.1") if self.asked == 1 else Names("169.254.169.254")).resolve(host, port)


async def test_a_name_is_asked_for_once_between_judging_and_connecting() -> None:
    names = Rebinding()
    async with site(CA.issue_cert(HOOKS)) as server:
        assert await poster(CA, resolver=names).post(f"https://{HOOKS}:{server.port}/in", b"{}", {}) == 200
        assert names.asked == 1
        with pytest.raises(Temporary, match="no address on the open internet"):
            await poster(CA, resolver=names).post(f"https://{HOOKS}:{server.port}/in", b"{}", {})
        assert server.paths == ["/in"]


# -- the certificates of SNS ----------------------------------------------------------------------------------------


def certificates(*authorities: trustme.CA) -> SnsCertificates:
    return SnsCertificates(resolver=Names("127.0.0.1"), tls=trusting(*authorities))


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_signing_certificate_is_fetched_once_and_proves_what_it_signed(version: str) -> None:
    async with site(CA.issue_cert(SNS)) as server:
        server.content = signer("sns")[1]
        had = certificates(CA)
        envelope = signed("text", SignatureVersion=version)
        path = certificate_url(envelope, TOPIC).partition(SNS)[2]
        for _ in range(2):
            verify(envelope, await had.get(f"https://{SNS}:{server.port}{path}"))
        assert server.paths == [path]


@pytest.mark.parametrize("bad", BAD)
async def test_from_a_server_with_a_bad_certificate_none_is_taken(bad: str) -> None:
    async with site(BAD[bad](SNS)) as server:
        with pytest.raises(Temporary, match="no answer"):
            await certificates(CA).get(f"https://{SNS}:{server.port}/x.pem")
        assert server.paths == []


async def test_neither_a_redirect_nor_too_much_is_a_certificate() -> None:
    async with site(CA.issue_cert(SNS)) as server:
        with pytest.raises(Temporary, match="302"):
            await certificates(CA).get(f"https://{SNS}:{server.port}/away.pem")
        server.content = b"x" * (BYTES_MAX + 1)
        with pytest.raises(Broken, match="longer"):
            await certificates(CA).get(f"https://{SNS}:{server.port}/x.pem")
        assert server.paths == ["/away.pem", "/x.pem"]


def test_in_china_sns_has_a_host_of_its_own() -> None:
    topic = TOPIC.replace("arn:aws:", "arn:aws-cn:").replace("eu-central-1", "cn-north-1")
    url = "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem"
    envelope = msgspec.structs.replace(signed("text"), TopicArn=topic, SigningCertURL=url)
    assert certificate_url(envelope, topic) == url
    for other in (url.replace(".com.cn/", ".com/"), URL):
        with pytest.raises(Unreadable, match="signing certificate"):
            certificate_url(msgspec.structs.replace(envelope, SigningCertURL=other), topic)
