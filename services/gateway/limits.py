"""Rate limits: counted in the cache by the window, so that all instances count together.

With the cache away nothing is limited here; what a request may cost is still bounded (argon2 runs a few at once).
"""

from __future__ import annotations

import hashlib

from syncline.domain.errors import Refused
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock

SIGN_INS_PER_ADDRESS = (120, 60)  # so many per so many seconds
SIGN_INS_PER_BOTH = (20, 900)
ACCOUNTS_PER_ADDRESS = (120, 600)
LETTERS_PER_ADDRESS = (30, 3600)  # asked for by strangers
LETTERS_PER_EMAIL = (5, 3600)
LETTERS_PER_ACCOUNT = (200, 3600)
CREDENTIALS_PER_DEVICE = (600, 60)  # STS gives a whole AWS account some 600 a second


class Limits:
    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def sign_in(self, address: str, email: str) -> None:
        """Raises ``Refused("too-many-requests")`` (429). Failures besides are put off by ``lockout``, which needs no
        cache. There is no limit for an e-mail address alone: a stranger elsewhere must not shut its owner out."""
        await self._count("sign-in-address", address, SIGN_INS_PER_ADDRESS)
        await self._count("sign-in-both", f"{address} {email}", SIGN_INS_PER_BOTH)

    async def create_account(self, address: str) -> None:
        await self._count("account-address", address, ACCOUNTS_PER_ADDRESS)

    async def ask_for_letter(self, address: str, email: str) -> None:
        """A stranger wants a letter sent to somebody."""
        await self._count("letter-address", address, LETTERS_PER_ADDRESS)
        await self._count("letter-email", email, LETTERS_PER_EMAIL)

    async def send_letter(self, account: str) -> None:
        """An account wants a letter sent to somebody else."""
        await self._count("letter-account", account, LETTERS_PER_ACCOUNT)

    async def issue_credential(self, device: str) -> None:
        await self._count("credential-device", device, CREDENTIALS_PER_DEVICE)

    async def _count(self, what: str, who: str, limit: tuple[int, int]) -> None:
        count_max, window_s = limit
        # Hashed: whoever reads the cache need not learn who signs in.
        key = f"limit:{what}:{hashlib.sha256(who.encode(errors='replace')).hexdigest()[:32]}"
        counted = await self._cache.count(key, window_s=window_s)
        if counted is not None and counted > count_max:
            # Windows are aligned to the clock, in every cache.
            left_s = window_s - self._clock.now_ms() // 1000 % window_s
            detail = f"At most {count_max} within {window_s} s; try again in {left_s} s."
            raise Refused("too-many-requests", detail, status=429, retry_after_s=left_s)
