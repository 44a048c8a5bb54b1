"""Outgoing mail (Amazon SES v2). At least once as the caller drives it: after ``Temporary`` the mail may have gone.

Errors: ``Temporary`` (throttled, away), ``Refused("mail-rejected")`` (can never be sent), ``Broken``.
"""

from __future__ import annotations

import math
from email.message import EmailMessage
from typing import Protocol

import msgspec


class SendRate(msgspec.Struct, frozen=True):
    """What the provider lets the whole account send: mails in a second, how many more in these 24 hours, and how many
    in any 24 hours."""

    per_second: float
    left_today: float
    per_day: float = math.inf


UNLIMITED = SendRate(math.inf, math.inf)


class Mailer(Protocol):
    async def send(self, message: EmailMessage, *, to: str) -> str:
        """Send one message, all its headers kept, to one address. Answers the provider's message id."""
        ...

    async def rate(self) -> SendRate:
        """How much may be sent, as the provider says now. Sending faster is throttled (``Temporary``)."""
        ...
