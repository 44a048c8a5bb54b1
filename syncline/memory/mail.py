"""A mailer that keeps what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple

from syncline.domain.errors import Refused
from syncline.ports.mail import UNLIMITED, SendRate


class SentMail(NamedTuple):
    to: str
    message: EmailMessage


class MemoryMailer:
    """``Mailer`` whose mail lies in ``sent``; addresses in ``rejected`` are refused. ``allowed`` is what it says of its
    limits; it does not hold callers to them."""

    def __init__(self, *, rejected: Iterable[str] = (), allowed: SendRate = UNLIMITED) -> None:
        self.sent: list[SentMail] = []
        self.rejected = set(rejected)
        self.allowed = allowed

    async def send(self, message: EmailMessage, *, to: str) -> str:
        await asyncio.sleep(0)
        if to in self.rejected:
            raise Refused("mail-rejected", f"No mail can be sent to {to}", status=422)
        # Kept as it would travel: what cannot be written as bytes fails here too.
        copy = message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.default)
        self.sent.append(SentMail(to, copy))
        return f"memory-{len(self.sent)}"

    async def rate(self) -> SendRate:
        await asyncio.sleep(0)
        return self.allowed
