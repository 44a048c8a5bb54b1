"""Who may make an account."""

from __future__ import annotations

from enum import StrEnum


class Registration(StrEnum):
    """``OPEN``: anybody. ``INVITED``: who was invited by mail. ``CLOSED``: nobody; operators make accounts."""

    OPEN = "open"
    INVITED = "invited"
    CLOSED = "closed"
