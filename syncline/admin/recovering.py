"""Recovering: bytes that landed after the last commit that is known become versions again, by their own permits.

The bucket is listed, whatever the permit ids in the keys do not tell to be known already is looked at, and each permit
that holds is decided by the very rules that decided it the first time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from syncline.domain.commands import AddVersion, Command, MakeFolder, Permit, Request
from syncline.domain.commits import Commit, Status
from syncline.domain.deciding import decide
from syncline.domain.errors import NotFound, Refused
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Location
from syncline.domain.permits import METADATA_NAME, PermitKeys, check_landed, open_permit, parse_key, read_prefixes
from syncline.domain.tree import Tree
from syncline.ports.objects import ObjectInfo, ObjectStore
from syncline.store.together import together

HEADS_AT_ONCE = 32
KEYS_AT_ONCE = 1_000
DEVICE_NAME = "recovered"
"""Stands for the device in the name of a conflict copy."""

MayWrite = Callable[[str], bool]


class Landed(msgspec.Struct, frozen=True):
    """An object with a permit that holds. ``at_s``: when it landed (Unix s)."""

    at_s: int
    permit: Permit
    location: Location

    @property
    def order(self) -> tuple[int, str, int, str]:
        """As they landed; those of one second in their device's order."""
        return self.at_s, self.permit.device, self.permit.counter, self.permit.id


class Unrecovered(msgspec.Struct, frozen=True):
    """Bytes that became no version, and why (a slug). They stay in the bucket."""

    key: str
    reason: str


class Recovery:
    """One library's. ``commits`` are those to append to the journal that ``tree`` was folded from, in order.

    ``after_ms`` is when its last commit was made (Unix ms).
    """

    def __init__(
        self, objects: ObjectStore, keys: PermitKeys, tree: Tree, may_write: MayWrite, *, after_ms: int
    ) -> None:
        self._objects = objects
        self._keys = keys
        self._tree = tree
        self._may_write = may_write
        self._at_ms = after_ms
        self.commits: list[Commit] = []
        self.unrecovered: list[Unrecovered] = []

    async def run(self) -> None:
        """Extend ``tree`` by what the bucket has beyond it. Raises ``Temporary``."""
        pending = sorted(await self._landed(), key=lambda one: one.order)
        while pending:
            left = [one for one in pending if not self._take(one)]
            if len(left) == len(pending):
                # Versions of files that nobody knows any more, nor where they were.
                self.unrecovered += [Unrecovered(one.permit.key, "no-such-file") for one in left]
                return
            pending = left

    async def _landed(self) -> list[Landed]:
        landed: list[Landed] = []
        for prefix in read_prefixes(self._tree.library):
            batch: list[str] = []
            async for key in self._objects.list_keys(prefix):
                named = parse_key(key)
                if named is not None and self._tree.version(named.permit) is None:
                    batch.append(key)
                if len(batch) == KEYS_AT_ONCE:
                    landed += await self._look(batch)
                    batch = []
            landed += await self._look(batch)
        return landed

    async def _look(self, keys: Sequence[str]) -> list[Landed]:
        landed = []
        for key, found in zip(keys, await together(keys, self._head, at_once=HEADS_AT_ONCE), strict=True):
            if found is None:
                continue
            try:
                landed.append(self._judge(found))
            except Refused as refused:
                self.unrecovered.append(Unrecovered(key, refused.kind))
        return landed

    async def _head(self, key: str) -> ObjectInfo | None:
        try:
            return await self._objects.head(key)
        except NotFound:
            return None

    def _judge(self, found: ObjectInfo) -> Landed:
        """Raises ``Refused`` with the reason why an object cannot become a version."""
        sealed = found.metadata.get(METADATA_NAME, "")
        if not sealed:
            raise Refused("no-permit", "The object carries no permit.")
        permit = open_permit(sealed, self._keys)
        check_landed(
            permit,
            key=found.key,
            size_bytes=found.size_bytes,
            checksum=found.checksum,
            last_modified=found.last_modified,
        )
        if permit.library != self._tree.library:
            raise Refused("permit-other-library", "The permit was issued for another library.")
        if not self._may_write(permit.account):
            raise Refused("not-allowed", "Its maker is no member any more.")
        return Landed(found.last_modified, permit, Location(found.key, found.s3_version, 0, found.size_bytes))

    def _take(self, one: Landed) -> bool:
        """Decide one permit; False when it may have to wait for another one."""
        permit = one.permit
        requests: list[Request] = [AddVersion(permit)]
        if permit.name and self._tree.node(permit.parent) is None:
            # Its folder was made after the last known commit. What it was called is not known; clients may know.
            requests.insert(0, MakeFolder(permit.parent, self._tree.library, f"recovered {permit.parent[:6]}"))
        command = Command(
            _command_id(permit),
            permit.library,
            permit.account,
            permit.device,
            permit.counter,
            permit.epoch,
            tuple(requests),
        )
        landed = {permit.id: one.location}
        # Commits are in order of time, whenever their bytes landed.
        seq, self._at_ms = self._tree.seq + 1, max(self._at_ms, one.at_s * 1000)
        decision = decide(self._tree, command, landed, seq=seq, now_ms=self._at_ms, device_name=DEVICE_NAME)
        result = decision.outcome.results[-1]
        if result.status is Status.REFUSED:
            if result.reason == "no-such-file":
                return False
            self.unrecovered.append(Unrecovered(permit.key, result.reason))
            return True
        if decision.commit is not None:
            self._tree.apply(decision.commit)
            self.commits.append(decision.commit)
        return True


def _command_id(permit: Permit) -> str:
    return id_from_bytes(hashlib.sha256(f"recover\n{permit.id}".encode()).digest())
