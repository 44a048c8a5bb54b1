"""What a webhook is told: the JSON body of a delivery. Fields are only ever appended; docs/api.md shows one.

A delivery tells of the commits ``from_seq`` to ``to_seq``. It carries their first changes; the others, where ``more``,
and all of them, are read with ``cursor``, which stands just before ``from_seq``. Deliveries may come twice or overlap:
``to_seq`` tells.
"""

from __future__ import annotations

import msgspec

SIGNATURE_HEADER = "Syncline-Signature"
WEBHOOK_HEADER = "Syncline-Webhook"


class ToldChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change. ``was_parent`` and ``was_name``: the place that the node left. ``version``: of a file."""

    seq: int
    at_ms: int
    account: str
    effect: str
    node: str
    kind: str
    parent: str
    name: str
    was_parent: str = ""
    was_name: str = ""
    version: str = ""


class Delivery(msgspec.Struct, frozen=True):
    library: str
    webhook: str
    from_seq: int
    to_seq: int
    cursor: str
    more: bool
    changes: tuple[ToldChange, ...]


def encode(delivery: Delivery) -> bytes:
    return msgspec.json.encode(delivery)
