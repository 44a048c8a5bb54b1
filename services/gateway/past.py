"""The gateway's rooms about what was, and what serves their routes."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway import history_table as table
from services.gateway.history import History
from services.gateway.keeping import Keeping
from services.gateway.purging import Purging
from syncline.serving.routes import Endpoint, bind


@dataclass(frozen=True)
class Past:
    history: History
    keeping: Keeping
    purging: Purging


def endpoints(rooms: Past) -> list[Endpoint]:
    """Every route of ``history_table`` with what serves it."""
    return [
        bind(table.TRASH, rooms.history.trash),
        bind(table.RESTORE_NODE, rooms.history.restore),
        bind(table.REWIND, rooms.history.rewind),
        bind(table.PURGE, rooms.purging.purge),
        bind(table.RETENTION, rooms.keeping.get),
        bind(table.SET_RETENTION, rooms.keeping.set),
    ]
