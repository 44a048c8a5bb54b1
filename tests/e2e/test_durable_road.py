"""A client that can only PUT is a full client; one that dies right after its PUT has lost nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from deploy.local.aws import root_key
from syncline.domain.commits import Status
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.people import eventually, person


async def test_a_client_that_dies_between_put_and_commit_has_lost_nothing(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        permitted = await alice.upload(library, "last words.txt", b"remember me")
        names = await eventually(lambda: alice.names(library), until=bool)
        assert names == ["last words.txt"]
        assert await alice.read(library, permitted.node) == b"remember me"


async def test_the_fast_road_and_the_same_event_ten_times_make_one_version(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        permitted = await alice.upload(library, "once.txt", b"once")
        await _send_event_times(stack, permitted.key, times=5)
        result = await alice.commit(library, m.AddVersion(permit=permitted.permit))
        assert result.status in (Status.APPLIED, Status.UNCHANGED)
        await _send_event_times(stack, permitted.key, times=5)
        # An upload behind them on the same queue has been seen, so all of them have.
        await alice.upload(library, "marker.txt", b"marker")
        await eventually(lambda: alice.names(library), until=lambda names: "marker.txt" in names)
        await asyncio.sleep(1)
        assert await alice.names(library) == ["marker.txt", "once.txt"]
        assert len((await alice.api.versions(library, permitted.node)).versions) == 1
        assert (await alice.api.library(library)).seq == 2


async def test_a_permit_is_no_second_version(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        first = await alice.upload(library, "plan.txt", b"one")
        await alice.commit(library, m.AddVersion(permit=first.permit))
        second = await alice.add(library, "", b"two", node=first.node, base_version=first.version)
        assert second.status is Status.APPLIED
        replayed = await alice.commit(library, m.AddVersion(permit=first.permit))
        assert replayed.status is Status.UNCHANGED
        assert await alice.read(library, first.node) == b"two"
        assert len((await alice.api.versions(library, first.node)).versions) == 2


async def test_a_script_that_only_puts_gets_its_file_committed(stack: EmbeddedStack, tmp_path: Path):
    """The real `aws s3 cp` with a direct permit and the issued credential."""
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        content = b"made by a cron job\n" * 100
        answer, permitted = await alice.permit(library, "report.txt", content, direct=True)
        report = tmp_path / "report.txt"
        report.write_bytes(content)
        await _aws_s3_cp(report, answer.credential, permitted)
        assert await eventually(lambda: alice.names(library), until=bool) == ["report.txt"]
        assert await alice.read(library, permitted.node) == content


async def test_bytes_that_are_not_what_was_permitted_become_no_version(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        answer, permitted = await alice.permit(library, "report.txt", b"as permitted", direct=True)
        forged = tmp_path / "forged.txt"
        forged.write_bytes(b"something else")
        await _aws_s3_cp(forged, answer.credential, permitted)
        result = await alice.commit(library, m.AddVersion(permit=permitted.permit))
        assert (result.status, result.reason) == (Status.REFUSED, "permit-mismatch")
        await alice.upload(library, "marker.txt", b"marker", direct=True)
        await eventually(lambda: alice.names(library), until=bool)
        assert await alice.names(library) == ["marker.txt"]


async def test_rights_lost_before_the_bytes_are_seen_commit_nothing(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        await bob.upload(library, "late.txt", b"too late")
        await alice.api.remove_member(library, bob.session.account.id)
        await alice.upload(library, "marker.txt", b"marker")
        await eventually(lambda: alice.names(library), until=bool)
        await asyncio.sleep(2)
        assert await alice.names(library) == ["marker.txt"]


async def _send_event_times(stack: EmbeddedStack, key: str, *, times: int) -> None:
    event = {
        "Records": [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "any"}, "object": {"key": key, "size": 4, "sequencer": "00"}},
            }
        ]
    }
    names = stack.definition.names
    async with stack.aws("sqs", root_key(stack.place)) as sqs:
        url = (await sqs.get_queue_url(QueueName=names.queue("uploads")))["QueueUrl"]
        for _ in range(times):
            await sqs.send_message(QueueUrl=url, MessageBody=msgspec.json.encode(event).decode(), DelaySeconds=0)


async def _aws_s3_cp(file: Path, credential: m.S3Credential, permitted: m.Permitted) -> None:
    environ = os.environ | {
        "AWS_ACCESS_KEY_ID": credential.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
        "AWS_SESSION_TOKEN": credential.session_token,
        "AWS_DEFAULT_REGION": credential.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command: list[str | Path] = [
        Path(sys.executable).parent / "aws",
        "s3",
        "cp",
        file,
        f"s3://{credential.bucket}/{permitted.key}",
    ]
    command += ["--endpoint-url", credential.endpoint, "--checksum-algorithm", "SHA256"]
    command += ["--metadata", f"permit={permitted.permit}", "--no-progress"]
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
