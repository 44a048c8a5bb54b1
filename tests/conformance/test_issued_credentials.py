"""What an issued credential may do with the bytes in S3, and what it may not, tried against enforced policies.

These facts guard who may read and write what; they hold only where signatures and policies are enforced.
"""

import asyncio
import base64
import hashlib
import io
import re
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from deploy.local.aws import AccessKey
from tests.conformance.local_aws import TESTER, aws_process, local_aws

pytestmark = pytest.mark.aws

MINE = "objects/lib-a/grant-1/"
OUTSIDE = [
    "objects/lib-b/grant-9/theirs",  # another library
    "objects/lib-a/grant-2/theirs",  # another grant
    "objects/lib-a/grant-10/theirs",  # a grant whose name begins like ours
    "objects/lib-a/theirs",
    "direct/lib-a/grant-1/theirs",
    "commands/theirs",
    "theirs",
]
UNREADABLE = ["objects/lib-b/grant-9/theirs", "objects/lib-ab/grant/theirs", "commands/theirs", "theirs"]


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


@asynccontextmanager
async def s3_with(stack, credential):
    key = AccessKey(credential.access_key_id, credential.secret_access_key)
    async with stack.client("s3", key, credential.session_token) as s3:
        yield s3


async def issued(stack, write=(MINE,), read=("objects/lib-a/",)):
    async with stack.connect("gateway") as gateway:
        return await gateway.credentials.issue(
            session_name="grant-1", write_prefixes=write, read_prefixes=read, duration_s=900
        )


