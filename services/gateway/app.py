"""The gateway's application: its rooms, wired to ports, and its one table of routes."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiohttp import web

from services.gateway import governing, mailing, past, records, table
from services.gateway.account_pages import AccountPages
from services.gateway.accounts import Accounts
from services.gateway.auditing import Auditor
from services.gateway.audits import Audits
from services.gateway.commits import Commits
from services.gateway.devices import Devices
from services.gateway.files import Files
from services.gateway.follows import Following
from services.gateway.governing import Governing
from services.gateway.groups import GroupRoom
from services.gateway.history import History
from services.gateway.invitations import Inviting
from services.gateway.keeping import Keeping
from services.gateway.keys import IdempotencyKeys
from services.gateway.letters import Letters
from services.gateway.libraries import Libraries
from services.gateway.limits import Limits
from services.gateway.links import Links
from services.gateway.lockout import Lockout
from services.gateway.mailing import Mailing
from services.gateway.moments import Times
from services.gateway.new_addresses import NewAddresses
from services.gateway.new_passwords import NewPasswords
from services.gateway.openapi import as_text, whole_document
from services.gateway.outside import OutsideFollowing
from services.gateway.passwords import Passwords
from services.gateway.past import Past
from services.gateway.proving import Proving
from services.gateway.purging import Purging
from services.gateway.quotas import Quota
from services.gateway.records import Records
from services.gateway.removal import Removal
from services.gateway.uploads import Uploads
from services.gateway.waiting import WAIT_S_MAX, Commands
from services.gateway.wakes import Wakes
from services.gateway.webhooks import Hooking
from syncline.domain.capabilities import SigningKey
from syncline.domain.errors import Broken
from syncline.domain.ids import NewId, id_from_bytes
from syncline.domain.permits import PermitKeys
from syncline.domain.registration import Registration
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.credentials import CredentialIssuer
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Key, Table, Tables
from syncline.serving.auth import AUTHENTICATOR, Access, Authenticator, Tokens
from syncline.serving.http import ReadyCheck, make_app
from syncline.serving.limits import DEFAULTS, RateLimits, Windows, limit_rates
from syncline.serving.metrics import Metrics
from syncline.serving.routes import AUDITOR, Call, Endpoint, Nothing, bind, register
from syncline.store.addresses import AddressChanges
from syncline.store.audit import Audit, AuditedTables
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from syncline.store.grants import Grants
from syncline.store.groups import Groups
from syncline.store.invitations import Invitations
from syncline.store.journal import Journal
from syncline.store.leaving import Leaving
from syncline.store.lockouts import Lockouts
from syncline.store.moments import Moments
from syncline.store.outsiders import Outsiders
from syncline.store.retentions import Retentions
from syncline.store.suppressions import Suppressions
from syncline.store.trash import Trash
from syncline.store.tree import TreeReader
from syncline.store.usage import Quotas, Usage
from syncline.store.views import Views
from syncline.store.webhooks import Webhooks

NO_QUOTAS = Quotas()


@dataclass(frozen=True)
class Ports:
    """What the gateway stands on."""

    tables: Tables
    objects: ObjectStore
    queues: Queues
    cache: Cache
    credentials: CredentialIssuer
    clock: Clock


@dataclass(frozen=True)
class Keys:
    """Of each kind the first signs and all verify."""

    permits: PermitKeys
    tokens: Sequence[SigningKey]
    links: Sequence[SigningKey]


def random_id() -> str:
    return id_from_bytes(secrets.token_bytes(13))


@dataclass(frozen=True)
class Chance:
    """Where ids and tokens come from."""

    new_id: NewId = random_id
    random_bytes: Callable[[int], bytes] = field(default=secrets.token_bytes)


def make_gateway(
    ports: Ports,
    keys: Keys,
    *,
    public_url: str,
    registration: Registration = Registration.OPEN,
    quotas: Quotas = NO_QUOTAS,
    rates: Mapping[str, int] = DEFAULTS,
    passwords: Passwords | None = None,
    chance: Chance | None = None,
    metrics: Metrics | None = None,
    wait_s: float = WAIT_S_MAX,
) -> web.Application:
    """The whole gateway as an application, ready to be listened with. Commits wait ``wait_s`` for their outcome."""
    chance = chance or Chance()
    audit = Audit(ports.tables)
    ports = replace(ports, tables=AuditedTables(ports.tables))
    directory, journal = Directory(ports.tables), Journal(ports.tables)
    follows, tree = Follows(ports.tables), TreeReader(journal, Views(ports.tables))
    tokens = Tokens(keys.tokens, ports.clock)
    access = Access(directory, journal, ports.cache)
    limits = Limits(ports.cache, ports.clock)
    commands = Commands(journal, ports.queues, ports.objects, ports.cache, ports.clock, wait_s=wait_s)
    times = Times(journal, tree)
    files = Files(times, ports.objects, access)
    passwords, wakes, groups = passwords or Passwords(), Wakes(ports.cache), Groups(ports.tables)
    lockout = Lockout(Lockouts(ports.tables), ports.cache, ports.clock)
    proving = Proving(directory, passwords, lockout)
    letters = Letters(ports.queues, ports.clock, chance.new_id)
    inviting = Inviting(
        directory,
        Invitations(ports.tables),
        access,
        letters,
        limits,
        wakes,
        ports.clock,
        chance.new_id,
        keys.links,
    )
    accounts = Accounts(
        directory,
        ports.clock,
        registration=registration,
        inviting=inviting,
        wakes=wakes,
        tokens=tokens,
        token_keys=keys.tokens,
        passwords=passwords,
        proving=proving,
        limits=limits,
        new_id=chance.new_id,
        random_bytes=chance.random_bytes,
    )
    new_passwords = NewPasswords(
        directory, passwords, proving, lockout, letters, limits, wakes, ports.clock, keys.links
    )
    changes = AddressChanges(ports.tables)
    new_addresses = NewAddresses(directory, changes, proving, letters, limits, ports.clock, chance.new_id, keys.links)
    libraries = Libraries(
        directory,
        journal,
        follows,
        groups,
        access,
        None if registration is Registration.CLOSED else inviting,
        wakes,
        ports.clock,
        chance.new_id,
    )
    quota = Quota(Usage(ports.tables), directory, access, ports.clock, quotas)
    outsiders, suppressions = Outsiders(ports.tables), Suppressions(ports.tables, ports.clock)
    rooms = _Rooms(
        accounts,
        libraries,
        Uploads(
            Grants(ports.tables),
            quota,
            ports.credentials,
            tree,
            access,
            limits,
            ports.clock,
            permit_keys=keys.permits,
            new_id=chance.new_id,
        ),
        Commits(
            commands,
            IdempotencyKeys(ports.tables),
            tree,
            access,
            ports.clock,
            permit_keys=keys.permits,
            new_id=chance.new_id,
        ),
        files,
        Mailing(
            Following(follows, directory, suppressions, tree, access, ports.clock),
            OutsideFollowing(
                outsiders, follows, directory, suppressions, letters, tree, access, ports.clock, keys.links
            ),
            Hooking(Webhooks(ports.tables), access, ports.clock, chance.new_id, chance.random_bytes),
        ),
        Links(directory, follows, outsiders, tree, files, access, ports.clock, keys.links),
        Governing(
            Devices(directory, wakes, ports.clock),
            new_passwords,
            new_addresses,
            Removal(directory, Leaving(ports.tables), proving, letters, wakes, ports.clock),
            inviting,
            GroupRoom(directory, groups, access, wakes, ports.clock, chance.new_id),
            AccountPages(directory, accounts, inviting, new_passwords, new_addresses, proving),
            libraries,
        ),
        Records(quota, Audits(audit, journal, directory, access, ports.clock)),
        Past(
            History(Trash(ports.tables), tree, times, Moments(journal), commands, access, chance.new_id),
            Keeping(Retentions(ports.tables), access),
            Purging(
                Retentions(ports.tables),
                Trash(ports.tables),
                tree,
                times,
                Moments(journal),
                commands,
                access,
                chance.new_id,
            ),
        ),
    )
    app = make_app(metrics or Metrics("gateway"), public_url=public_url, ready=_ready(ports))
    limit_rates(app, RateLimits(Windows(ports.cache, ports.clock), rates))
    app[AUDITOR] = Auditor(audit, ports.clock, chance.new_id)
    app[AUTHENTICATOR] = Authenticator(tokens, directory)
    register(app, endpoints(rooms, public_url))
    return app


@dataclass(frozen=True)
class _Rooms:
    accounts: Accounts
    libraries: Libraries
    uploads: Uploads
    commits: Commits
    files: Files
    mailing: Mailing
    links: Links
    governing: Governing
    records: Records
    past: Past


def endpoints(rooms: _Rooms, public_url: str) -> list[Endpoint]:
    """Every route with what serves it. Raises ``Broken`` when the table has a route that nothing serves."""
    served = [
        bind(table.CREATE_ACCOUNT, rooms.accounts.create),
        bind(table.SIGN_IN, rooms.accounts.sign_in),
        bind(table.REFRESH, rooms.accounts.refresh),
        bind(table.SIGN_OUT, rooms.accounts.sign_out),
        bind(table.ME, rooms.accounts.me),
        bind(table.CREATE_LIBRARY, rooms.libraries.create),
        bind(table.LIBRARIES, rooms.libraries.all),
        bind(table.GET_LIBRARY, rooms.libraries.get),
        bind(table.MEMBERS, rooms.libraries.members),
        bind(table.SET_MEMBER, rooms.libraries.set_member),
        bind(table.REMOVE_MEMBER, rooms.libraries.remove_member),
        bind(table.UPLOADS, rooms.uploads.upload),
        bind(table.DOWNLOADS, rooms.uploads.download),
        bind(table.COMMIT, rooms.commits.commit),
        bind(table.OUTCOME, rooms.commits.outcome),
        bind(table.CONTENT, rooms.files.content),
        bind(table.CHILDREN, rooms.files.children),
        bind(table.NODE_BY_PATH, rooms.files.node_by_path),
        bind(table.NODE, rooms.files.node),
        bind(table.VERSIONS, rooms.files.versions),
        bind(table.RESTORE, rooms.commits.restore),
        bind(table.FOLLOWS, rooms.mailing.following.all),
        bind(table.FOLLOW, rooms.mailing.following.follow),
        bind(table.UNFOLLOW, rooms.mailing.following.unfollow),
        bind(table.UNSUBSCRIBE_PAGE, rooms.links.unsubscribe_page),
        bind(table.UNSUBSCRIBE, rooms.links.unsubscribe),
        bind(table.FILE_LINK, rooms.links.file),
        bind(table.PROBLEM_PAGE, rooms.links.problem),
        bind(table.OPENAPI, _openapi(public_url)),
        *governing.endpoints(rooms.governing),
        *mailing.endpoints(rooms.mailing),
        *past.endpoints(rooms.past),
        *records.endpoints(rooms.records),
    ]
    if {endpoint.route.summary for endpoint in served} != {route.summary for route in table.ROUTES}:
        raise Broken("The table of routes and what is served differ")
    return served


def _openapi(public_url: str) -> Callable[[Call, Nothing], Awaitable[Nothing | web.StreamResponse]]:
    text = as_text(whole_document(public_url))

    async def answer_document(_call: Call, _body: Nothing) -> web.Response:
        return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "max-age=300"})

    return answer_document


def _ready(ports: Ports) -> dict[str, ReadyCheck]:
    """What must be there. The cache need not: without it all is slower and still right."""

    async def tables() -> None:
        await ports.tables.get(Table.DIRECTORY, Key("ready", "ready"), eventual=True)

    async def queues() -> None:
        await ports.queues.depth(Queue.COMMITS)

    return {"tables": tables, "queues": queues}
