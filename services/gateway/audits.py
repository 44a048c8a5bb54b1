"""Reading the audit log: an account's own, and a library's, merged with what its journal says was changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from services.gateway.auditing import DONE
from syncline.domain.commits import Commit
from syncline.domain.errors import Refused
from syncline.messages.records import AuditEntry, AuditPage
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.audit import Audit, account_subject, email_subject, library_subject, now_place, position_of
from syncline.store.directory import Directory
from syncline.store.journal import Journal

PAGE_DEFAULT = 50
COMMITS_AT_ONCE = 16
CHANGED = "content.change"
_POSITION = re.compile(r"(\d{14}#[a-z2-7~]{1,20})\.(\d{1,15})")


class Audits:
    def __init__(self, audit: Audit, journal: Journal, directory: Directory, access: Access, clock: Clock) -> None:
        self._audit = audit
        self._journal = journal
        self._directory = directory
        self._access = access
        self._clock = clock

    async def library(self, call: Call, _body: Nothing) -> AuditPage | web.StreamResponse:
        """Owners: what was done in and to a library."""
        _, head = await self._access.require_govern(call.library, call.caller.account)
        place, upto = self._position(call, head.seq)
        acts = self._read(library_subject(call.library), place)
        return await _answer(call, _merged(acts, self._commits(call.library, min(head.seq, upto)), place, upto))

    async def mine(self, call: Call, _body: Nothing) -> AuditPage | web.StreamResponse:
        """What the asker did, what was done to it, and who failed to sign in with its address."""
        place, _ = self._position(call, 0)
        account = await self._directory.account(call.caller.account)
        acts = self._read(account_subject(call.caller.account), place)
        tries = self._read(email_subject(account.email if account else ""), place)
        return await _answer(call, _merged(acts, tries, place, 0))

    def _read(self, subject: str, before: str) -> AsyncIterator[AuditEntry]:
        return self._audit.read(subject, before=before)

    def _position(self, call: Call, head: int) -> tuple[str, int]:
        """From ``before``: the place in the log, and the newest commit yet to come. Raises ``Refused`` (422)."""
        text = call.text("before")
        if not text:
            return now_place(self._clock.now_ms()), head
        matched = _POSITION.fullmatch(text)
        if matched is None:
            raise Refused("invalid-query", "The parameter before is the `next` of a page.", status=422, at="before")
        return matched[1], int(matched[2])

    async def _commits(self, library: str, upto: int) -> AsyncIterator[AuditEntry]:
        while upto > 0:
            after = max(0, upto - COMMITS_AT_ONCE)
            commits = [commit async for commit in self._journal.read(library, after, upto)]
            for commit in reversed(commits):
                yield entry_of(commit)
            upto = after


def entry_of(commit: Commit) -> AuditEntry:
    """A commit as the audit log shows it. Its network address is not in the journal."""
    effects = Counter(change.effect.value for change in commit.changes)
    details: dict[str, str | int] = {"seq": commit.seq, **effects}
    return AuditEntry(
        commit.command, commit.at_ms, CHANGED, DONE, commit.account, commit.device, "", commit.library, details
    )


async def _merged(
    acts: AsyncIterator[AuditEntry], others: AsyncIterator[AuditEntry], place: str, upto: int
) -> AsyncIterator[tuple[AuditEntry, str]]:
    """Both, newest first, each entry with the position that goes on after it."""
    act, other = await anext(acts, None), await anext(others, None)
    while act is not None or other is not None:
        if other is None or (act is not None and act.at_ms >= other.at_ms):
            assert act is not None
            entry, act = act, await anext(acts, None)
        else:
            entry, other = other, await anext(others, None)
        if entry.action == CHANGED:
            upto = int(entry.details["seq"]) - 1
        else:
            place = position_of(entry)
        yield entry, f"{place}.{upto}"


async def _answer(call: Call, entries: AsyncIterator[tuple[AuditEntry, str]]) -> AuditPage | web.StreamResponse:
    if call.text("format") == "jsonl":
        return await _stream(call.request, entries)
    limit = call.number("limit", PAGE_DEFAULT)
    page: list[AuditEntry] = []
    position = ""
    async for entry, after in entries:
        if len(page) == limit:
            return AuditPage(page, position)
        page.append(entry)
        position = after
    return AuditPage(page)


async def _stream(request: web.Request, entries: AsyncIterator[tuple[AuditEntry, str]]) -> web.StreamResponse:
    """All of it, a line for each entry, as fast as it is taken."""
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl", "Cache-Control": "no-store"})
    await response.prepare(request)
    async for entry, _ in entries:
        await response.write(msgspec.json.encode(entry) + b"\n")
    await response.write_eof()
    return response