@pytest.fixture(scope="module")
def stack(aws_stack):
    return aws_stack


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theirs(stack, connected):
    """Objects that others wrote: their keys with their versions."""
    tester, _ = connected
    return {key: (await tester.objects.put(key, b"theirs")).s3_version for key in [*OUTSIDE, *UNREADABLE]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def writer(stack):
    async with s3_with(stack, await issued(stack)) as s3:
        yield s3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def viewer(stack):
    async with s3_with(stack, await issued(stack, write=())) as s3:
        yield s3


@pytest.fixture(scope="module")
def bucket(stack):
    return stack.definition.names.bucket


async def refused(call):
    with pytest.raises(ClientError) as error:
        await call
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error.value
    return True


def put(s3, bucket, key, body=b"bytes", **more):
    arguments = {"Body": body, "ChecksumSHA256": sha256(body), "IfNoneMatch": "*"} | more
    return s3.put_object(Bucket=bucket, Key=key, **arguments)


async def test_a_writer_puts_under_its_grant_and_reads_its_library(writer, bucket, theirs, unique):
    answer = await put(writer, bucket, MINE + unique, Metadata={"permit": "p"})
    head = await writer.head_object(Bucket=bucket, Key=MINE + unique, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == sha256(b"bytes")
    got = await writer.get_object(Bucket=bucket, Key=MINE + unique, VersionId=answer["VersionId"])
    assert await got["Body"].read() == b"bytes"
    key = "objects/lib-a/grant-2/theirs"
    got = await writer.get_object(Bucket=bucket, Key=key, VersionId=theirs[key])
    assert await got["Body"].read() == b"theirs"


async def test_a_writer_uploads_in_parts_lists_and_aborts_them(writer, bucket, unique):
    named = {"Bucket": bucket, "Key": MINE + unique}
    bodies = [b"a" * 5 * 1024 * 1024, b"b"]
    upload = await writer.create_multipart_upload(**named, ChecksumAlgorithm="SHA256")
    parts = []
    for number, body in enumerate(bodies, 1):
        answer = await writer.upload_part(
            **named,
            UploadId=upload["UploadId"],
            PartNumber=number,
            Body=io.BytesIO(body),
            ChecksumSHA256=sha256(body),
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": sha256(body)})
    listed = await writer.list_parts(**named, UploadId=upload["UploadId"])
    assert [part["ChecksumSHA256"] for part in listed["Parts"]] == [sha256(body) for body in bodies]
    done = await writer.complete_multipart_upload(
        **named, UploadId=upload["UploadId"], MultipartUpload={"Parts": parts}, IfNoneMatch="*"
    )
    digests = b"".join(hashlib.sha256(body).digest() for body in bodies)
    assert done["ChecksumSHA256"] == f"{sha256(digests)}-2"
    other = await writer.create_multipart_upload(Bucket=bucket, Key=f"{MINE}{unique}2")
    await writer.abort_multipart_upload(Bucket=bucket, Key=f"{MINE}{unique}2", UploadId=other["UploadId"])


@pytest.mark.parametrize("key", OUTSIDE)
async def test_a_writer_cannot_write_outside_its_grant(writer, bucket, theirs, key):
    assert await refused(put(writer, bucket, key))
    assert await refused(put(writer, bucket, key + "-new"))
    assert await refused(writer.create_multipart_upload(Bucket=bucket, Key=key))
    assert await refused(writer.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": MINE + "x"}))


@pytest.mark.parametrize("key", UNREADABLE)
async def test_nobody_reads_another_library(writer, viewer, bucket, theirs, key):
    for s3 in (writer, viewer):
        assert await refused(s3.get_object(Bucket=bucket, Key=key))
        assert await refused(s3.get_object(Bucket=bucket, Key=key, VersionId=theirs[key]))
        assert await refused(s3.head_object(Bucket=bucket, Key=key))
        assert await refused(s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=["ETag"]))


@pytest.mark.parametrize("key", UNREADABLE)
async def test_a_writer_cannot_copy_another_library_into_its_own(writer, bucket, theirs, key, unique):
    source = {"Bucket": bucket, "Key": key}
    assert await refused(writer.copy_object(Bucket=bucket, Key=MINE + unique, CopySource=source))
    upload = await writer.create_multipart_upload(Bucket=bucket, Key=MINE + unique)
    part = {"Bucket": bucket, "Key": MINE + unique, "UploadId": upload["UploadId"], "PartNumber": 1}
    assert await refused(writer.upload_part_copy(**part, CopySource=source))


@pytest.mark.parametrize("key", [*OUTSIDE, MINE + "own"])
async def test_nobody_deletes(writer, viewer, bucket, theirs, key):
    if key.startswith(MINE):
        await put(writer, bucket, key)
    for s3 in (writer, viewer):
        assert await refused(s3.delete_object(Bucket=bucket, Key=key))
        if key in theirs:
            assert await refused(s3.delete_object(Bucket=bucket, Key=key, VersionId=theirs[key]))


async def test_nobody_lists(writer, viewer, bucket):
    for s3 in (writer, viewer):
        for prefix in ("", "objects/", "objects/lib-a/", MINE):
            assert await refused(s3.list_objects_v2(Bucket=bucket, Prefix=prefix))
            assert await refused(s3.list_object_versions(Bucket=bucket, Prefix=prefix))
        assert await refused(s3.list_multipart_uploads(Bucket=bucket))


async def test_nobody_touches_the_bucket(writer, bucket):
    assert await refused(writer.get_bucket_versioning(Bucket=bucket))
    assert await refused(writer.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}))
    assert await refused(writer.get_bucket_policy(Bucket=bucket))


@pytest.mark.parametrize("key", [*OUTSIDE, MINE + "viewer"])
async def test_a_viewer_writes_nothing(viewer, bucket, theirs, key):
    assert await refused(put(viewer, bucket, key))
    assert await refused(viewer.create_multipart_upload(Bucket=bucket, Key=key))


async def test_an_issued_key_opens_no_other_service(stack):
    credential = await issued(stack)
    key = AccessKey(credential.access_key_id, credential.secret_access_key)
    names = stack.definition.names
    async with stack.client("dynamodb", key, credential.session_token) as dynamodb:
        with pytest.raises(ClientError, match="AccessDenied"):
            await dynamodb.get_item(TableName=names.table("journal"), Key={"pk": {"S": "a"}, "sk": {"S": "a"}})
    async with stack.client("sqs", key, credential.session_token) as sqs:
        with pytest.raises(ClientError, match="AccessDenied"):
            await sqs.get_queue_url(QueueName=names.queue("commits"))
    async with stack.client("sts", key, credential.session_token) as sts:
        with pytest.raises(ClientError, match="AccessDenied"):
            await sts.assume_role(RoleArn=names.client_role_arn, RoleSessionName="again")


async def test_only_the_gateway_issues(stack):
    for service in ("metadata", "syncer", "notifier"):
        async with stack.client("sts", stack.keys[service]) as sts:
            with pytest.raises(ClientError, match="AccessDenied"):
                await sts.assume_role(RoleArn=stack.definition.names.client_role_arn, RoleSessionName="stolen")


async def test_a_forged_or_changed_key_opens_nothing(stack, bucket, theirs):
    credential = await issued(stack)
    token = credential.session_token
    wrong = [
        (credential.access_key_id, "x" * 40, token),
        (credential.access_key_id, credential.secret_access_key, token[:-4] + "AAAA"),
        (credential.access_key_id, credential.secret_access_key, None),
        ("ASIAAAAAAAAAAAAAAAAA", credential.secret_access_key, token),
    ]
    for key_id, secret, session in wrong:
        async with stack.client("s3", AccessKey(key_id, secret), session) as s3:
            with pytest.raises(ClientError, match=r"InvalidToken|InvalidAccessKeyId|SignatureDoesNotMatch"):
                await s3.get_object(Bucket=bucket, Key="objects/lib-a/grant-2/theirs")
    url = f"{stack.place.aws_url}/{bucket}/objects/lib-a/grant-2/theirs"
    async with aiohttp.ClientSession() as nobody:
        for call in (nobody.get(url), nobody.put(url, data=b"x"), nobody.delete(url)):
            async with call as response:
                assert response.status == 403


async def test_s3_refuses_bytes_that_do_not_match_their_checksum(writer, bucket, connected, unique):
    tester, _ = connected
    with pytest.raises(ClientError) as error:
        await put(writer, bucket, MINE + unique, b"other bytes", ChecksumSHA256=sha256(b"bytes"))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    upload = await writer.create_multipart_upload(Bucket=bucket, Key=MINE + unique, ChecksumAlgorithm="SHA256")
    with pytest.raises(ClientError) as error:
        await writer.upload_part(
            Bucket=bucket,
            Key=MINE + unique,
            UploadId=upload["UploadId"],
            PartNumber=1,
            Body=b"other bytes",
            ChecksumSHA256=sha256(b"bytes"),
        )
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert [key async for key in tester.objects.list_keys(MINE + unique)] == []


async def test_an_object_is_not_written_twice(writer, bucket, unique):
    await put(writer, bucket, MINE + unique)
    with pytest.raises(ClientError) as error:
        await put(writer, bucket, MINE + unique, b"other")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


@pytest.mark.parametrize(
    ("asked", "status", "wanted"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, None),
        (None, 200, b"0123456789"),
    ],
)
async def test_a_range_of_a_version(writer, bucket, connected, unique, asked, status, wanted):
    tester, _ = connected
    old = await put(writer, bucket, MINE + unique, b"0123456789")
    await tester.objects.put(MINE + unique, b"newer")
    url = await writer.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": MINE + unique, "VersionId": old["VersionId"]}
    )
    headers = {"Range": asked} if asked else {}
    async with aiohttp.ClientSession() as anybody, anybody.get(url, headers=headers) as response:
        assert response.status == status
        if wanted is not None:
            assert await response.read() == wanted


