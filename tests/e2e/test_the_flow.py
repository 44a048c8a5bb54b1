"""The flow is real: one file's way, watched at every hop from the permit to the other client's bytes."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import pytest
from botocore.exceptions import ClientError

from syncline.client.engine import Engine
from syncline.domain.checksums import checksum_of
from syncline.domain.commits import Commit, Effect, Status
from syncline.domain.rights import Role
from syncline.messages import api as m
from syncline.store.codec import unpack
from syncline.store.journal import commit_key
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.people import eventually, person, put, s3_of

CONTENT = b"the minutes of the meeting\n"


async def test_one_files_way(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR), name="Board")
        await bob.api.follow(library, library)
        before = (await bob.api.heads()).token
        held = asyncio.create_task(bob.api.heads(since=before, wait_s=50))

        # permit → credential → S3, which verifies the bytes
        answer, permitted = await alice.permit(library, "minutes.txt", CONTENT)
        credential = answer.credential
        async with s3_of(credential) as s3:
            with pytest.raises(ClientError):
                await put(s3, credential, permitted, CONTENT + b"!", ChecksumSHA256=checksum_of(CONTENT))
            await put(s3, credential, permitted, CONTENT)
        assert not held.done()

        # S3's event → queue → commit in DynamoDB: nobody asks for it
        moved = await asyncio.wait_for(held, 60)
        [head] = [head for head in moved.heads if head.library == library]
        assert head.seq == 1
        commit = await _commit_in_dynamodb(stack, library, 1)
        [change] = commit.changes
        version = change.node.version
        assert (change.effect, change.node.name) == (Effect.ADDED, "minutes.txt")
        assert version is not None
        assert (version.checksum, version.location.key) == (checksum_of(CONTENT), permitted.key)
        assert version.location.s3_version

        # the fast road says the same about the same permit
        again = await alice.commit(library, m.AddVersion(permit=permitted.permit))
        assert (again.status, again.node, again.seq) == (Status.UNCHANGED, change.node.id, 1)

        # topic → wake-up (above) → the other client → the same bytes
        engine = Engine(bob.home, bob.api)
        try:
            link = await engine.link(library, tmp_path / "bobs")
            summary = await engine.sync_once(link)
        finally:
            engine.close()
        assert (summary.downloaded, summary.complete) == (1, True)
        assert (tmp_path / "bobs" / "minutes.txt").read_bytes() == CONTENT

        # topic → notifier → SES: one mail to the follower, none to the one who did it
        [mail] = await eventually(lambda: _mails_to(stack, bob.email), until=bool)
        assert "Board" in mail["Subject"]
        text = mail.get_body(("plain",))
        page = mail.get_body(("html",))
        assert text is not None
        assert page is not None
        assert "minutes.txt" in text.get_content()
        assert "minutes.txt" in page.get_content()
        assert await _mails_to(stack, alice.email) == []


async def test_the_link_in_a_mail_opens_the_file_and_unsubscribing_takes_one_click(
    stack: EmbeddedStack, tmp_path: Path
):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.VIEWER))
        await bob.api.follow(library, library)
        await alice.add(library, "plan.txt", CONTENT)
        [mail] = await eventually(lambda: _mails_to(stack, bob.email), until=bool)
        text = mail.get_body(("plain",))
        assert text is not None
        link = next(word for word in text.get_content().split() if "/v1/links/" in word)
        assert await _get(link) == CONTENT

        leave = str(mail["List-Unsubscribe"]).strip("<>")
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        await _post(leave, {"List-Unsubscribe": "One-Click"})
        assert await bob.api.follows() == []

        await alice.api.remove_member(library, bob.session.account.id)
        assert CONTENT not in await _get(link, ok=False)


async def _commit_in_dynamodb(stack: EmbeddedStack, library: str, seq: int) -> Commit:
    key = commit_key(library, seq)
    async with stack.aws("dynamodb", stack.key("metadata")) as dynamodb:
        table = stack.definition.names.table("journal")
        got = await dynamodb.get_item(TableName=table, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}})
    return unpack(Commit, got["Item"]["body"]["B"])


async def _mails_to(stack: EmbeddedStack, email: str) -> list[EmailMessage]:
    return [mail for mail in stack.mails() if email in str(mail["To"])]


async def _get(url: str, *, ok: bool = True) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.ok is ok
        return await answer.read()


async def _post(url: str, form: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as http, http.post(url, data=form) as answer:
        assert answer.ok
