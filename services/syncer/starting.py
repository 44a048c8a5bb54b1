"""Where a client starts: after its cursor, at a snapshot, or from the beginning; and what it is told when it must anew.

The two policies are named after those of Microsoft Graph's delta queries ("resync: apply differences, upload
differences"); docs/api.md says what they ask of a client.
"""

from __future__ import annotations

from enum import StrEnum

from syncline.domain.cursors import Cursor, decode_cursor, encode_cursor
from syncline.domain.errors import Refused
from syncline.messages import api
from syncline.ports.objects import ObjectStore
from syncline.store.archiving import ArchiveStore, SnapshotRecord
from syncline.store.incarnations import Incarnations
from syncline.store.journal import Head

COMMITS_RETAINED = 100_000
"""A cursor further behind than this starts from a snapshot, if there is one that is newer."""
URL_S = 15 * 60


class Resync(StrEnum):
    """What a client that starts anew does with what it holds."""

    APPLY = "apply-differences"  # the service knows all that was agreed: its state replaces the client's
    UPLOAD = "upload-differences"  # the service may have lost some of it: what it lacks is sent to it again


class Starting:
    def __init__(
        self, store: ArchiveStore, incarnations: Incarnations, objects: ObjectStore, commits_retained: int
    ) -> None:
        self._store = store
        self._incarnations = incarnations
        self._objects = objects
        self._commits_retained = commits_retained

    async def position(self, library: str, cursor: str, head: Head) -> int:
        """The seq a client has come to; 0 without a cursor.

        Raises ``Refused``: "bad-cursor" (422), or "cursor-gone" (410) with where to start and what to do.
        """
        if not cursor:
            return 0
        decoded = _decoded(cursor)
        snapshot = None
        if decoded.incarnation == head.incarnation and decoded.seq <= head.seq:
            if head.seq - decoded.seq <= self._commits_retained:
                return decoded.seq
            snapshot = await self._store.snapshot(library, head.incarnation)
            if snapshot is None or snapshot.seq <= decoded.seq:
                return decoded.seq
            detail = "The cursor is too old for single changes; start again from the snapshot."
            raise _gone(detail, head, snapshot, known_to=head.seq, resync=Resync.APPLY)
        lineage = await self._incarnations.lineage(library, head.incarnation)
        # A cursor beyond its own journal's head comes from one that was set back: nothing is sure.
        known_to = lineage.kept(decoded.incarnation)
        resync = Resync.APPLY if decoded.seq <= known_to else Resync.UPLOAD
        snapshot = await self._store.snapshot(library, head.incarnation)
        detail = "The library was restored since this cursor was handed out; start again."
        raise _gone(detail, head, snapshot, known_to=known_to, resync=resync)

    async def snapshot(self, library: str, head: Head) -> api.Snapshot:
        """The newest snapshot. Raises ``Refused("no-snapshot")``."""
        record = await self._store.snapshot(library, head.incarnation)
        if record is None:
            raise Refused(
                "no-snapshot", "The library has no snapshot; list its changes from the beginning.", status=404
            )
        filename = f"{library}-{record.seq}.snapshot.gz"
        url = await self._objects.presign_get(record.key, record.s3_version, filename=filename, expires_s=URL_S)
        return api.Snapshot(
            seq=record.seq,
            cursor=encode_cursor(Cursor(head.incarnation, record.seq)),
            url=url,
            expires_in_s=URL_S,
            size_bytes=record.size_bytes,
            checksum=record.checksum,
            nodes=record.nodes,
            at_ms=record.at_ms,
        )


def _gone(detail: str, head: Head, snapshot: SnapshotRecord | None, *, known_to: int, resync: Resync) -> Refused:
    facts: dict[str, object] = {
        "start": encode_cursor(Cursor(head.incarnation, 0)),
        "resync": resync.value,
        "known_to": known_to,
    }
    if snapshot is not None:
        facts["snapshot"] = f"/v1/sync/libraries/{snapshot.library}/snapshot"
    return Refused("cursor-gone", detail, status=410, **facts)


def _decoded(cursor: str) -> Cursor:
    try:
        return decode_cursor(cursor)
    except Refused as error:
        raise Refused(error.kind, error.detail, status=422, at="cursor") from None