async def test_after_its_end_a_signed_url_opens_nothing(stack, connected, unique):
    tester, _ = connected
    version = (await tester.objects.put(f"objects/{unique}", b"x")).s3_version
    url = await tester.objects.presign_get(f"objects/{unique}", version, filename="x", expires_s=1)
    await asyncio.sleep(2.1)
    async with aiohttp.ClientSession() as late, late.get(url) as response:
        assert response.status == 403


def put_expiry_into_the_past(state: Path) -> None:
    """Change what the stopped local AWS has saved: every session ended a minute ago."""
    (file,) = state.rglob("sts.json")
    saved = file.read_text()
    changed = re.sub(r'("Expiration": ?)[0-9.]+', rf"\g<1>{time.time() - 60}", saved)
    assert changed != saved
    file.write_text(changed)


def test_after_its_end_a_credential_opens_nothing(tmp_path):
    async def read_and_write(stack, credential):
        async with s3_with(stack, credential) as s3:
            bucket = stack.definition.names.bucket
            await put(s3, bucket, f"{MINE}{time.time_ns()}")
            await s3.get_object(Bucket=bucket, Key="objects/lib-a/read")

    async def prepared(stack):
        async with stack.connect(TESTER) as tester:
            await tester.objects.put("objects/lib-a/read", b"x")
        credential = await issued(stack)
        await read_and_write(stack, credential)
        return credential

    with local_aws(tmp_path) as stack:
        credential = asyncio.run(prepared(stack))
    with aws_process(stack.place):  # a restart alone ends no credential
        asyncio.run(read_and_write(stack, credential))
    put_expiry_into_the_past(stack.place.aws_state)
    with aws_process(stack.place), pytest.raises(ClientError, match="ExpiredToken"):
        asyncio.run(read_and_write(stack, credential))
