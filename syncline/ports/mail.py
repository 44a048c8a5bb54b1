"""Outgoing mail (Amazon SES v2). At least once as the caller drives it: after ``Temporary`` the mail may have gone.

Errors: ``Temporary`` (throttled, away), ``Refused("mail-rejected")`` (can never be sent), ``Broken``.
"""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class Mailer(Protocol):
    async def send(self, message: EmailMessage, *, to: str) -> str:
        """Send one message, all its headers kept, to one address. Answers the provider's message id."""
        ...
