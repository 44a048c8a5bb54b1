"""An issuer whose credentials open nothing; ``issued`` tells what each would open."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from syncline.memory.objects import BUCKET
from syncline.ports.clock import Clock
from syncline.ports.credentials import Credential, check_request


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
