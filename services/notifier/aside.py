"""Sets aside what cannot be read or done, so that the rest goes on: counted, logged, kept for the operator."""

from __future__ import annotations

from syncline.ports.clock import Clock
from syncline.ports.tables import Tables
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics
from syncline.store.aside import Aside, AsideRow, DamagedRow

REASON_CHARACTERS_MAX = 500


class SettingAside:
    """Shared by the parts of the service that work through due rows."""

    def __init__(self, tables: Tables, clock: Clock, metrics: Metrics) -> None:
        self._aside = Aside(tables)
        self._clock = clock
        self.rows = metrics.counter("rows_set_aside", "Rows that could not be read or done, by part.", ("part",))

    async def set_aside(self, part: str, damaged: DamagedRow) -> None:
        """Raises ``Temporary``; then the row is met again."""
        reason, row = str(damaged)[:REASON_CHARACTERS_MAX], damaged.row
        if await self._aside.put(AsideRow(damaged.table, row, part, reason, self._clock.now_ms())):
            self.rows.labels(part).inc()
            get_logger().error(
                "row-set-aside", part=part, table=damaged.table.value, pk=row["pk"], sk=row["sk"], reason=reason
            )
