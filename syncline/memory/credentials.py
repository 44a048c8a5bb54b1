"""An issuer whose credentials open nothing; ``issued`` tells what each would open."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from syncline.domain.errors import Broken
from syncline.memory.objects import BUCKET
from syncline.ports.clock import Clock
from syncline.ports.credentials import Credential

DURATION_S_MIN = 900
DURATION_S_MAX = 3600


class Issued(NamedTuple):
    session_name: str
    write_prefixes: tuple[str, ...]
    read_prefixes: tuple[str, ...]
    credential: Credential


class MemoryCredentials:
    """``CredentialIssuer`` on a clock."""

    def __init__(self, clock: Clock) -> None:
        self.issued: list[Issued] = []
        self._clock = clock

    async def issue(
        self,
        *,
        session_name: str,
        write_prefixes: tuple[str, ...],
        read_prefixes: tuple[str, ...],
        duration_s: int,
    ) -> Credential:
        check_request(write_prefixes, read_prefixes, duration_s)
        await asyncio.sleep(0)
        number = len(self.issued) + 1
        credential = Credential(
            access_key_id=f"MEMORY{number}",
            secret_access_key=f"secret-{number}",
            session_token=f"token-{number}",
            expires_at=self._clock.now_ms() // 1000 + duration_s,
            bucket=BUCKET,
            region="us-east-1",
            endpoint="",
        )
        self.issued.append(Issued(session_name, write_prefixes, read_prefixes, credential))
        return credential


def check_request(write_prefixes: tuple[str, ...], read_prefixes: tuple[str, ...], duration_s: int) -> None:
    """Raises ``Broken`` for what must never be asked: a prefix that is none opens more than was meant."""
    for prefix in (*write_prefixes, *read_prefixes):
        if not prefix.endswith("/") or prefix.startswith("/") or any(mark in prefix for mark in "*?$"):
            raise Broken(f"{prefix!r} is no key prefix: it must end in '/' and hold none of '*?$'")
    if not write_prefixes and not read_prefixes:
        raise Broken("A credential without prefixes would open nothing")
    if not DURATION_S_MIN <= duration_s <= DURATION_S_MAX:
        raise Broken(f"A credential lasts {DURATION_S_MIN} to {DURATION_S_MAX} s, not {duration_s}")
