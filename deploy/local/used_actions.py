"""Writes down which permissions were used or missing: what tests of least privilege compare with the policies.

One JSON object a line, for the first request of each kind: same identity, action, kind of resource, kinds of partition
keys, other condition keys and decision. Kinds of keys are bounded by the code that makes them, so the file is too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.authorization import FROM_ADDRESS, LEADING_KEYS

KINDS_MAX = 10_000
# The condition keys that the policies of this project ask about.
CONDITION_KEYS = (LEADING_KEYS, FROM_ADDRESS, "s3:if-none-match", "s3:ObjectCreationOperation")


class Request(msgspec.Struct, frozen=True):
    """A request as policies see it. ``who`` is the name of an IAM user or role; ``resource`` an ARN or ``*``."""

    who: str
    action: str
    resource: str
    context: dict[str, Any]
    allowed: bool


class UsedActions:
    """Called with each decision, appends those of a new kind to the file at `path`. Raises OSError."""

    def __init__(self, path: Path):
        self._path = path
        self._kinds: set[tuple[Any, ...]] = set()

    def __call__(
        self, principal_arn: str, action: str, resource: str, context: Mapping[str, Any], allowed: bool
    ) -> None:
        asked = {name: context[name] for name in CONDITION_KEYS if name in context}
        request = Request(who_is(principal_arn), action, resource, asked, allowed)
        kind = kind_of(request)
        if kind in self._kinds:
            return
        if len(self._kinds) == KINDS_MAX:
            raise OSError(f"More than {KINDS_MAX} kinds of requests for {self._path}")
        self._kinds.add(kind)
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(msgspec.json.encode(request) + b"\n")


def read(path: Path) -> Iterator[Request]:
    """The requests that were written to `path`."""
    for line in path.read_bytes().splitlines():
        yield msgspec.json.decode(line, type=Request)


def who_is(principal_arn: str) -> str:
    """The name of the user, or of the role that a session has, as in arn:aws:sts::1:assumed-role/ROLE/SESSION."""
    return principal_arn.split("/")[1]


def kind_of(request: Request) -> tuple[Any, ...]:
    """What requests have in common that the same permissions allow."""
    keys = frozenset(key.partition("#")[0] for key in request.context.get(LEADING_KEYS, ()))
    others = tuple(sorted((name, value) for name, value in request.context.items() if name != LEADING_KEYS))
    # An object counts by the first part of its key.
    resource = "/".join(request.resource.split("/", 2)[:2]) if request.action.startswith("s3:") else request.resource
    return (request.who, request.action, resource, keys, others, request.allowed)
