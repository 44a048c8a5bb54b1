"""The sync engine: all links of one home, one pass at a time for each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from syncline.client import planner
from syncline.client.alike import not_beside
from syncline.client.apart import apart
from syncline.client.api import Api
from syncline.client.disk import Disk
from syncline.client.holding import Held, check_free, note_home
from syncline.client.home import Home
from syncline.client.index import Index, Link as Link
from syncline.client.keeping import Told
from syncline.client.link_targets import leading_out
from syncline.client.one_pass import Pass, Service, Tools, new_id
from syncline.client.operations import HeldRemoval
from syncline.client.progress import NoProgress, Progress, Way
from syncline.client.reduced import reduced_trees, rules_of
from syncline.client.remote_tree import holdable, list_changes
from syncline.client.s3 import S3
from syncline.client.scanner import Scanner, hashed
from syncline.client.selecting import Choice, choices, choose
from syncline.client.settings import Settings, SettingsFile
from syncline.client.summary import Summary
from syncline.client.tasks import cancelled
from syncline.client.throttle import Throttle
from syncline.client.transfer import Transfers
from syncline.client.trees import Skipped
from syncline.client.verifying import Finding, differences, is_as_read
from syncline.client.watching import Watching
from syncline.domain.errors import Refused
from syncline.messages.api import Heads
from syncline.ports import tracing

SETTINGS_LOOK_S = 5.0


class Status(msgspec.Struct, frozen=True):
    """What a pass would do, as (verb, path) pairs. ``head`` is the library's seq at the service; ``held`` are removals
    that it would not make unless told to."""

    link: Link
    head: int
    to_send: tuple[tuple[str, str], ...]
    to_fetch: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]
    held: tuple[HeldRemoval, ...] = ()


class Verified(msgspec.Struct, frozen=True):
    """How a folder differs from its library at ``seq``. ``files`` is how many were read; ``skipped`` was left alone."""

    seq: int
    files: int
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]


class Engine:
    """All links of one home. ``transfers`` moves the bytes: over the API's own connections unless another is given."""

    def __init__(
        self,
        home: Home,
        service: Service,
        *,
        progress: Progress | None = None,
        transfers: Transfers | None = None,
        disk: Callable[[Path], Disk] = Disk,
    ) -> None:
        progress = progress or NoProgress()
        self._home = home
        self._service = service
        self._disk = disk
        self._scanners: dict[str, Scanner] = {}
        self._held: dict[str, Held] = {}
        self.index = Index(home.index_path)
        self.throttle = throttle_of(home)
        self._tools = Tools(service, self.index, transfers or over_http(service, progress, self.throttle), progress)

    def close(self) -> None:
        self.index.close()

    # -- links

    def links(self) -> list[Link]:
        """Every link of this home."""
        return self.index.links()

    def link_at(self, path: Path) -> Link:
        """The link whose directory is ``path`` or above it. Raises ``Refused("not-linked")``."""
        return link_of(self.links(), path)

    async def link(self, library: str, path: Path) -> Link:
        """Link a library (id) to a directory, made if need be. Content on both sides is merged by the next pass.

        Raises ``Refused("linked-already")`` when the directory, one above or one below belongs to a link.
        """
        found = await self._service.library(library)
        root = await asyncio.to_thread(path.resolve)
        for other in self.links():
            taken = Path(other.path)
            if taken == root or taken in root.parents or root in taken.parents:
                detail = f"{taken} is linked to {other.library_name} already."
                raise Refused("linked-already", detail, status=409)
        marker = secrets.token_hex(16)
        disk = self._disk(root)
        check_free(disk, self._home.path)
        with Held(disk):
            stat = await asyncio.to_thread(disk.mark, marker)
            note_home(disk, self._home.path)
        link = Link(new_id(), found.id, found.name, str(root), stat.st_dev, stat.st_ino, marker)
        await asyncio.to_thread(self.index.add_link, link)
        return link

    def unlink(self, link: Link) -> None:
        """Forget a link. Files stay on both sides."""
        self.index.drop_link(link.id)
        self._scanners.pop(link.id, None)
        self._held.pop(link.id, None)

    async def select(self, link: Link, *, exclude: Iterable[str] = (), include: Iterable[str] = ()) -> list[Choice]:
        """Choose which folders of the library (paths) are on this disk from the next pass on; what there is to choose.

        Raises what ``choose`` does.
        """
        link = await list_changes(self._service, self.index, link)
        remote, _ = holdable(await asyncio.to_thread(self.index.remote, link))
        before = self.index.holdings(link).deselected()
        after = choose(remote, before, exclude=exclude, include=include)
        if after != before:
            await asyncio.to_thread(self.index.deselect, link, after)
        return choices(remote, after)

    # -- one pass

    async def sync_once(self, link: Link, *, allow_removals: bool = False, progress: Progress | None = None) -> Summary:
        """One pass: returns when this client's changes are committed and it has all there was. ``progress`` hears of
        this pass instead of the engine's own.

        Raises ``Refused`` ("busy": another client syncs this link; "root-missing", "root-exchanged";
        "large-removal": held unless ``allow_removals``; all else is done then), ``Temporary``, ``Broken``.
        """
        busy = f"Another syncline process is synchronising {link.path}."
        with self._home.locked(f"link-{link.id}", busy=busy):
            scanner = self._scanner(link)
            current = self.index.link(link.id) or link
            tools = self._tools if progress is None else self._tools.telling(progress)
            with self._hold(link), tracing.span("sync", attributes={"syncline.library": link.library}):
                return await Pass(tools, current, scanner.disk, scanner, allow_removals=allow_removals).run()

    async def status(self, link: Link) -> Status:
        """What a pass would do now. Changes nothing on either side."""
        link = await list_changes(self._service, self.index, link)
        scanner = self._scanner(link)
        scanner.disk.check_marker(link.marker)
        trees = await reduced_trees(self.index.holdings(link), scanner, link.marker)
        outward, unsafe = leading_out(trees.remote, trees.local)
        planned = planner.plan(trees.base, trees.local, trees.remote, new_id=new_id, apart=outward | trees.apart)
        names = {node.node: node.name for node in trees.base.nodes.values()}
        names |= {node.node: node.name for node in trees.remote.nodes.values()}
        to_send = tuple((type(op).__name__, op.path) for op in (*planned.tree, *planned.files))
        to_fetch = tuple(
            (type(op).__name__, op.remote.name if hasattr(op, "remote") else names.get(op.node, op.node))
            for op in (*planned.local, *planned.fetches)
        )
        skipped = (*trees.local.skipped, *trees.unfit, *unsafe)
        return Status(link, link.seq, to_send, to_fetch, skipped, tuple(planned.held))

    async def verify(self, link: Link) -> Verified:
        """Read every file and compare it with what was agreed and with the library's head. Changes nothing.

        Raises ``Temporary`` when files keep changing, ``Refused`` when the folder is not the one that was linked.
        """
        link = await list_changes(self._service, self.index, link)
        disk = self._disk(Path(link.path))
        await asyncio.to_thread(disk.check_marker, link.marker)
        base = await asyncio.to_thread(self.index.base, link)
        files = [node.content for node in base.nodes.values() if node.content]
        self._tools.progress.expect(Way.READ, len(files), sum(content.size_bytes for content in files))
        rules = await asyncio.to_thread(rules_of, self.index.holdings(link), disk)
        local = await hashed(disk, rules.ignores, self._tools.progress)
        await asyncio.to_thread(disk.check_marker, link.marker)
        # What was agreed meanwhile, by a pass beside this, is no difference.
        base = await asyncio.to_thread(self.index.base, link)
        remote, unfit = holdable(await asyncio.to_thread(self.index.remote, link))
        outward, unsafe = leading_out(remote, local)
        away = outward | apart(remote, rules)
        if rules.folds_case:
            alike, told = not_beside(base.nodes, remote.without(away))
            away, unfit = away | alike, [*unfit, *told]
        found = await asyncio.to_thread(differences, base, local, remote, away)
        found = await asyncio.to_thread(lambda: [one for one in found if is_as_read(disk, local, one.path)])
        read = sum(entry.content is not None for entry in local.entries.values())
        return Verified(remote.seq, read, tuple(found), (*local.skipped, *unfit, *unsafe))

    async def watch(self, links: Sequence[Link], *, told: Told, stop: asyncio.Event) -> None:
        """Keep links in sync until ``stop`` is set (``Watching``). Raises ``Refused`` when the sign-in is no longer
        good."""
        settings = SettingsFile(self._home)
        watching = Watching(self, links, told=told, settings=settings.load(), progress=self._tools.progress)
        following = asyncio.create_task(self._follow(settings, watching))
        try:
            await watching.run(stop)
        finally:
            await cancelled([following])

    async def _follow(self, settings: SettingsFile, watching: Watching) -> None:
        """Take up what is set by other processes."""
        while True:
            await asyncio.sleep(SETTINGS_LOOK_S)
            self.adopt(settings.load(), watching)

    def adopt(self, settings: Settings, watching: Watching) -> None:
        """Pauses and limits are these from now on."""
        watching.adopt(settings)
        self.throttle.adopt(settings.limits)

    async def heads(self, since: str = "", *, wait_s: int = 0) -> Heads:
        """Where the libraries of this account stand at the service."""
        return await self._service.heads(since, wait_s=wait_s)

    def _hold(self, link: Link) -> Held:
        """The lock on a link's folder; clients of other homes are kept off while it is entered."""
        if link.id not in self._held:
            self._held[link.id] = Held(self._scanner(link).disk)
        return self._held[link.id]

    def _scanner(self, link: Link) -> Scanner:
        """Kept from pass to pass: it remembers what files held."""
        if link.id not in self._scanners:
            self._scanners[link.id] = Scanner(self._disk(Path(link.path)))
        return self._scanners[link.id]


def over_http(service: object, progress: Progress, throttle: Throttle | None = None) -> Transfers:
    """Transfers that go straight to S3, over an API's connection pool."""
    if not isinstance(service, Api):
        raise TypeError("only an Api brings connections along; give the transfers otherwise")
    return Transfers(lambda credentials: S3(credentials, service.http, throttle=throttle), progress)


def link_of(links: Sequence[Link], path: Path) -> Link:
    """The link whose directory is ``path`` or above it. Raises ``Refused("not-linked")``."""
    wanted = path.resolve()
    for link in links:
        if wanted == Path(link.path) or Path(link.path) in wanted.parents:
            return link
    raise Refused("not-linked", f"{path} is not linked to a library. Run: syncline link LIBRARY {path}", status=404)


def throttle_of(home: Home) -> Throttle:
    """The limits that are set in a home."""
    return Throttle(SettingsFile(home).load().limits)
