"""What the syncer tells in its pulse, besides its queue and its requests."""

from __future__ import annotations

from services.syncer.archiver import Archiver
from services.syncer.hub import Hub
from syncline.serving.measures import Gauge, Measure


def measures_of_syncer(hub: Hub, archiver: Archiver) -> list[Measure]:
    async def held() -> float:
        return hub.held

    return [Gauge("held_requests", held), Gauge("archive_failed_in_a_row", archiver.failed_in_a_row)]
