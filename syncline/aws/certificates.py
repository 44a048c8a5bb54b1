"""SNS's signing certificates, fetched over HTTPS and kept."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict

import aiohttp
from aiohttp.abc import AbstractResolver

from syncline.domain.errors import Broken, Temporary

BYTES_MAX = 64 * 1024
FETCH_S = 5.0
KEPT_MAX = 16
STATUS_OK = 200


class SnsCertificates:
    """The PEM under a URL. The caller has checked that the URL is SNS's own; redirects are not followed.

    ``resolver`` and ``tls`` are for tests, which have no SNS.
    """

    def __init__(self, *, resolver: AbstractResolver | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._resolver = resolver
        self._tls: ssl.SSLContext | bool = tls or True
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def get(self, url: str) -> bytes:
        """Raises ``Temporary`` when it is not to be had now, ``Broken`` for what can be no certificate."""
        async with self._one_at_a_time:
            if url not in self._kept:
                self._kept[url] = await self._fetch(url)
                while len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)
            return self._kept[url]

    async def _fetch(self, url: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_S)
        connector = aiohttp.TCPConnector(resolver=self._resolver, ssl=self._tls)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status != STATUS_OK:
                    raise Temporary(f"The signing certificate {url}: HTTP status {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_chunked(BYTES_MAX):
                    body += chunk
                    if len(body) > BYTES_MAX:
                        raise Broken(f"The signing certificate {url} is longer than {BYTES_MAX} bytes")
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Temporary(f"The signing certificate {url}: no answer ({error})") from error
