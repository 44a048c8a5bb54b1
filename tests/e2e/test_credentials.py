"""Nobody gets at what isn't theirs: each attempt is made against the local AWS with policies enforced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from syncline.aws.credentials import session_policy
from syncline.domain.checksums import checksum_of
from syncline.domain.commits import Status
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.people import Person, eventually, person, put, s3_of

CONTENT = b"not yours"


async def denied(attempt: Awaitable[Any]) -> str:
    with pytest.raises(ClientError) as caught:
        await attempt
    return str(caught.value.response["Error"]["Code"])


async def test_a_credential_is_good_for_one_library_and_one_grant(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "mallory") as mallory:
        library = await alice.library()
        secret = await alice.upload(library, "secret.txt", CONTENT)
        theirs = await mallory.library()
        answer, own = await mallory.permit(theirs, "own.txt", CONTENT)
        credential = answer.credential
        bucket = credential.bucket
        async with s3_of(credential) as s3:
            await put(s3, credential, own, CONTENT)  # what it is for does work
            beside = own.key.replace(own.version, "a" * 20)
            other_grant = own.key.replace(answer.grant, "b" * 20)
            assert await s3.get_object(Bucket=bucket, Key=own.key)
            await put(s3, credential, own, CONTENT, Key=beside)
            attempts = {
                "read": s3.get_object(Bucket=bucket, Key=secret.key),
                "look": s3.head_object(Bucket=bucket, Key=secret.key),
                "list all": s3.list_objects_v2(Bucket=bucket),
                "list theirs": s3.list_objects_v2(Bucket=bucket, Prefix=f"objects/{library}/"),
                "list versions": s3.list_object_versions(Bucket=bucket, Prefix=f"objects/{library}/"),
                "write there": put(s3, credential, own, CONTENT, Key=secret.key.replace(secret.version, "c" * 20)),
                "overwrite there": s3.put_object(Bucket=bucket, Key=secret.key, Body=b"x"),
                "delete there": s3.delete_object(Bucket=bucket, Key=secret.key),
                "delete own": s3.delete_object(Bucket=bucket, Key=own.key),
                "write outside the grant": put(s3, credential, own, CONTENT, Key=other_grant),
                "write under commands": s3.put_object(Bucket=bucket, Key="commands/x", Body=b"x"),
                "begin parts elsewhere": s3.create_multipart_upload(Bucket=bucket, Key=secret.key + "x"),
                "copy theirs here": s3.copy_object(
                    Bucket=bucket, Key=own.key + "y", CopySource={"Bucket": bucket, "Key": secret.key}
                ),
            }
            codes = {what: await denied(attempt) for what, attempt in attempts.items()}
        assert set(codes.values()) <= {"AccessDenied", "403"}, codes


async def test_a_viewers_credential_reads_and_never_writes(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "victor") as victor:
        library = await alice.library((victor, Role.VIEWER))
        added = await alice.upload(library, "plan.txt", CONTENT)
        await alice.commit(library, m.AddVersion(permit=added.permit))
        assert await victor.read(library, added.node) == CONTENT
        with pytest.raises(Refused) as refused:
            await victor.permit(library, "mine.txt", b"x")
        assert refused.value.status == 403
        with pytest.raises(Refused):
            await victor.commit(library, m.Remove(node=added.node, base_seq=1))
        credential = (await victor.api.downloads(library)).credential
        async with s3_of(credential) as s3:
            writing = s3.put_object(Bucket=credential.bucket, Key=f"objects/{library}/{'a' * 20}/x", Body=b"x")
            assert await denied(writing) == "AccessDenied"


async def test_bytes_are_never_overwritten_and_never_other_than_declared(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        answer, permitted = await alice.permit(library, "plan.txt", CONTENT)
        async with s3_of(answer.credential) as s3:
            lie = put(s3, answer.credential, permitted, b"other bytes", ChecksumSHA256=checksum_of(CONTENT))
            assert await denied(lie) in {"BadDigest", "InvalidRequest", "XAmzContentChecksumMismatch"}
            await put(s3, answer.credential, permitted, CONTENT)
            assert await denied(put(s3, answer.credential, permitted, CONTENT)) == "PreconditionFailed"


async def test_a_made_up_or_altered_credential_is_nothing(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        answer, permitted = await alice.permit(library, "plan.txt", CONTENT)
        credential = answer.credential
        for changes in ({"aws_secret_access_key": "x" * 40}, {"aws_session_token": "x" * 40}):
            async with s3_of(credential, **changes) as s3:
                await denied(put(s3, credential, permitted, CONTENT))
        assert credential.expires_at <= time.time() + 3600


async def test_a_removed_members_next_request_fails(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        assert await bob.names(library) == []
        await alice.api.remove_member(library, bob.session.account.id)
        for attempt in (
            bob.names(library),
            bob.permit(library, "x", b"x"),
            bob.api.downloads(library),
            bob.api.library(library),
        ):
            with pytest.raises(Refused) as refused:
                await attempt
            assert refused.value.kind == "no-such-library"


@pytest.mark.parametrize("alter", ["flip", "cut", "another's"])
async def test_a_permit_cannot_be_altered_or_used_in_another_library(stack: EmbeddedStack, tmp_path: Path, alter: str):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        _, permitted = await alice.permit(library, "plan.txt", CONTENT)
        permit = {
            "flip": lambda: (
                permitted.permit[:-9] + ("A" if permitted.permit[-9] != "A" else "B") + permitted.permit[-8:]
            ),
            "cut": lambda: permitted.permit[:-4],
            "another's": lambda: permitted.permit,
        }[alter]()
        target = await alice.library() if alter == "another's" else library
        assert await _why_refused(alice, target, permit) in {"bad-permit", "permit-other-library"}


async def test_a_permit_is_good_for_its_own_key_only(stack: EmbeddedStack, tmp_path: Path):
    """The permit of one upload on the bytes of another, under a key of the same grant: set aside, no version."""
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        answer, permitted = await alice.permit(library, "plan.txt", CONTENT)
        async with s3_of(answer.credential) as s3:
            await put(s3, answer.credential, permitted, CONTENT, Key=permitted.key.replace(permitted.version, "d" * 20))
        await _marker(alice, library)
        assert await alice.names(library) == ["marker.txt"]
        result = await alice.commit(library, m.AddVersion(permit=permitted.permit))
        assert result.status is Status.REFUSED


async def test_a_credential_is_nothing_after_its_end(stack: EmbeddedStack, tmp_path: Path):
    """The gateway's own call with a shorter life than AWS grants, which the local AWS allows."""
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        answer, permitted = await alice.permit(library, "plan.txt", CONTENT)
        bucket = answer.credential.bucket
        prefix = permitted.key.removesuffix(permitted.version)
        unchecked = Config(parameter_validation=False)
        async with stack.aws("sts", stack.key("gateway"), config=unchecked) as sts:
            issued = await sts.assume_role(
                RoleArn=stack.definition.names.client_role_arn,
                RoleSessionName="short",
                Policy=session_policy(bucket, (prefix,), ()),
                DurationSeconds=2,
            )
        credential = msgspec.structs.replace(
            answer.credential,
            access_key_id=issued["Credentials"]["AccessKeyId"],
            secret_access_key=issued["Credentials"]["SecretAccessKey"],
            session_token=issued["Credentials"]["SessionToken"],
        )
        async with s3_of(credential) as s3:
            await put(s3, credential, permitted, CONTENT)
            await asyncio.sleep(2.5)
            late = put(s3, credential, permitted, CONTENT, Key=prefix + "e" * 20)
            assert await denied(late) in {"ExpiredToken", "ExpiredTokenException"}


async def _why_refused(who: Person, library: str, permit: str) -> str:
    try:
        result = await who.commit(library, m.AddVersion(permit=permit))
    except Refused as refused:
        return refused.kind
    assert result.status is Status.REFUSED
    return result.reason


async def _marker(who: Person, library: str) -> None:
    await who.upload(library, "marker.txt", b"marker")
    await eventually(lambda: who.names(library), until=lambda names: "marker.txt" in names)
