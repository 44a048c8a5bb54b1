"""Posts to addresses that users name, and to nothing of our own network.

Every address that the host resolves to is judged, one bad one refuses all of them, and the connection goes to one that
was judged: nothing is looked up again between judging and connecting. The socket is judged once more when it is
made, so that no way of writing an address gets around the resolver. Redirects are not followed, no proxy is asked, and
of the answer only the status is read.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from syncline.domain.errors import Temporary
from syncline.domain.webhooks import is_public

POST_S_MAX = 10.0
"""Resolving, connecting, sending and the answer's status together."""
HEADER_BYTES_MAX = 8_190
NOT_PUBLIC = "the host has no address on the open internet"

Rule = Callable[[str], bool]
"""Whether an IP address may be connected to."""


class Poster(Protocol):
    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status that the receiver answered with. Raises ``Temporary`` when there was none, saying why."""
        ...


class HttpsPoster:
    """``rule``, ``schemes``, ``resolver`` and ``tls`` are for tests, which have no open internet."""

    def __init__(
        self,
        *,
        rule: Rule = is_public,
        schemes: Sequence[str] = ("https",),
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = POST_S_MAX,
    ) -> None:
        self._rule = rule
        self._schemes = tuple(schemes)
        self._resolver = resolver
        self._tls: ssl.SSLContext | bool = tls or True
        self._timeout_s = timeout_s

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        target = URL(url)
        if target.scheme not in self._schemes or not target.host:
            raise Temporary(f"webhooks are told over {', '.join(self._schemes)} only")
        # No connection is shared: what was judged for one delivery is not taken for granted by the next.
        connector = aiohttp.TCPConnector(
            resolver=JudgingResolver(self._rule, self._resolver),
            socket_factory=self._socket,
            ssl=self._tls,
            use_dns_cache=False,
            force_close=True,
            limit=1,
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    trust_env=False,
                    max_line_size=HEADER_BYTES_MAX,
                    max_field_size=HEADER_BYTES_MAX,
                ) as session,
                session.post(target, data=body, headers=dict(headers), allow_redirects=False) as response,
            ):
                return response.status
        except TimeoutError as error:
            raise Temporary(f"no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Temporary(f"no connection: {_reason(error)}") from error

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._rule(address[0]):
            raise _not_public()
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


class JudgingResolver(AbstractResolver):
    """Answers only when every address of a host may be connected to."""

    def __init__(self, rule: Rule, inner: AbstractResolver | None = None) -> None:
        self._rule = rule
        self._inner = inner or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(self._rule(one["host"]) for one in found):
            raise _not_public()
        return found

    async def close(self) -> None:
        await self._inner.close()


def _not_public() -> OSError:
    return OSError(NOT_PUBLIC)


def _reason(error: Exception) -> str:
    """What the owner is told: no more than they could find out themselves."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # The same whether there is no such name or an inner one: names of our own network are not to be found out.
        return NOT_PUBLIC
    return "no valid address" if isinstance(error, ValueError) else "refused, or broken off"
