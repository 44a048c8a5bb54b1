"""The audit log over HTTP: complete, in the act's own transaction where it has one, and without secrets."""

from __future__ import annotations

import time

import msgspec

from services.gateway.auditing import ACTIONS, UNAUDITED
from services.gateway.table import ROUTES
from syncline.domain.capabilities import FollowCapability, UnsubscribeCapability, seal_capability
from syncline.memory.tables import MemoryTables
from syncline.messages.records import AuditEntry
from syncline.ports.tables import Key, Put, Table
from syncline.store.audit import Audit, AuditedTables, acting, now_place, puts_of
from tests.unit.gateway.mailroom import Mailroom
from tests.unit.gateway.world import LINK_KEYS, PASSWORD, Person, World, running_world

DAY_MS = 24 * 3_600_000


async def log(person: Person, library: str = "", **query: str) -> list[AuditEntry]:
    path = f"/v1/libraries/{library}/audit" if library else "/v1/me/audit"
    entries: list[AuditEntry] = []
    before = ""
    while True:
        status, page = await person.ask("GET", path, params={**query, **({"before": before} if before else {})})
        assert status == 200, page
        entries += msgspec.convert(page["entries"], list[AuditEntry])
        before = page["next"]
        if not before:
            return entries


def test_every_route_that_changes_something_is_written_down_or_said_not_to_be():
    changing = {(route.method, route.path) for route in ROUTES if route.method != "GET"}
    assert changing == set(ACTIONS) | UNAUDITED


async def test_a_library_tells_who_did_what_from_where_contents_too():
    async with running_world() as world:
        alice, bob = await world.person("alice"), await world.person("bob")
        library = await alice.library()
        await alice.share(library, bob, "editor")
        await bob.put(library, "notes.txt", b"notes")
        await alice.ask("DELETE", f"/v1/libraries/{library}/members/{bob.account}")
        entries = await log(alice, library)
        assert [entry.action for entry in entries] == [
            "member.remove",
            "content.change",
            "member.set",
            "library.create",
        ]
        removed, changed, shared, _ = entries
        assert (changed.account, changed.device, changed.details) == (bob.account, bob.device, {"seq": 1, "added": 1})
        assert removed.details == {"account": bob.account}
        assert shared.details == {"account": bob.account, "email": bob.email, "role": "editor"}
        assert (shared.account, shared.device, shared.result) == (alice.account, alice.device, "done")
        assert shared.address
        assert [entry.action for entry in await log(bob)][:2] == ["member.remove", "member.set"]


async def test_refusals_are_written_down():
    async with running_world() as world:
        alice, bob, eve = [await world.person(name) for name in ("alice", "bob", "eve")]
        library = await alice.library()
        await alice.share(library, bob, "viewer")
        await bob.ask("DELETE", f"/v1/libraries/{library}/members/{alice.account}")
        await eve.ask("DELETE", f"/v1/libraries/{library}/members/{alice.account}")
        tried = [entry for entry in await log(alice, library) if entry.action == "member.remove"]
        assert [(entry.account, entry.result) for entry in tried] == [(bob.account, "not-allowed")]
        assert (await log(eve))[0].result == "no-such-library"


async def test_sign_ins_are_found_by_their_owner_the_failed_ones_too():
    async with running_world() as world:
        alice = await world.person("alice")
        body = {"email": "Alice@Example.org", "password": "wrong horse battery", "device_name": "burglar"}
        assert (await world.ask("POST", "/v1/sessions", body))[0] == 401
        failed, signed_in = (await log(alice))[:2]
        assert (failed.action, failed.result, failed.account) == ("session.sign-in", "sign-in-failed", "")
        assert failed.details["device_name"] == "burglar"
        assert (signed_in.result, signed_in.device) == ("done", alice.device)


async def in_log(world: World, subject: str) -> list[tuple[str, str]]:
    """Actions and results in one subject's log, oldest first."""
    audit = Audit(world.tables)
    found = [one async for one in audit.read(subject, before=now_place(world.clock.now_ms()))]
    return [(one.action, one.result) for one in reversed(found)]


