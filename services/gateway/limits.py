"""Rate limits: counted in the cache by the window, so that all instances count together.

The mechanism, which limits all other requests too, is ``syncline/serving/limits``.
"""

from __future__ import annotations

from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.serving.limits import Limit, Windows

SIGN_INS_PER_ADDRESS = (120, 60)  # so many per so many seconds
SIGN_INS_PER_BOTH = (20, 900)
ACCOUNTS_PER_ADDRESS = (120, 600)
LETTERS_PER_ADDRESS = (30, 3600)  # asked for by strangers
LETTERS_PER_EMAIL = (5, 3600)
LETTERS_PER_ACCOUNT = (200, 3600)
CREDENTIALS_PER_DEVICE = (600, 60)  # STS gives a whole AWS account some 600 a second


class Limits:
    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._windows = Windows(cache, clock)

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
        await self._windows.require(Limit(what, count_max, window_s), who)
