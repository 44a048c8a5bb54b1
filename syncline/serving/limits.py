"""Rate limits: requests per device, account and address, counted in windows of the clock in the cache, so that all
instances count together. With the cache away each instance counts for itself, in bounded memory.

Answers carry ``RateLimit-Policy: "write-device";q=1200;w=60, …`` (what holds) and
``RateLimit: "write-device";r=7;t=31`` (the policy with the least left: requests left, seconds until the window ends),
as draft-ietf-httpapi-ratelimit-headers has them; a refusal is 429 ``too-many-requests`` with ``Retry-After``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
from aiohttp import web

from syncline.domain.errors import Broken, Refused
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock

WINDOW_S = 60
LOCAL_KEYS_MAX = 20_000
"""So many windows are counted in this process while the cache is away; the oldest is forgotten for one more."""


class Rate(StrEnum):
    """Kinds of routes, by what they cost. ``OPEN`` ones need no sign-in and are counted by address alone."""

    READ = "read"
    WRITE = "write"
    DOWNLOAD = "download"
    OPEN = "open"


class Limit(msgspec.Struct, frozen=True):
    """At most ``requests`` in ``window_s`` seconds under one name; 0: any number."""

    name: str
    requests: int
    window_s: int = WINDOW_S


class Standing(msgspec.Struct, frozen=True):
    """Where someone stands under a limit: how many are left, and the seconds until the window ends."""

    limit: Limit
    used: int
    reset_s: int

    @property
    def left(self) -> int:
        return max(0, self.limit.requests - self.used)


DEFAULTS: Mapping[str, int] = {
    "read-device": 3_000,
    "read-account": 9_000,
    "read-address": 30_000,
    "write-device": 1_200,
    "write-account": 3_600,
    "write-address": 12_000,
    "download-device": 1_200,
    "download-account": 3_600,
    "download-address": 12_000,
    "open-address": 1_200,
}
"""Requests a minute. An address may be a whole department's."""


def rates_from(text: str) -> Mapping[str, int]:
    """The limits of a setting such as ``write-device=600,read-address=0``, over the defaults. Raises ``Broken``."""
    rates = dict(DEFAULTS)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        if name not in DEFAULTS or not number.isdecimal():
            raise Broken(f"A rate limit is one of {', '.join(DEFAULTS)}, then = and requests a minute; not {part!r}")
        rates[name] = int(number)
    return rates


class Windows:
    """Counts in fixed windows that are aligned to the clock."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._local: dict[tuple[str, int], int] = {}

    async def count(self, limit: Limit, who: str) -> Standing:
        """Count one more."""
        # Hashed: whoever reads the cache need not learn who asks.
        key = f"limit:{limit.name}:{hashlib.sha256(who.encode(errors='replace')).hexdigest()[:32]}"
        now_s = self._clock.now_ms() // 1000
        used = await self._cache.count(key, window_s=limit.window_s)
        if used is None:
            used = self._count_here(key, now_s // limit.window_s)
        return Standing(limit, used, limit.window_s - now_s % limit.window_s)

    async def require(self, limit: Limit, who: str) -> Standing:
        """Count one more. Raises ``Refused("too-many-requests")`` (429) beyond the limit."""
        standing = await self.count(limit, who)
        refuse_beyond([standing])
        return standing

    def _count_here(self, key: str, window: int) -> int:
        used = self._local.pop((key, window), 0) + 1
        if len(self._local) >= LOCAL_KEYS_MAX:
            del self._local[next(iter(self._local))]
        self._local[key, window] = used
        return used


def refuse_beyond(standings: Sequence[Standing]) -> None:
    """Raises ``Refused("too-many-requests")`` (429) for the limit among those passed that takes longest to end."""
    passed = [one for one in standings if one.used > one.limit.requests > 0]
    if not passed:
        return
    worst = max(passed, key=lambda one: one.reset_s)
    limit = worst.limit
    detail = f"At most {limit.requests} within {limit.window_s} s ({limit.name}); try again in {worst.reset_s} s."
    raise Refused("too-many-requests", detail, status=429, retry_after_s=worst.reset_s)


STANDINGS: web.RequestKey[list[Standing]] = web.RequestKey("standings", list)


class RateLimits:
    """The limits of all routes of a service."""

    def __init__(self, windows: Windows, rates: Mapping[str, int] = DEFAULTS) -> None:
        self._windows = windows
        self._limits = {name: Limit(name, requests) for name, requests in rates.items() if requests}

    async def check_address(self, request: web.Request, rate: Rate, address: str) -> None:
        """Before it is looked who asks. Raises ``Refused`` (429)."""
        await self._check(request, [(f"{rate}-address", address)])

    async def check_caller(self, request: web.Request, rate: Rate, account: str, device: str) -> None:
        """Raises ``Refused`` (429)."""
        await self._check(request, [(f"{rate}-account", account), (f"{rate}-device", device)])

    async def _check(self, request: web.Request, asked: Sequence[tuple[str, str]]) -> None:
        counting = [self._windows.count(self._limits[name], who) for name, who in asked if name in self._limits]
        standings = await asyncio.gather(*counting)
        # Beyond the limit it is told as well: the headers are put on whatever is answered.
        request[STANDINGS] = [*request.get(STANDINGS, []), *standings]
        refuse_beyond(standings)


class Checks(Protocol):
    async def check_address(self, request: web.Request, rate: Rate, address: str) -> None: ...

    async def check_caller(self, request: web.Request, rate: Rate, account: str, device: str) -> None: ...


RATE_LIMITS: web.AppKey[Checks] = web.AppKey("rate_limits", Checks)


def limit_rates(app: web.Application, limits: RateLimits) -> None:
    """Hold all routes that are bound to these limits, and tell in every answer how much is left."""
    app[RATE_LIMITS] = limits
    app.on_response_prepare.append(_tell)


async def _tell(request: web.Request, response: web.StreamResponse) -> None:
    standings = request.get(STANDINGS, [])
    if not standings:
        return
    policies = ", ".join(f'"{one.limit.name}";q={one.limit.requests};w={one.limit.window_s}' for one in standings)
    least = min(standings, key=lambda one: one.left / one.limit.requests)
    response.headers["RateLimit-Policy"] = policies
    response.headers["RateLimit"] = f'"{least.limit.name}";r={least.left};t={least.reset_s}'


def rate_of(method: str, path: str, *, signed_in: bool) -> Rate:
    """What kind a route is of. Comparing asks much and changes nothing."""
    if not signed_in:
        return Rate.OPEN
    if path.endswith(("/downloads", "/content")):
        return Rate.DOWNLOAD
    return Rate.READ if method == "GET" or path.endswith("/compare") else Rate.WRITE
