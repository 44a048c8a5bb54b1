"""Who asks, and what they may: access tokens, devices, and members' roles.

An access token is a JWT (HS256) with the key's id, ``sub`` the account, ``dev`` the device, ``aud`` "syncline", good
for 15 minutes. Besides, its device must not have been signed out: looked up at every request, and never remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import jwt
import msgspec
from aiohttp import web

from syncline.domain.capabilities import SigningKey
from syncline.domain.errors import Broken, Refused
from syncline.domain.ids import is_id
from syncline.domain.rights import Role, may_govern, may_read, may_write
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.serving.logging import bind_context
from syncline.serving.sharing import SharedReads
from syncline.store.directory import Directory
from syncline.store.journal import Head, Journal

ALGORITHM = "HS256"
AUDIENCE = "syncline"
ACCESS_TOKEN_S = 15 * 60
TOKEN_CHARACTERS_MAX = 2_048
KEY_BYTES_MIN = 32
REMEMBER_S = 30


class Caller(msgspec.Struct, frozen=True):
    """Who asks: an account on one of its devices."""

    account: str
    device: str


class Tokens:
    """Issues and reads access tokens. The first key signs; all verify, so that keys can be changed.

    Keys have at least 32 bytes, else ``Broken`` is raised; a key's id travels in the token's header.
    """

    def __init__(self, keys: Sequence[SigningKey], clock: Clock) -> None:
        if not keys or any(len(key.secret) < KEY_BYTES_MIN for key in keys):
            raise Broken(f"Access tokens need a key of at least {KEY_BYTES_MIN} bytes; configure one.")
        self._signing = keys[0]
        self._secrets = {key.id: key.secret for key in keys}
        self._clock = clock

    def issue(self, caller: Caller) -> str:
        now = self._clock.now_ms() // 1000
        claims = {
            "sub": caller.account,
            "dev": caller.device,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + ACCESS_TOKEN_S,
        }
        return jwt.encode(claims, self._signing.secret, ALGORITHM, headers={"kid": self._signing.id})

    def read(self, token: str) -> Caller:
        """Whom a token speaks for. Raises ``Refused`` (401): "token-expired", "not-signed-in" for anything else."""
        try:
            secret = self._secrets[jwt.get_unverified_header(token)["kid"]]
            # The library's own look at the clock is turned off: time comes from the port.
            claims = jwt.decode(
                token,
                secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={
                    "require": ["sub", "dev", "aud", "iat", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            caller = Caller(claims["sub"], claims["dev"])
            expires_at = claims["exp"]
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            raise not_signed_in("The access token is not one of ours.") from None
        if not (is_id(caller.account) and is_id(caller.device) and isinstance(expires_at, int)):
            raise not_signed_in("The access token is not one of ours.")
        if self._clock.now_ms() >= expires_at * 1000:
            raise Refused("token-expired", "The access token has expired; refresh the session.", status=401)
        return caller


class Authenticator:
    """Tells who asks, by token and device.

    Device and account are read with every request (one call, two read units, strongly consistent), so whoever is
    signed out is refused at the very next request, on every instance, whatever the cache does.
    """

    def __init__(self, tokens: Tokens, directory: Directory) -> None:
        self._tokens = tokens
        self._directory = directory

    async def authenticate(self, request: web.Request) -> Caller:
        """Who asks. Raises ``Refused`` (401): "not-signed-in", "token-expired", "device-revoked"."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_CHARACTERS_MAX:
            raise not_signed_in("The request carries no access token.")
        caller = self._tokens.read(token.strip())
        await self.check(caller)
        bind_context(account=caller.account, device=caller.device)
        return caller

    async def check(self, caller: Caller) -> None:
        """Raises ``Refused("device-revoked")`` (401) when the caller's device is signed in no more."""
        if await self._directory.signed_in(caller.account, caller.device) is None:
            raise Refused("device-revoked", "This device was signed out; sign in again.", status=401)


class Authenticates(Protocol):
    async def authenticate(self, request: web.Request) -> Caller: ...

    async def check(self, caller: Caller) -> None: ...


AUTHENTICATOR: web.AppKey[Authenticates] = web.AppKey("authenticator", Authenticates)


async def authenticate(request: web.Request) -> Caller:
    """Who asks, by the application's authenticator (``app[AUTHENTICATOR]``). Raises ``Refused`` (401)."""
    return await request.app[AUTHENTICATOR].authenticate(request)


class Standing(NamedTuple):
    """A member's role in a library (None: no member) and the library's head when it was looked up."""

    role: Role | None
    head: Head


class Access:
    """What an account may do in a library.

    A role is remembered up to 30 s *under the members' epoch*, which lies in the head and moves with every change of
    members: whoever was removed is refused at the next request, since the head is read each time.
    """

    def __init__(self, directory: Directory, journal: Journal, cache: Cache) -> None:
        self._directory = directory
        self._heads = SharedReads(journal.head)
        self._cache = cache

    async def role(self, library: str, account: str) -> Role | None:
        """The account's role; None when it is no member or there is no such library."""
        head = await self._heads.get(library) if is_id(library) else None
        return None if head is None else await self._role_at(library, account, head)

    async def require_read(self, library: str, account: str) -> Standing:
        """Raises ``Refused("no-such-library")`` (404) alike for strangers and for libraries that are not there."""
        head = await self._heads.get(library) if is_id(library) else None
        role = None if head is None else await self._role_at(library, account, head)
        if head is None or not may_read(role):
            raise no_such_library()
        bind_context(library=library)
        return Standing(role, head)

    async def require_write(self, library: str, account: str) -> Standing:
        """As ``require_read``; besides raises ``Refused("not-allowed")`` (403) for members who only read."""
        standing = await self.require_read(library, account)
        if not may_write(standing.role):
            raise Refused("not-allowed", "Viewers cannot change this library.", status=403)
        return standing

    async def require_govern(self, library: str, account: str) -> Standing:
        """As ``require_read``; besides raises ``Refused("not-allowed")`` (403) for members who are no owners."""
        standing = await self.require_read(library, account)
        if not may_govern(standing.role):
            raise Refused("not-allowed", "Only owners can do this.", status=403)
        return standing

    async def _role_at(self, library: str, account: str, head: Head) -> Role | None:
        key = f"role:{library}:{head.epoch}:{account}"
        remembered = await self._cache.get(key)
        if remembered is not None and (role := _ROLES.get(remembered)) is not None:
            return role
        role = await self._directory.member(library, account)
        if role is not None:
            await self._cache.put(key, role.value.encode(), ttl_s=REMEMBER_S)
        return role


_ROLES = {role.value.encode(): role for role in Role}


def not_signed_in(detail: str) -> Refused:
    return Refused("not-signed-in", detail, status=401)


def no_such_library() -> Refused:
    return Refused("no-such-library", "There is no such library, or you are not a member of it.", status=404)
