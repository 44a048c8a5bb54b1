"""The service's routes about use and the audit log as typed methods; ``api`` has the others."""

from __future__ import annotations

from syncline.client.http import Transport
from syncline.messages.records import AccountUse, AuditEntry, AuditPage, LibraryUse

PAGE_MAX = 200


class RecordsApi:
    """Errors and retries are those of ``http``."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    async def usage(self, library: str) -> LibraryUse:
        return await self._call("GET", f"/v1/libraries/{library}/usage", LibraryUse)

    async def my_usage(self) -> AccountUse:
        return await self._call("GET", "/v1/me/usage", AccountUse)

    async def audit(self, library: str, limit: int) -> list[AuditEntry]:
        """The newest entries of a library, or of the account that asks when ``library`` is ""."""
        path = f"/v1/libraries/{library}/audit" if library else "/v1/me/audit"
        entries: list[AuditEntry] = []
        before = ""
        while len(entries) < limit:
            query: dict[str, str | int] = {"limit": min(PAGE_MAX, limit - len(entries))}
            page = await self._call("GET", path, AuditPage, query={**query, "before": before} if before else query)
            entries += page.entries
            before = page.next
            if not before:
                break
        return entries
