"""The local AWS alone: what it enforces, what it delivers, and what it keeps through a stop and a start."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from deploy.definition import Definition
from deploy.local import aws, programs
from deploy.local.aws import AccessKey
from deploy.local.logs import Console
from deploy.local.place import Place
from deploy.local.provision import MAIL_FROM, UPLOADS_DELAY_SECONDS, embedded_definition, provision
from deploy.local.supervisor import Supervisor
from tests.e2e.embedded import aws_client, free_place

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRANT = "objects/lib-a/grant-1/"
RECEIVES_MAX = 20


@dataclass
class LocalAws:
    """A local AWS with the definition provisioned, and nothing else."""

    place: Place
    definition: Definition
    keys: dict[str, AccessKey]

    @property
    def bucket(self) -> str:
        return self.definition.bucket.name

    def client(self, api: str, who: str) -> Any:
        return aws_client(self.place, api, self.keys[who])

    def table(self, table: str) -> str:
        return self.definition.names.table(table)

    async def queue_url(self, sqs: Any, queue: str) -> str:
        return str((await sqs.get_queue_url(QueueName=self.definition.names.queue(queue)))["QueueUrl"])

    async def client_session(self) -> dict[str, str]:
        """Credentials as the gateway issues them: writing under GRANT, reading the whole library."""
        names = self.definition.names
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                    "Resource": names.objects_arn(GRANT),
                },
                {
                    "Effect": "Allow",
                    "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                    "Resource": names.objects_arn("objects/lib-a/"),
                },
            ],
        }
        async with self.client("sts", "gateway") as sts:
            answer = await sts.assume_role(
                RoleArn=names.client_role_arn,
                RoleSessionName="grant-1",
                Policy=json.dumps(policy),
                DurationSeconds=900,
            )
        credentials: dict[str, str] = answer["Credentials"]
        return credentials

    def as_client(self, session: dict[str, str]) -> Any:
        key = AccessKey(session["AccessKeyId"], session["SecretAccessKey"])
        return aws_client(self.place, "s3", key, session["SessionToken"])


@asynccontextmanager
async def running_aws(place: Place) -> AsyncIterator[LocalAws]:
    place.make()
    with open(os.devnull, "w") as nowhere:
        lock = os.open(place.data / ".lock", os.O_RDWR | os.O_CREAT)
        supervisor = Supervisor(place, Console(quiet=True, out=nowhere), lock)
        try:
            await supervisor.start(programs.local_aws(place))
            definition = embedded_definition()
            yield LocalAws(place, definition, await provision(place, definition))
        finally:
            await supervisor.stop()
            supervisor.close()
            os.close(lock)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAws]:
    async with running_aws(free_place(tmp_path_factory.mktemp("aws"))) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def session_s3(cloud: LocalAws) -> AsyncIterator[Any]:
    async with cloud.as_client(await cloud.client_session()) as s3:
        yield s3


async def code_of(call: Any) -> str:
    """The error code that refuses `call`."""
    with pytest.raises(ClientError) as refusal:
        await call
    return str(refusal.value.response["Error"]["Code"])


def fresh_key(prefix: str = GRANT) -> str:
    return prefix + secrets.token_hex(6)


async def receive_until(sqs: Any, url: str, found: Any) -> Any:
    """What `found(body)` answers for the first message for which it answers anything."""
    for _ in range(RECEIVES_MAX):
        answer = await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            if (hit := found(message["Body"])) is not None:
                return hit
    raise AssertionError("the message did not come")


def record_of(key: str) -> Any:
    def find(body: str) -> Any:
        for record in json.loads(body).get("Records", []):
            if record["s3"]["object"]["key"] == key:
                return record
        return None

    return find


# --- who may do what ---------------------------------------------------------


async def test_a_wrong_signature_is_refused(cloud):
    forged = AccessKey(cloud.keys["metadata"].id, "not-the-secret")
    async with aws_client(cloud.place, "s3", forged) as s3, aws_client(cloud.place, "sqs", forged) as sqs:
        assert await code_of(s3.list_objects_v2(Bucket=cloud.bucket)) == "SignatureDoesNotMatch"
        assert await code_of(sqs.get_queue_url(QueueName="syncline-sync")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("key", ["test", "000000000000", "123456789012"])
async def test_well_known_root_keys_are_refused(cloud, key):
    async with aws_client(cloud.place, "s3", AccessKey(key, "test")) as s3:
        assert await code_of(s3.list_buckets()) == "InvalidClientTokenId"
    async with aws_client(cloud.place, "dynamodb", AccessKey(key, "test")) as dynamodb:
        assert await code_of(dynamodb.list_tables()) == "InvalidClientTokenId"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/syncline-files"),
        ("PUT", "/syncline-files/objects/x"),
        ("POST", "/syncline-files"),
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/ses/messages"),
        ("GET", "/_ministack/sqs/messages"),
    ],
)
async def test_requests_without_credentials_are_refused(cloud, method, path):
    def ask() -> int:
        request = urllib.request.Request(cloud.place.aws_url + path, method=method, data=b"")
        try:
            return int(urllib.request.urlopen(request, timeout=10).status)
        except urllib.error.HTTPError as error:
            return error.code

    assert await asyncio.to_thread(ask) == 403


async def test_a_service_is_refused_what_is_not_in_its_policy(cloud):
    row = {"pk": {"S": "x"}, "sk": {"S": "x"}}
    role = cloud.definition.names.client_role_arn
    async with (
        cloud.client("dynamodb", "syncer") as syncer_rows,
        cloud.client("dynamodb", "gateway") as gateway_rows,
        cloud.client("sqs", "syncer") as syncer_queues,
        cloud.client("sqs", "metadata") as metadata_queues,
        cloud.client("s3", "metadata") as metadata_objects,
        cloud.client("s3", "notifier") as notifier_objects,
        cloud.client("sts", "metadata") as metadata_sts,
        cloud.client("iam", "gateway") as gateway_iam,
        cloud.client("sesv2", "gateway") as gateway_mail,
    ):
        uploads = await cloud.queue_url(metadata_queues, "uploads")
        journal, views = cloud.table("journal"), cloud.table("views")
        both = [{"Put": {"TableName": table, "Item": row}} for table in (journal, views)]
        denied = [
            syncer_rows.put_item(TableName=journal, Item=row),
            gateway_rows.put_item(TableName=views, Item=row),
            gateway_rows.scan(TableName=journal),
            gateway_rows.transact_write_items(TransactItems=both),
            syncer_queues.receive_message(QueueUrl=uploads),
            metadata_queues.purge_queue(QueueUrl=uploads),
            metadata_objects.delete_object(Bucket=cloud.bucket, Key="objects/x"),
            metadata_objects.put_object(Bucket=cloud.bucket, Key="objects/x", Body=b""),
            notifier_objects.get_object(Bucket=cloud.bucket, Key="objects/x"),
            metadata_sts.assume_role(RoleArn=role, RoleSessionName="grant"),
            gateway_iam.create_user(UserName="eve"),
            gateway_mail.send_email(FromEmailAddress=MAIL_FROM, Destination={}, Content={}),
        ]
        codes = [await code_of(call) for call in denied]
    assert {code.removesuffix("Exception") for code in codes} == {"AccessDenied"}


async def test_rows_of_others_in_a_shared_table_are_refused(cloud):
    journal, directory, mail = (cloud.table(name) for name in ("journal", "directory", "mail"))

    def row(pk: str) -> dict[str, Any]:
        return {"pk": {"S": pk}, "sk": {"S": "x"}}

    def put(table: str, pk: str) -> dict[str, Any]:
        return {"Put": {"TableName": table, "Item": row(pk)}}

    async with cloud.client("dynamodb", "gateway") as gateway, cloud.client("dynamodb", "metadata") as metadata:
        await gateway.transact_write_items(TransactItems=[put(journal, "head#x"), put(directory, "library#x")])
        await gateway.query(
            TableName=mail,
            KeyConditionExpression="#n0 = :v0",
            ExpressionAttributeNames={"#n0": "pk"},
            ExpressionAttributeValues={":v0": {"S": "webhooks#x"}},
        )
        mailboxes = {"KeyConditionExpression": "pk = :v0", "ExpressionAttributeValues": {":v0": {"S": "mailbox#x"}}}
        denied = [
            gateway.put_item(TableName=journal, Item=row("journal#x#0")),
            gateway.transact_write_items(TransactItems=[put(journal, "head#x"), put(journal, "journal#x#0")]),
            gateway.query(TableName=mail, **mailboxes),
            gateway.get_item(TableName=mail, Key=row("mailbox#x")),
            gateway.batch_get_item(RequestItems={mail: {"Keys": [row("webhooks#x"), row("mailbox#x")]}}),
            metadata.update_item(TableName=directory, Key=row("account#x")),
            metadata.delete_item(TableName=directory, Key=row("member#x")),
            metadata.batch_write_item(RequestItems={directory: [{"PutRequest": {"Item": row("account#x")}}]}),
        ]
        assert {await code_of(call) for call in denied} == {"AccessDeniedException"}


async def test_mail_goes_out_from_its_own_sender_alone(cloud):
    def mail(header: str, sender: str) -> dict[str, Any]:
        raw = f"From: {header}\r\nTo: carol@example.com\r\n\r\nbody\r\n".encode()
        content = {"Raw": {"Data": raw}}
        return {"FromEmailAddress": sender, "Destination": {"ToAddresses": ["carol@example.com"]}, "Content": content}

    async with cloud.client("sesv2", "notifier") as ses, cloud.client("ses", "notifier") as first_ses:
        await ses.send_email(**mail(f"Syncline <{MAIL_FROM}>", MAIL_FROM))
        denied = [
            ses.send_email(**mail("ceo@example.com", "ceo@example.com")),
            ses.send_email(**mail("ceo@example.com", MAIL_FROM)),
            ses.send_email(**mail(MAIL_FROM, "ceo@example.com")),
            first_ses.send_raw_email(RawMessage={"Data": b"From: ceo@example.com\r\n\r\n"}),
        ]
        assert {(await code_of(call)).removesuffix("Exception") for call in denied} == {"AccessDenied"}


async def test_services_can_do_their_work(cloud):
    row = {"pk": {"S": "head#x"}, "sk": {"S": "head"}}
    check = {
        "TableName": cloud.table("directory"),
        "Key": row,
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    async with (
        cloud.client("dynamodb", "gateway") as gateway_rows,
        cloud.client("dynamodb", "metadata") as metadata_rows,
        cloud.client("dynamodb", "syncer") as syncer_rows,
        cloud.client("dynamodb", "notifier") as notifier_rows,
        cloud.client("sqs", "gateway") as gateway_queues,
        cloud.client("s3", "gateway") as gateway_objects,
    ):
        await gateway_rows.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": cloud.table("journal"), "Item": row}},
                {"ConditionCheck": check},
            ]
        )
        await metadata_rows.batch_write_item(RequestItems={cloud.table("views"): [{"PutRequest": {"Item": row}}]})
        found = await syncer_rows.get_item(TableName=cloud.table("journal"), Key=row, ConsistentRead=True)
        assert found["Item"] == row
        await syncer_rows.update_item(
            TableName=cloud.table("directory"),
            Key={"pk": {"S": "checkpoint#archive#x"}, "sk": {"S": "checkpoint"}},
            UpdateExpression="SET seq = :seq",
            ExpressionAttributeValues={":seq": {"N": "1"}},
        )
        await notifier_rows.put_item(TableName=cloud.table("mail"), Item={"pk": {"S": "due"}, "sk": {"S": "1"}})
        commits = await cloud.queue_url(gateway_queues, "commits")
        await gateway_queues.send_message(
            QueueUrl=commits, MessageBody="{}", MessageGroupId="lib", MessageDeduplicationId="1"
        )
        await gateway_objects.put_object(Bucket=cloud.bucket, Key="commands/c1", Body=b"large")


# --- what a client's credential reaches --------------------------------------


async def test_a_session_writes_and_reads_within_its_grant(cloud, session_s3):
    key, body = fresh_key(), b"hello"
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    put = await session_s3.put_object(
        Bucket=cloud.bucket,
        Key=key,
        Body=body,
        ChecksumSHA256=checksum,
        IfNoneMatch="*",
        Metadata={"permit": "p" * 1_900},
    )
    got = await session_s3.get_object(Bucket=cloud.bucket, Key=key, VersionId=put["VersionId"])
    assert await got["Body"].read() == body
    again = session_s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"other", IfNoneMatch="*")
    assert await code_of(again) == "PreconditionFailed"
    other = {"Bucket": cloud.bucket, "Key": fresh_key(), "Body": b"other"}
    assert await code_of(session_s3.put_object(**other, IfNoneMatch="*", ChecksumSHA256=checksum)) == "BadDigest"
    assert await code_of(session_s3.put_object(**other)) == "AccessDenied"  # it would overwrite


async def test_a_session_sends_a_file_in_parts(cloud, session_s3):
    key, part = fresh_key(), os.urandom(5 * 2**20)
    where = {"Bucket": cloud.bucket, "Key": key}
    started = await session_s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
    where["UploadId"] = started["UploadId"]
    parts = []
    for number in (1, 2):
        sent = await session_s3.upload_part(**where, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
    listed = await session_s3.list_parts(**where)
    assert [one["PartNumber"] for one in listed["Parts"]] == [1, 2]
    done = await session_s3.complete_multipart_upload(**where, IfNoneMatch="*", MultipartUpload={"Parts": parts})
    digest = hashlib.sha256(hashlib.sha256(part).digest() * 2).digest()
    async with cloud.client("s3", "metadata") as s3:
        head = await s3.head_object(Bucket=cloud.bucket, Key=key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(digest).decode() + "-2"
    assert head["VersionId"] == done["VersionId"]


async def test_a_session_reaches_nothing_beyond_its_grant(cloud, session_s3):
    bucket, mine, other = cloud.bucket, fresh_key(), "objects/lib-b/grant-9/file"
    new: dict[str, Any] = {"Bucket": bucket, "Body": b"1", "IfNoneMatch": "*"}
    await session_s3.put_object(**new, Key=mine)
    denied = [
        session_s3.put_object(**new, Key="objects/lib-a/grant-2/file"),
        session_s3.put_object(**new, Key=other),
        session_s3.put_object(**new, Key="commands/c2"),
        session_s3.get_object(Bucket=bucket, Key=other),
        session_s3.get_object(Bucket=bucket, Key="commands/c1"),
        session_s3.create_multipart_upload(Bucket=bucket, Key=other),
        session_s3.copy_object(Bucket=bucket, Key=fresh_key(), CopySource={"Bucket": bucket, "Key": other}),
        session_s3.delete_object(Bucket=bucket, Key=mine),
        session_s3.list_objects_v2(Bucket=bucket, Prefix=GRANT),
        session_s3.list_object_versions(Bucket=bucket),
        session_s3.list_multipart_uploads(Bucket=bucket),
        session_s3.put_object_acl(Bucket=bucket, Key=mine, ACL="public-read"),
        session_s3.put_object_tagging(Bucket=bucket, Key=mine, Tagging={"TagSet": []}),
    ]
    assert {await code_of(call) for call in denied} == {"AccessDenied"}


async def test_a_session_policy_cannot_reach_beyond_the_role(cloud):
    bucket = cloud.bucket
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    async with cloud.client("sts", "gateway") as sts:
        answer = await sts.assume_role(
            RoleArn=cloud.definition.names.client_role_arn, RoleSessionName="all", Policy=json.dumps(everything)
        )
    async with cloud.as_client(answer["Credentials"]) as s3:
        key = fresh_key()
        put = await s3.put_object(Bucket=bucket, Key=key, Body=b"1", IfNoneMatch="*")
        denied = [
            s3.put_object(Bucket=bucket, Key=key, Body=b"2"),
            s3.put_object(Bucket=bucket, Key="commands/c3", Body=b"1"),
            s3.get_object(Bucket=bucket, Key="commands/c1"),
            s3.get_object(Bucket=bucket, Key="journal/x"),
            s3.list_objects_v2(Bucket=bucket),
            s3.delete_object(Bucket=bucket, Key=key),
            s3.delete_object(Bucket=bucket, Key=key, VersionId=put["VersionId"]),
            s3.delete_bucket_policy(Bucket=bucket),
        ]
        assert {await code_of(call) for call in denied} == {"AccessDenied"}


# --- what is delivered -------------------------------------------------------


@pytest.mark.parametrize(("prefix", "queue"), [(GRANT, "uploads"), ("direct/lib-a/grant-1/", "direct")])
async def test_an_object_that_landed_is_told_with_version_and_sequencer(cloud, prefix, queue):
    key = fresh_key(prefix)
    async with (
        aws_client(cloud.place, "s3", aws.root_key(cloud.place)) as s3,
        cloud.client("sqs", "metadata") as sqs,
    ):
        first = await s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"1")
        record = await receive_until(sqs, await cloud.queue_url(sqs, queue), record_of(key))
        assert record["s3"]["object"]["versionId"] == first["VersionId"]
        second = await s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"22")
        later = await receive_until(sqs, await cloud.queue_url(sqs, queue), record_of(key))
    assert later["s3"]["object"]["versionId"] == second["VersionId"]
    assert later["s3"]["object"]["size"] == 2
    assert int(later["s3"]["object"]["sequencer"], 16) > int(record["s3"]["object"]["sequencer"], 16)


async def test_events_of_uploads_wait_for_their_delay(cloud):
    loop, key = asyncio.get_running_loop(), fresh_key()
    async with (
        cloud.as_client(await cloud.client_session()) as s3,
        cloud.client("sqs", "metadata") as sqs,
    ):
        before = loop.time()
        await s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"1", IfNoneMatch="*")
        await receive_until(sqs, await cloud.queue_url(sqs, "uploads"), record_of(key))
        assert loop.time() - before >= UPLOADS_DELAY_SECONDS - 0.1


async def test_the_topic_delivers_raw_to_both_queues(cloud):
    text = secrets.token_hex(8)
    async with (
        cloud.client("sns", "metadata") as sns,
        cloud.client("sqs", "syncer") as syncer,
        cloud.client("sqs", "notifier") as notifier,
    ):
        await sns.publish(TopicArn=cloud.definition.names.topic_arn, Message=text)
        for sqs, queue in ((syncer, "sync"), (notifier, "notify")):
            url = await cloud.queue_url(sqs, queue)
            assert await receive_until(sqs, url, lambda body: body if body == text else None) == text


async def test_a_mail_becomes_a_file_with_all_its_headers(cloud):
    raw = (
        b"From: Syncline <syncline@syncline.example>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
        b"List-Unsubscribe: <http://127.0.0.1/u?t=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        b"X-Own: kept\r\n\r\nbody\r\n"
    )
    async with cloud.client("sesv2", "notifier") as ses:
        sent = await ses.send_email(
            FromEmailAddress=MAIL_FROM,
            Destination={"ToAddresses": ["bob@example.com"]},
            Content={"Raw": {"Data": raw}},
        )
    [path] = cloud.place.mail.glob("*-bob@example.com-*.eml")
    content = path.read_bytes()
    assert content.endswith(raw)
    assert f"Message-ID: <{sent['MessageId']}>".encode() in content


# --- stop and start ----------------------------------------------------------


async def test_everything_is_there_after_stop_and_start(tmp_path):
    place, key = free_place(tmp_path), fresh_key()
    row = {"pk": {"S": "a"}, "sk": {"S": "b"}, "body": {"B": b"\x00\xff"}}
    async with running_aws(place) as cloud:
        before, session = cloud.keys, await cloud.client_session()
        async with (
            cloud.as_client(session) as s3,
            aws_client(place, "s3", aws.root_key(place)) as root_s3,
            cloud.client("dynamodb", "metadata") as rows,
            cloud.client("sns", "metadata") as sns,
        ):
            first = await s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"one", IfNoneMatch="*")
            second = await root_s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"two")
            await rows.put_item(TableName=cloud.table("journal"), Item=row)
            await sns.publish(TopicArn=cloud.definition.names.topic_arn, Message="before")

    async with running_aws(place) as cloud:
        assert cloud.keys == before
        async with (
            cloud.as_client(session) as s3,
            cloud.client("dynamodb", "metadata") as rows,
            cloud.client("sqs", "metadata") as sqs,
            cloud.client("sqs", "syncer") as syncer,
            cloud.client("sns", "metadata") as sns,
        ):
            for version, body in ((first, b"one"), (second, b"two")):
                got = await s3.get_object(Bucket=cloud.bucket, Key=key, VersionId=version["VersionId"])
                assert await got["Body"].read() == body
            found = await rows.get_item(TableName=cloud.table("journal"), Key={k: row[k] for k in ("pk", "sk")})
            assert found["Item"] == row
            uploads = await cloud.queue_url(sqs, "uploads")
            await receive_until(sqs, uploads, record_of(key))
            fresh = fresh_key()
            assert (await s3.put_object(Bucket=cloud.bucket, Key=fresh, Body=b"3", IfNoneMatch="*"))["VersionId"]
            await receive_until(sqs, uploads, record_of(fresh))
            await sns.publish(TopicArn=cloud.definition.names.topic_arn, Message="after")
            sync = await cloud.queue_url(syncer, "sync")
            missing = {"before", "after"}

            def both(body: str) -> str | None:
                missing.discard(body)
                return None if missing else body

            await receive_until(syncer, sync, both)
            denied = s3.put_object(Bucket=cloud.bucket, Key="objects/lib-b/x", Body=b"", IfNoneMatch="*")
            assert await code_of(denied) == "AccessDenied"
            unreachable = rows.put_item(TableName=cloud.table("mail"), Item=row)
            assert await code_of(unreachable) == "AccessDeniedException"
