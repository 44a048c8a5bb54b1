"""The main job on a scaled-out stack: from one folder to the other and to a follower's mail, over all the replicas."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import aiohttp

from syncline.domain.checksums import SINGLE_PUT_MAX_BYTES
from syncline.domain.commits import Status
from syncline.domain.rights import Role
from tests.containers.composed import SHARE_S_MAX, ComposedStack
from tests.containers.replica import holding, idle
from tests.e2e.folders import settle, two_folders
from tests.e2e.people import eventually, person

SMALL_FILES = 60
HELD = 6


async def test_what_one_puts_in_a_folder_the_other_gets_and_a_follower_hears_of(stack: ComposedStack, tmp_path: Path):
    async with two_folders(stack.url, tmp_path) as (alice, bob):
        library = alice.link.library
        await bob.who.api.follow(library, library)
        chance = random.Random(5)
        for number in range(SMALL_FILES):
            path = alice.path / f"folder {number % 4}" / f"file {number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(chance.randbytes(chance.randrange(5_000)))
        (alice.path / "large").write_bytes(chance.randbytes(2 * SINGLE_PUT_MAX_BYTES + 1))
        (alice.path / "empty").write_bytes(b"")

        sent, got = await alice.sync(), await bob.sync()
        assert (sent.complete, got.complete) == (True, True)
        assert sent.uploaded == got.downloaded == SMALL_FILES + 2
        assert bob.contents() == alice.contents()

        (bob.path / "large").rename(bob.path / "folder 0" / "moved")
        (bob.path / "empty").write_bytes(b"not any more")
        await settle(bob, alice)
        assert alice.contents() == bob.contents()
        assert alice.contents()["empty"] == b"not any more"

        await eventually(lambda: told(stack, bob.who.email), until=lambda told: "large" in told)
        async with aiohttp.ClientSession() as http, http.get(stack.mail_url) as answer:
            assert bob.who.email in await answer.text()


async def test_every_replica_does_its_share(stack: ComposedStack, tmp_path: Path):
    replicas = stack.replicas("gateway", "metadata", "notifier")
    before = await asyncio.to_thread(lambda: [one.work for one in replicas])
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:

        async def work() -> list[str]:
            """Some of it, in libraries of their own; who has done nothing yet."""
            libraries = [await alice.library((bob, Role.EDITOR), name=f"Library {number}") for number in range(4)]
            results = await asyncio.gather(*(alice.add(library, "file", b"content") for library in libraries))
            assert {result.status for result in results} == {Status.APPLIED}
            return await asyncio.to_thread(idle, replicas, before)

        await eventually(work, until=lambda names: not names, within_s=SHARE_S_MAX)


async def test_requests_held_by_every_syncer_are_woken_by_what_is_committed_elsewhere(
    stack: ComposedStack, tmp_path: Path
):
    syncers = stack.replicas("syncer")
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        token = (await alice.api.heads()).token
        woken = await asyncio.to_thread(lambda: [one.count("wakes_total") for one in syncers])
        held = [asyncio.create_task(alice.api.heads(since=token, wait_s=50)) for _ in range(HELD)]
        await eventually(lambda: asyncio.to_thread(holding, syncers), until=all)
        assert not any(one.done() for one in held)

        await bob.add(library, "news", b"from bob")
        for answer in await asyncio.wait_for(asyncio.gather(*held), 60):
            assert {head.library: head.seq for head in answer.heads} == {library: 1}
            assert answer.token != token
        for one, was in zip(syncers, woken, strict=True):
            assert await asyncio.to_thread(one.count, "wakes_total") > was, one.name


async def told(stack: ComposedStack, email: str) -> str:
    """The text of all mail to somebody."""
    mails = [mail for mail in await asyncio.to_thread(stack.mails) if email in str(mail["To"])]
    parts = [part for mail in mails if (part := mail.get_body(("plain",))) is not None]
    return "".join(part.get_content() for part in parts)
