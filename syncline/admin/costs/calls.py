"""What the code asks of AWS for each piece of work, as a test counted it (``calls.json``).

The table is written by ``python -m tests.unit.admin.counted``. The tests count again and compare: code that asks for
more or less fails them until the table, and with it the bill, is renewed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

PATH = Path(__file__).with_name("calls.json")
REST_S = 900
"""How long the services were watched at rest: an interval of the sweep."""


class Work(msgspec.Struct, frozen=True):
    """``calls`` are requests by the names of AWS's interfaces; units are DynamoDB's (one strongly consistent read of
    4 KB, one write of 1 KB); ``stored_bytes`` is what stays in the tables."""

    calls: dict[str, float] = {}
    read_units: float = 0
    write_units: float = 0
    stored_bytes: float = 0

    def times(self, factor: float) -> Work:
        return Work(
            {name: count * factor for name, count in self.calls.items()},
            self.read_units * factor,
            self.write_units * factor,
            self.stored_bytes * factor,
        )


def counted() -> dict[str, Work]:
    """All pieces of work by name."""
    return msgspec.json.decode(PATH.read_bytes(), type=dict[str, Work])
