"""Commits: to metadata and back."""

import asyncio

import pytest

from syncline.domain.commands import Command
from syncline.domain.cursors import Cursor, decode_cursor, encode_cursor
from syncline.domain.permits import open_permit, seal_permit
from syncline.messages import commit_changes
from syncline.messages.commit_changes import MAX_INLINE_BYTES
from syncline.ports.queues import Queue
from syncline.store.journal import Head, Journal
from tests.unit.gateway.world import PERMIT_KEYS, Person, World, checksum, running_world

FOLDER = "f" * 20


def folder(library: str, name: str = "x", node: str = FOLDER) -> dict[str, object]:
    return {"op": "folder", "node": node, "parent": library, "name": name}


async def test_changes_take_effect_and_are_read_back_at_once(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    for n in range(5):
        result = await alice.put(library, f"f{n}", b"%d" % n)
        _, node = await alice.ask("GET", f"/v1/libraries/{library}/nodes/{result['node']}")
        assert (node["path"], node["seq"], node["version"]["id"]) == (f"f{n}", n + 1, result["version"])
    _, got = await alice.ask("GET", f"/v1/libraries/{library}")
    assert got["seq"] == 5


async def test_each_request_gets_its_own_answer(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    first = await alice.put(library, "f", b"1")
    answer = await alice.commit(
        library,
        folder(library, "docs"),
        {"op": "move", "node": first["node"], "base_seq": 1, "parent": FOLDER, "name": "g"},
        {"op": "move", "node": "z" * 20, "base_seq": 1, "parent": library, "name": "h"},
        {"op": "copy", "source": first["version"], "parent": library, "name": "copy", "size_bytes": 1,
         "checksum": checksum(b"1"), "mtime_ns": 5},
        {"op": "remove", "node": first["node"], "base_seq": 1},
    )  # fmt: skip
    statuses = [(r["status"], r.get("reason", "")) for r in answer["results"]]
    assert [status for status, _ in statuses] == ["applied", "applied", "refused", "applied", "applied"]
    assert answer["seq"] == 2
    assert answer["cursor"]


async def test_names_come_out_clean(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await alice.commit(library, folder(library, "e\u0301te\u0301"))
    _, children = await alice.ask("GET", f"/v1/libraries/{library}/folders/{library}/children")
    assert [c["name"] for c in children["children"]] == ["\u00e9t\u00e9"]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc/passwd", "../../x", "nul\0", "é" * 128])
async def test_names_that_would_climb_out_are_refused(world: World, name: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    requests = [folder(library), {"op": "move", "node": FOLDER, "base_seq": 0, "parent": library, "name": name}]
    for bad in (folder(library, name), requests[1]):
        status, problem = await alice.ask("POST", f"/v1/libraries/{library}/commits", {"requests": [requests[0], bad]})
        assert (status, problem["type"].rsplit("/")[-1], problem["at"]) == (422, "bad-name", "$.requests[1]")
    assert await world.queues.depth(Queue.COMMITS) == 0


async def test_permits_of_others_are_refused(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, elsewhere = await alice.library(), await alice.library()
    await alice.share(library, bob, "editor")
    other_device = await world.sign_in(alice.email)
    permit = (await alice.permit(library, b"x", parent=library, name="x"))["permit"]
    opened = open_permit(permit, PERMIT_KEYS)
    import msgspec

    from syncline.domain.permits import PermitKey, PermitKeys

    forged = seal_permit(opened, PermitKeys((PermitKey("p1", b"q" * 32),)))
    unknown = seal_permit(opened, PermitKeys((PermitKey("p9", b"p" * 32),)))
    altered = seal_permit(msgspec.structs.replace(opened, size_bytes=9), PERMIT_KEYS)[:-3] + "AAA"
    tries: list[tuple[Person, str, str]] = [
        (bob, library, permit),
        (other_device, library, permit),
        (alice, elsewhere, permit),
        *(
            (alice, library, text)
            for text in (forged, unknown, altered, "", "ä", permit[:-1], permit + "=", "A" * 2048)
        ),
    ]
    for person, where, text in tries:
        for op in ("add", "withdraw"):
            body = {"requests": [{"op": op, "permit": text}]}
            status, problem = await person.ask("POST", f"/v1/libraries/{where}/commits", body)
            assert (status, problem["type"].rsplit("/")[-1]) == (422, "bad-permit"), text
    assert world.decider.decided == []


async def test_the_key_makes_a_repeat_the_same_command(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    first = await alice.put(library, "f", b"1")
    copy = {"op": "copy", "source": first["version"], "parent": library, "name": "c", "size_bytes": 1,
            "checksum": checksum(b"1"), "mtime_ns": 5}  # fmt: skip
    path, body = f"/v1/libraries/{library}/commits", {"requests": [copy]}
    headers = {"Idempotency-Key": "my key 1"}
    answers = [await alice.ask("POST", path, body, headers=headers) for _ in range(3)]
    assert answers[0][0] == 200
    assert answers[0] == answers[1] == answers[2]
    assert len(world.decider.decided) == 2
    # The same request as msgpack is the same request.
    import msgspec

    raw = {"data": msgspec.msgpack.encode(body), "headers": {**headers, "Content-Type": "application/msgpack"}}
    assert await alice.ask("POST", path, **raw) == answers[0]

    other = {"requests": [{**copy, "name": "d"}]}
    status, problem = await alice.ask("POST", path, other, headers=headers)
    assert (status, problem["type"].rsplit("/")[-1]) == (422, "idempotency-key-reused")
    # Another device's key of the same text is another key.
    again = await world.sign_in(alice.email)
    status, answer = await again.ask("POST", path, other, headers=headers)
    assert (status, answer["results"][0]["status"]) == (200, "applied")


async def test_repeats_at_the_same_time_take_effect_once(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    path, body = f"/v1/libraries/{library}/commits", {"requests": [folder(library)]}
    asks = [alice.ask("POST", path, body, headers={"Idempotency-Key": "k"}) for _ in range(5)]
    answers = await asyncio.gather(*asks)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1]["results"][0]["status"] == "applied"
    assert len(world.decider.decided) == 1


async def test_changes_based_on_another_life_of_the_library_are_not_made(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    cursor = (await alice.commit(library, folder(library)))["cursor"]
    path, body = f"/v1/libraries/{library}/commits", {"requests": [folder(library, "b", "g" * 20)], "cursor": cursor}
    status, answer = await alice.ask("POST", path, body)
    assert (status, answer["cursor"]) == (200, encode_cursor(Cursor(decode_cursor(cursor).incarnation, 2)))
    journal, decided = Journal(world.tables), len(world.decider.decided)
    head = await journal.head(library)
    assert head is not None
    await journal.close(library, head)
    await journal.open(library, Head(head.seq, head.epoch, "another"))
    status, problem = await alice.ask("POST", path, body)
    assert (status, problem["type"].rsplit("/")[-1]) == (410, "cursor-gone")
    assert len(world.decider.decided) == decided
    # What was decided before speaks of the seqs of then.
    _, told = await alice.ask("GET", f"{path}/{answer['command']}")
    assert told["cursor"] == answer["cursor"]
    status, problem = await alice.ask("POST", path, {**body, "cursor": "none of ours"})
    assert (status, problem["type"].rsplit("/")[-1]) == (422, "bad-cursor")


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tkey", "é"])
async def test_bad_keys_are_refused(world: World, key: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    body = {"requests": [folder(library)]}
    status, problem = await alice.ask(
        "POST", f"/v1/libraries/{library}/commits", body, headers={"Idempotency-Key": key}
    )
    assert (status, problem["type"].rsplit("/")[-1]) == (422, "invalid-header")


async def test_the_outcome_is_found_without_the_cache(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    world.cache.away = True
    answer = await alice.commit(library, folder(library))
    assert answer["results"][0]["status"] == "applied"


async def test_what_is_not_decided_in_time_can_be_asked_for(world: World) -> None:
    async with running_world(wait_s=0.3, deciding=False) as slow:
        alice = await slow.person("alice")
        library = await alice.library()
        status, answer, response = await slow.ask(
            "POST", f"/v1/libraries/{library}/commits", {"requests": [folder(library)]}, token=alice.token
        )
        assert (status, answer["done"]) == (202, False)
        where = response.headers["Location"]
        assert where == f"/v1/libraries/{library}/commits/{answer['command']}"
        status, again = await alice.ask("GET", where)
        assert (status, again["done"]) == (202, False)
        assert await slow.consumer.run_once() == 1
        status, decided = await alice.ask("GET", where)
        assert (status, decided["done"], decided["results"][0]["status"]) == (200, True, "applied")
        other = await alice.library()
        status, problem = await alice.ask("GET", f"/v1/libraries/{other}/commits/{answer['command']}")
        assert (status, problem["type"].rsplit("/")[-1]) == (404, "no-such-command")


async def test_a_long_command_goes_by_way_of_the_bucket(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    intents = [alice.intent(b"", parent=library, name=f"{n}-" + "x" * 250) for n in range(600)]
    _, answer = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": intents})
    for permitted in answer["permits"]:
        await world.objects.put(permitted["key"], b"")
    committed = await alice.commit(library, *({"op": "add", "permit": p["permit"]} for p in answer["permits"]))
    assert {r["status"] for r in committed["results"]} == {"applied"}
    keys = [key async for key in world.objects.list_keys("commands/")]
    assert keys == [f"commands/{library}/{committed['command']}"]
    assert len(await world.objects.get(keys[0])) > MAX_INLINE_BYTES


async def test_messages_are_grouped_by_library_and_carry_the_epoch(world: World) -> None:
    async with running_world(wait_s=0.05, deciding=False) as slow:
        alice, bob = await slow.person("alice"), await slow.person("bob")
        library = await alice.library()
        await alice.share(library, bob, "editor")
        body = {"requests": [folder(library)], "counter": 7, "all_or_nothing": True}
        await bob.ask("POST", f"/v1/libraries/{library}/commits", body)
        (message,) = await slow.queues.receive(Queue.COMMITS, wait_s=0)
        assert message.group == library
        command = commit_changes.decode(message.body).command
        assert isinstance(command, Command)
        assert (command.account, command.device, command.epoch) == (bob.account, bob.device, 2)
        assert (command.counter, command.all_or_nothing) == (7, True)


async def test_batches_are_bounded(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    for count in (0, 1001):
        body = {"requests": [folder(library)] * count}
        assert (await alice.ask("POST", f"/v1/libraries/{library}/commits", body))[0] == 422


async def test_an_older_version_is_restored(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "editor")
    first = await alice.put(library, "f", b"1")
    permitted = await alice.permit(library, b"2", node=first["node"], base_version=first["version"], counter=2)
    await alice.commit(library, {"op": "add", "permit": permitted["permit"]})
    restore = f"/v1/libraries/{library}/files/{first['node']}/versions/{first['version']}/restore"
    status, answer = await bob.ask("POST", restore)
    assert (status, answer["results"][0]["status"]) == (200, "applied")
    _, node = await alice.ask("GET", f"/v1/libraries/{library}/nodes/{first['node']}")
    assert node["version"]["checksum"] == checksum(b"1")
    assert node["version"]["id"] not in (first["version"], permitted["version"])
    _, versions = await alice.ask("GET", f"/v1/libraries/{library}/files/{first['node']}/versions")
    assert [v["checksum"] for v in versions["versions"]] == [checksum(b"1"), checksum(b"2"), checksum(b"1")]


async def test_a_removed_file_is_restored_by_the_device_that_removed_it(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    first = await alice.put(library, "f", b"1")
    await alice.commit(library, {"op": "remove", "node": first["node"], "base_seq": 1}, counter=9)
    restore = f"/v1/libraries/{library}/files/{first['node']}/versions/{first['version']}/restore"
    status, _ = await alice.ask("POST", restore)
    assert status == 200
    _, node = await alice.ask("GET", f"/v1/libraries/{library}/nodes?path=f")
    assert node["version"]["checksum"] == checksum(b"1")
    assert not node["removed"]


async def test_only_a_files_own_versions_are_restored(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    first, second = await alice.put(library, "f", b"1"), await alice.put(library, "g", b"2")
    await alice.commit(library, folder(library))
    kinds = {}
    for node, version in [
        (first["node"], second["version"]),
        (first["node"], "z" * 20),
        ("z" * 20, first["version"]),
        (FOLDER, first["version"]),
    ]:
        path = f"/v1/libraries/{library}/files/{node}/versions/{version}/restore"
        status, problem = await alice.ask("POST", path)
        kinds[node, version] = (status, problem["type"].rsplit("/")[-1])
    assert list(kinds.values()) == [
        (404, "no-such-version"),
        (404, "no-such-version"),
        (404, "no-such-node"),
        (409, "not-a-file"),
    ]
