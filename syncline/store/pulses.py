"""Pulses: what every running instance of a service says of itself, every ``PULSE_S``.

Rows in the table ``directory``::

    pk = pulse#{service}   sk = {instance}   version, state, started_at_ms, at_ms, measures (packed), expires_at

Each instance writes its own row and no other. One that is stopped says so; one that was killed falls silent, and its
row stays until it expires. One write unit a pulse.
"""

from __future__ import annotations

from syncline.domain.errors import Broken
from syncline.domain.figures import State
from syncline.domain.health import Instance
from syncline.ports.tables import Put, Row, Table, Tables
from syncline.store.codec import blob, number, pack, text, unpack

KEPT_S = 3_600
"""Above the time for which an instance that fell silent counts as lost."""
ROWS_MAX = 10_000
"""Of one service, those included that the table has not dropped yet; beyond, instances are not seen."""


class Pulses:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def beat(self, instance: Instance) -> None:
        """Take the place of this instance's last pulse. Raises what ``Tables`` raises."""
        row: Row = {
            "pk": _partition(instance.service),
            "sk": instance.name,
            "version": instance.version,
            "state": instance.state.value,
            "started_at_ms": instance.started_at_ms,
            "at_ms": instance.at_ms,
            "measures": pack(dict(instance.measures)),
            "expires_at": instance.at_ms // 1000 + KEPT_S,
        }
        await self._tables.write(Put(Table.DIRECTORY, row))

    async def of(self, service: str) -> list[Instance]:
        """Those of its instances that were not stopped, by name; also those silent for long. Raises ``Broken`` for a
        row that cannot be read."""
        rows = self._tables.query(Table.DIRECTORY, _partition(service), limit=ROWS_MAX)
        told = [_instance(service, row) async for row in rows]
        return [one for one in told if one.state is not State.STOPPED]


def _partition(service: str) -> str:
    return f"pulse#{service}"


def _instance(service: str, row: Row) -> Instance:
    name = str(row["sk"])
    try:
        state = State(text(row, "state"))
    except ValueError as error:
        raise Broken(f"The pulse of {name} cannot be read: {error}") from None
    started_at_ms, at_ms = number(row, "started_at_ms"), number(row, "at_ms")
    measures = unpack(dict[str, float], blob(row, "measures"))
    return Instance(service, name, text(row, "version"), state, started_at_ms, at_ms, measures)
