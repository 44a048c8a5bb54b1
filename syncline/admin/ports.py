"""What the operator's commands need of the world. ``__main__`` puts AWS in, tests memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from syncline.domain.ids import NewId
from syncline.domain.permits import PermitKeys
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queues
from syncline.ports.tables import Tables
from syncline.ports.topics import ChangesTopic


@dataclass(frozen=True, slots=True)
class Ports:
    tables: Tables
    objects: ObjectStore
    queues: Queues
    topic: ChangesTopic
    cache: Cache
    clock: Clock
    new_id: NewId
    permit_keys: PermitKeys


OpenPorts = Callable[[], AbstractAsyncContextManager[Ports]]
"""Connects when it is entered; nothing is opened for ``--help``."""
