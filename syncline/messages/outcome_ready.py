"""``OutcomeReady``: metadata → Redis channel ``outcome:{command}`` → the gateway that waits for it.

Wire form (msgpack): ``["OutcomeReady", 1, 1, outcome]`` with ``syncline.domain.commits.Outcome``. May be lost: the
outcome is in the table ``outcomes``.
"""

from __future__ import annotations

from syncline.domain.commits import Outcome
from syncline.messages.envelope import seal, unseal

NAME = "OutcomeReady"
VERSION = (1, 1)


def channel(command: str) -> str:
    return f"outcome:{command}"


def encode(outcome: Outcome) -> bytes:
    return seal(NAME, VERSION, outcome)


def decode(wire: bytes) -> Outcome:
    """Raises ``Unreadable``."""
    return unseal(NAME, VERSION[0], Outcome, wire)