async def test_acts_by_mailed_links_are_told_to_whom_they_concern():
    async with running_world() as world:
        mail, alice, bob = Mailroom(world), await world.person("alice"), await world.person("bob")
        library = await alice.library()
        token = await mail.reset_token(bob.email)
        page = {"password": "a wholly new password"}
        assert (await world.ask("POST", f"/v1/reset?token={token}", data=page))[0] == 200
        assert (await world.ask("POST", f"/v1/reset?token={token}", data=page))[0] == 410
        body = {"email": "carol@example.org", "role": "viewer"}
        assert (await alice.ask("POST", f"/v1/libraries/{library}/members", body))[0] in (200, 202)
        token = await mail.token("carol@example.org")
        form = {"name": "Carol", "password": PASSWORD}
        assert (await world.ask("POST", f"/v1/invitation?token={token}", data=form))[0] == 200
        ends_at = world.clock.now_ms() // 1000 + 3600
        body = {"email": "eve@example.org", "node": library}
        _, eve = await alice.ask("POST", f"/v1/libraries/{library}/followers", body)
        token = seal_capability(FollowCapability(eve["id"], library, library, ends_at), LINK_KEYS)
        assert (await world.ask("POST", f"/v1/confirm?token={token}"))[0] == 200
        token = seal_capability(UnsubscribeCapability(eve["id"], library, ends_at), LINK_KEYS)
        assert (await world.ask("POST", f"/v1/unsubscribe?token={token}"))[0] == 200
        await alice.ask("POST", "/v1/me/address", {"email": "alicia@example.org", "password": PASSWORD})
        assert (await world.ask("POST", f"/v1/address?token={await mail.token('alicia@example.org')}"))[0] == 200
        assert ("password.reset", "done") in await in_log(world, f"account#{bob.account}")
        assert ("invitation.accept", "done") in await in_log(world, "email#carol@example.org")
        assert await in_log(world, "email#eve@example.org") == [
            ("follower.confirm", "done"),
            ("follower.leave", "done"),
        ]
        assert ("address.confirm", "done") in await in_log(world, f"account#{alice.account}")
        of_library = [action for action, _ in await in_log(world, f"library#{library}")]
        assert of_library[-4:] == ["invitation.accept", "follower.invite", "follower.confirm", "follower.leave"]
        # A link that is not good any more says nothing of whom it was for.
        assert await in_log(world, "stack") == [("password.reset", "refused")]


async def test_pages_hold_everything_once_and_the_stream_the_same():
    async with running_world() as world:
        alice = await world.person("alice")
        library = await alice.library()
        for n in range(7):
            await alice.put(library, f"{n}", b"%d" % n)
            await alice.ask("PUT", f"/v1/libraries/{library}/follows/{library}")
        whole = await log(alice, library)
        assert len(whole) == 15
        assert await log(alice, library, limit="2") == whole
        headers = {"Authorization": f"Bearer {alice.token}"}
        response = await world.client.get(f"/v1/libraries/{library}/audit?format=jsonl", headers=headers)
        raw = await response.read()
        assert [msgspec.json.decode(line, type=AuditEntry) for line in raw.splitlines()] == whole


async def test_only_owners_read_a_librarys_log():
    async with running_world() as world:
        alice, bob = await world.person("alice"), await world.person("bob")
        library = await alice.library()
        await alice.share(library, bob, "editor")
        assert (await bob.ask("GET", f"/v1/libraries/{library}/audit"))[0] == 403
        assert (await alice.ask("GET", f"/v1/libraries/{library}/audit?before=nonsense"))[0] == 422


async def test_nothing_secret_is_kept():
    async with running_world() as world:
        alice = await world.person("alice")
        await alice.ask("POST", "/v1/me/password", {"password": PASSWORD, "new_password": "another long secret"})
        await world.ask("POST", "/v1/sessions", {"email": alice.email, "password": "guess no 1", "device_name": "d"})
        rows = [
            row
            for subject in ("stack", f"account#{alice.account}", f"email#{alice.email}")
            async for row in world.tables.query(Table.AUDIT, f"{subject}#{time.strftime('%Y%m', time.gmtime())}")
        ]
        assert len(rows) >= 4
        kept = b"".join(row["body"] for row in rows if isinstance(row["body"], bytes))
        for secret in (PASSWORD, "another long secret", "guess no 1", alice.token, alice.session["refresh_token"]):
            assert secret.encode() not in kept


class TestTransactions:
    def entry(self, at_ms: int = 1_790_000_000_000) -> AuditEntry:
        return AuditEntry("a" * 20, at_ms, "member.set", "done", "alice", "laptop", "", "library", {})

    async def test_the_record_is_there_when_and_only_when_the_act_is(self):
        inner = MemoryTables()
        tables, audit, entry = AuditedTables(inner), Audit(inner), self.entry()
        act = Put(Table.DIRECTORY, {"pk": "p", "sk": "s"})
        with acting(puts_of(entry, ["library#l"])) as pending:
            assert [one async for one in audit.read("library#l", before=now_place(entry.at_ms))] == []
            await tables.transact([act])
            assert pending.written
            await tables.transact([Put(Table.DIRECTORY, {"pk": "p", "sk": "2"})])
        assert await inner.get(Table.DIRECTORY, Key("p", "s")) is not None
        assert [one async for one in audit.read("library#l", before=now_place(entry.at_ms))] == [entry]

    async def test_months_are_read_newest_first(self):
        audit = Audit(MemoryTables())
        entries = [self.entry(1_790_000_000_000 + days * DAY_MS) for days in (0, 40, 100)]
        for entry in entries:
            await audit.write(entry, ["account#a"])
        place = now_place(entries[-1].at_ms + 1)
        assert [one async for one in audit.read("account#a", before=place)] == entries[::-1]
