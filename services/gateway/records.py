"""The rooms about use and the audit log, with the routes that they serve."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway import records_table as table
from services.gateway.audits import Audits
from services.gateway.quotas import Quota
from syncline.serving.routes import Endpoint, bind


@dataclass(frozen=True)
class Records:
    quota: Quota
    audits: Audits


def endpoints(rooms: Records) -> list[Endpoint]:
    return [
        bind(table.USAGE, rooms.quota.library),
        bind(table.MY_USAGE, rooms.quota.mine),
        bind(table.AUDIT, rooms.audits.library),
        bind(table.MY_AUDIT, rooms.audits.mine),
    ]
