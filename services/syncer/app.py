"""The syncer: what it serves, made of ports. ``__main__`` puts the real ones in, tests those in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from services.syncer.archiver import ARCHIVE_S, Archiver
from services.syncer.changes import CHANGES_DEFAULT, encode_page, read_page
from services.syncer.comparing import Comparing
from services.syncer.consumer import hear_of_moves
from services.syncer.heads import HeadsReader, Memberships
from services.syncer.holding import Holding
from services.syncer.hub import HELD_MAX, Hub
from services.syncer.pulse import measures_of_syncer
from services.syncer.starting import COMMITS_RETAINED, Starting
from services.syncer.tidying import REPLACED_KEPT_S
from services.syncer.trees import Trees
from syncline.domain.capabilities import SigningKey
from syncline.messages import api
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Key, Table, Tables
from syncline.serving.auth import AUTHENTICATOR, Access, Authenticator, Tokens
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.bodies import JSON, MSGPACK, answer, prefers_msgpack
from syncline.serving.consumer import Consumer
from syncline.serving.http import make_app
from syncline.serving.limits import DEFAULTS, RateLimits, Windows, limit_rates
from syncline.serving.metrics import Metrics, Stages
from syncline.serving.pulse import Pulse, measures_of_queue, measures_of_requests, measures_of_surroundings
from syncline.serving.routes import Call, Nothing, bind, register
from syncline.serving.sharing import SharedReads
from syncline.serving.sync_routes import CHANGES, COMPARE, HEADS, SNAPSHOT
from syncline.store.archiving import ArchiveStore
from syncline.store.checkpoints import Checkpoints
from syncline.store.directory import Directory
from syncline.store.incarnations import Incarnations
from syncline.store.journal import Head, Journal
from syncline.store.tree import TreeReader
from syncline.store.tree_snapshots import SNAPSHOT_CHANGES
from syncline.store.views import Views

COMPRESS_FROM_CHANGES = 10
Page = tuple[str, int, Head, int]
"""A library, the seq before the page, the head, and how many changes at most."""
SERVICE = "syncer"


@dataclass(frozen=True, slots=True)
class Ports:
    """What the syncer needs of the world."""

    tables: Tables
    objects: ObjectStore
    queues: Queues
    cache: Cache
    clock: Clock


@dataclass(frozen=True, slots=True)
class Keeping:
    """How often the bucket is brought up to date, what wants a snapshot, how long changes are told one by one, and how
    long what was replaced in the bucket stays."""

    archive_s: float = ARCHIVE_S
    snapshot_changes: int = SNAPSHOT_CHANGES
    commits_retained: int = COMMITS_RETAINED
    replaced_kept_s: int = REPLACED_KEPT_S


@dataclass(frozen=True, slots=True)
class Syncer:
    """The parts of the service: serve ``app``, and let the parts live."""

    app: web.Application
    pulse: Pulse
    hub: Hub
    consumer: Consumer
    holding: Holding
    archiver: Archiver


class Handlers:
    """One method per route."""

    def __init__(
        self, access: Access, journal: Journal, holding: Holding, comparing: Comparing, starting: Starting
    ) -> None:
        self._access = access
        self._pages: SharedReads[Page, api.Changes] = SharedReads(lambda page: read_page(journal, *page))
        self._holding = holding
        self._comparing = comparing
        self._starting = starting

    async def heads(self, call: Call, _body: Nothing) -> api.Heads:
        since, wait_s = call.text("since"), call.number("wait", 0)
        caller, authenticator = call.caller, call.request.app[AUTHENTICATOR]
        return await self._holding.heads(caller.account, since, wait_s, lambda: authenticator.check(caller))

    async def changes(self, call: Call, _body: Nothing) -> web.StreamResponse:
        standing = await self._access.require_read(call.library, call.caller.account)
        after = await self._starting.position(call.library, call.text("cursor"), standing.head)
        limit = call.number("limit", CHANGES_DEFAULT)
        # A commit wakes all who wait for it, and they ask for the same page.
        page = await self._pages.get((call.library, after, standing.head, limit))
        return await _send_page(call.request, page)

    async def snapshot(self, call: Call, _body: Nothing) -> api.Snapshot:
        standing = await self._access.require_read(call.library, call.caller.account)
        return await self._starting.snapshot(call.library, standing.head)

    async def compare(self, call: Call, body: api.CompareRequest) -> web.StreamResponse:
        standing = await self._access.require_read(call.library, call.caller.account)
        compared = await self._comparing.compare(call.library, standing.head, body)
        response = answer(call.request, compared)
        _compress(call.request, response, len(compared.differences or ()))
        return response


def make_syncer(
    ports: Ports,
    *,
    token_keys: Sequence[SigningKey],
    public_url: str,
    held_max: int = HELD_MAX,
    keeping: Keeping | None = None,
    rates: Mapping[str, int] = DEFAULTS,
    metrics: Metrics | None = None,
    calls: AwsCalls | None = None,
) -> Syncer:
    keeping = keeping or Keeping()
    metrics = metrics or Metrics(SERVICE)
    directory, journal = Directory(ports.tables), Journal(ports.tables)
    reader = HeadsReader(journal)
    hub = Hub(ports.cache, reader, ports.clock, metrics, held_max=held_max)
    holding = Holding(hub, reader, Memberships(directory), ports.clock)
    trees = Trees(journal, metrics)
    comparing = Comparing(trees, TreeReader(journal, Views(ports.tables)), ports.cache)
    access = Access(directory, journal, ports.cache)
    archive = ArchiveStore(ports.tables)
    starting = Starting(archive, Incarnations(ports.tables), ports.objects, keeping.commits_retained)
    handlers = Handlers(access, journal, holding, comparing, starting)
    app = make_app(metrics, public_url=public_url, ready={"tables": lambda: _look(ports.tables)})
    limit_rates(app, RateLimits(Windows(ports.cache, ports.clock), rates))
    app[AUTHENTICATOR] = Authenticator(Tokens(token_keys, ports.clock), directory)
    routes = (
        bind(HEADS, handlers.heads),
        bind(CHANGES, handlers.changes),
        bind(SNAPSHOT, handlers.snapshot),
        bind(COMPARE, handlers.compare),
    )
    register(app, routes)
    hear = hear_of_moves(hub, ports.cache, archive, Checkpoints(ports.tables), ports.clock, Stages(metrics))
    consumer = Consumer(ports.queues, Queue.SYNC, hear, clock=ports.clock, metrics=metrics)
    archiver = Archiver(
        ports.tables,
        ports.objects,
        ports.clock,
        metrics,
        interval_s=keeping.archive_s,
        snapshot_changes=keeping.snapshot_changes,
        replaced_kept_s=keeping.replaced_kept_s,
    )
    told = measures_of_requests(metrics) + measures_of_queue(consumer, metrics, ports.clock)
    told += measures_of_surroundings(ports.clock, cache=ports.cache, calls=calls) + measures_of_syncer(hub, archiver)
    pulse = Pulse(metrics, ports.tables, ports.clock, told, calls=calls)
    return Syncer(app, pulse, hub, consumer, holding, archiver)


async def _look(tables: Tables) -> None:
    """Raises while the tables cannot be read."""
    await tables.get(Table.JOURNAL, Key("ready", "ready"), eventual=True)


async def _send_page(request: web.Request, page: api.Changes) -> web.StreamResponse:
    kind = MSGPACK if prefers_msgpack(request) else JSON
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "Content-Type": kind})
    _compress(request, response, len(page.changes))
    await response.prepare(request)
    for piece in encode_page(page, kind):
        await response.write(piece)
    await response.write_eof()
    return response


def _compress(request: web.Request, response: web.StreamResponse, count: int) -> None:
    """gzip when the asker takes it and it is worth it."""
    accepted = ",".join(request.headers.getall("Accept-Encoding", [])).lower()
    if count >= COMPRESS_FROM_CHANGES and "gzip" in accepted:
        response.enable_compression(web.ContentCoding.gzip)
        response.headers["Vary"] = "Accept-Encoding"
