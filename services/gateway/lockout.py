"""Attempts at passwords: counted, and put off when too many fail.

The table is the truth. The cache spares it the attempts of someone who is shut out already; without the cache they cost
a read each. The rule is in ``syncline.domain.lockouts``.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import msgspec

from syncline.domain.errors import ConditionFailed, Refused
from syncline.domain.lockouts import EMAIL, PAIR, attempted, succeeded, wait_s
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.serving.logging import get_logger
from syncline.store.lockouts import Lockouts, hashed

TRIES = 4
"""An attempt that meets others at once is counted again at most so often, then refused."""
IPV6_NETWORK_BITS = 64
"""Whoever has one IPv6 address has all of its network."""


class Lockout:
    def __init__(self, lockouts: Lockouts, cache: Cache, clock: Clock) -> None:
        self._lockouts = lockouts
        self._cache = cache
        self._clock = clock

    async def attempt(self, email: str, address: str) -> None:
        """Count an attempt before its result is known. Raises ``Refused("too-many-requests")`` (429)."""
        pair = _pair(email, address)
        await self._refuse_remembered(pair)
        for _ in range(TRIES):
            mine, everyones = await self._lockouts.read([pair, _everyone(email)])
            now_ms = self._clock.now_ms()
            # Where the right password came from before, others' failures do not matter.
            waits = [wait_s(mine, now_ms), 0 if mine.known else wait_s(everyones, now_ms)]
            if any(waits):
                raise too_many(max(waits))
            after = attempted(mine, PAIR, now_ms)
            try:
                if not mine.known:
                    await self._lockouts.write(_everyone(email), everyones, attempted(everyones, EMAIL, now_ms))
                await self._lockouts.write(pair, mine, after)
            except ConditionFailed:
                continue
            if pause_s := wait_s(after, now_ms):
                get_logger().warning("sign-in-locked", who=hashed(pair), seconds=pause_s)
                await self._cache.put(_lock(pair), str(after.until_ms).encode(), ttl_s=pause_s)
            return
        raise too_many(1)

    async def succeeded(self, email: str, address: str) -> None:
        """The password was right: nothing is held against this address any more."""
        pair = _pair(email, address)
        mine, everyones = await self._lockouts.read([pair, _everyone(email)])
        now_ms = self._clock.now_ms()
        # Of two at once either may be stored: both were right.
        with suppress(ConditionFailed):
            await self._lockouts.write(pair, mine, succeeded(now_ms))
        if not mine.known and everyones.count:
            fewer = msgspec.structs.replace(everyones, count=everyones.count - 1)
            with suppress(ConditionFailed):
                await self._lockouts.write(_everyone(email), everyones, fewer)
        await self._cache.drop([_lock(pair)])

    async def forgive(self, email: str, address: str) -> None:
        """A new password was set: failures with the old one count no more."""
        pair = _pair(email, address)
        await self._lockouts.clear(pair)
        await self._lockouts.clear(_everyone(email))
        await self._cache.drop([_lock(pair)])

    async def _refuse_remembered(self, pair: str) -> None:
        remembered = await self._cache.get(_lock(pair))
        if remembered is None or not remembered.isdigit():
            return
        if (left_ms := int(remembered) - self._clock.now_ms()) > 0:
            raise too_many(-(-left_ms // 1000))


def too_many(seconds: int) -> Refused:
    detail = f"Too many failed attempts; try again in {seconds} s."
    return Refused("too-many-requests", detail, status=429, retry_after_s=seconds)


def network_of(address: str) -> str:
    """The network that one asker has: an IPv4 address, an IPv6 network of 64 bits; what is neither stays as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, IPV6_NETWORK_BITS), strict=False))
    return str(parsed)


def _pair(email: str, address: str) -> str:
    return f"pair {network_of(address)} {email}"


def _everyone(email: str) -> str:
    return f"email {email}"


def _lock(who: str) -> str:
    return f"lock:{hashed(who)}"
