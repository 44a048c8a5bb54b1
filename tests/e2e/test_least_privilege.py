"""Each service does all it does on its own permissions, and none of these is there for nothing.

One stack with short intervals, where people, plain tools, AWS and an operator do everything once. The local AWS writes
down which permissions that took. None may have been missing, and without any single one something would have been
denied, but for the few that stand below with their reasons.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local.aws import USED_ACTIONS, root_key
from deploy.local.programs import service_environment
from deploy.local.used_actions import Request, read
from services.gateway.app import random_id
from services.metadata.arrivals import Arrivals
from services.metadata.grant_sweep import GrantSweep
from services.metadata.measures import Measures
from syncline.admin.__main__ import open_aws
from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.aws.settings import Settings
from syncline.client.api import Api
from syncline.client.home import Home, SessionFile
from syncline.domain.errors import Refused
from syncline.domain.permits import PermitKey, PermitKeys
from syncline.domain.preferences import Every
from syncline.domain.rights import Role
from syncline.messages import api as m, history as h
from syncline.ports.queues import Queue
from syncline.serving.metrics import Metrics
from syncline.store.grants import grant_key
from syncline.store.journal import COMMITS_BY_KEY_MAX
from syncline.store.rows import applied_key
from tests.e2e.embedded import DIGEST_WINDOW_SECONDS, EmbeddedStack, running_stack
from tests.e2e.people import PASSWORD, Person, eventually, person, put, s3_of
from tests.e2e.privileges import needless, permissions_of, policies_of
from tests.e2e.test_accounts import letter, token
from tests.e2e.test_giving_up import Later, as_metadata, copy_of, edited, objects_of
from tests.e2e.test_sweep import pid_of
from tests.e2e.test_tidying import folders, kept, make_commits

pytestmark = pytest.mark.e2e

SETTINGS = {
    # Events of uploads come after 4 s: what intake does the sweep shall not have done before.
    "SYNCLINE_SWEEP_INTERVAL_SECONDS": "6",
    "SYNCLINE_FREE_AFTER_SECONDS": "1",
    "SYNCLINE_ARCHIVE_SECONDS": "1",
    "SYNCLINE_SNAPSHOT_CHANGES": "20",
    "SYNCLINE_REPLACED_KEPT_SECONDS": "1",
    "SYNCLINE_DIGEST_WINDOW_SECONDS": str(DIGEST_WINDOW_SECONDS),
}
USED_FILE = "used.jsonl"
# With dead letters about, not all is well.
OPERATOR_FINE = (Exit.OK, Exit.DIFFERS)
# News of members that cannot be read, and what says that there are some; of all the others the latter alone.
DAMAGED_ROWS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("directory", "memberchanges#damaged", f"{1:020}", {"body": {"B": b"damaged"}}),
    ("directory", "memberdue#0", "damaged", {"epoch": {"N": "1"}}),
    ("directory", "memberdue#1", "!", {}),
    ("mail", "due#0", "000000000000001#damaged", {}),
    ("mail", "webhookdue#0", "000000000000001", {}),
)
PART = 5 * 2**20
LARGE_NAMES = 999

ARN = "arn:aws:{}:us-east-1:000000000000:{}"
LARGE = "retention gives up some 9,000 versions in one commit, more than a test can make"
MENDED = "`check --mend` finds rows that no commit explains, as in tests/unit/admin/test_checking.py"
PUT_OFF = "a message that fails for now, or takes long, is hidden, as in tests/unit/serving/test_consumer.py"
# Permissions that nothing here needs, each with what does.
UNUSED_HERE = {
    "syncline-metadata KeepLargeCommands: s3:PutObject arn:aws:s3:::syncline-files/commands/*": LARGE,
    "syncline-metadata KeepLargeCommands: s3:GetObjectVersion arn:aws:s3:::syncline-files/commands/*": LARGE,
    "syncline-syncer FindSnapshots: s3:GetObject arn:aws:s3:::syncline-files/snapshots/*": (
        "two syncers made the same snapshot at once, as in tests/unit/syncer/test_archiver.py"
    ),
    "syncline-syncer ListObjects: s3:ListBucket arn:aws:s3:::syncline-files": (
        "AWS alone answers 403 instead of 404 without it"
    ),
    f"syncline-admin MendJournal: dynamodb:DeleteItem {ARN.format('dynamodb', 'table/syncline-views')}": MENDED,
}
# Permissions that a slow machine may need here, or not.
USED_BY_CHANCE = {
    **{
        f"syncline-{service} Consume: sqs:ChangeMessageVisibility {ARN.format('sqs', 'syncline-' + queue)}": PUT_OFF
        for service, queues in {
            "metadata": ("uploads", "direct", "commits.fifo"),
            "syncer": ("sync",),
            "notifier": ("notify", "letters", "bounces"),
        }.items()
        for queue in queues
    },
    f"syncline-metadata WriteOutcomes: dynamodb:GetItem {ARN.format('dynamodb', 'table/syncline-outcomes')}": (
        "the head moved while a command was decided, as in tests/unit/metadata/test_together.py"
    ),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    folder = tmp_path_factory.mktemp("least-privilege")
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(USED_ACTIONS, str(folder / USED_FILE))
        with running_stack(folder, *sets) as running:
            yield running


@pytest.fixture(scope="module")
def used(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """What it took to do everything once."""
    homes = tmp_path_factory.mktemp("homes")
    done = asyncio.run(people_do_everything(stack, homes))
    asyncio.run(messages_are_damaged(stack))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in operators_environment(stack).items():
            patch.setenv(name, value)
        operator_does_everything(stack, done)
    return list(read(stack.place.data / USED_FILE))


def test_nothing_was_denied(used: list[Request]) -> None:
    assert [request for request in used if not request.allowed] == []


def test_every_permission_is_needed_but_those_that_say_why(stack: EmbeddedStack, used: list[Request]) -> None:
    found = {str(permission) for permission in needless(policies_of(stack.definition), used)}
    unexplained = sorted(found - UNUSED_HERE.keys() - USED_BY_CHANCE.keys())
    assert unexplained == [], "granted, and not needed for anything that was done"
    assert sorted(UNUSED_HERE.keys() - found) == [], "excused, though it is needed"


def test_excuses_are_for_permissions_that_there_are(stack: EmbeddedStack) -> None:
    granted = {str(permission) for permission in permissions_of(policies_of(stack.definition))}
    assert (UNUSED_HERE.keys() | USED_BY_CHANCE.keys()) - granted == set()


# --- people ------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """Libraries; the archived one may be made again. ``leaver``: the address of somebody who owns one and may go."""

    library: str
    archived: str
    flooded: str
    leaver: str


async def people_do_everything(stack: EmbeddedStack, homes: Path) -> Done:
    async with (
        person(stack.url, homes, "alice") as alice,
        person(stack.url, homes, "bob") as bob,
        person(stack.url, homes, "leo") as leo,
    ):
        await leo.library(name="Left")
        library = await alice.library((bob, Role.EDITOR), name="Shared")
        await bob.api.follow(library, library)
        archived = await alice.library(name="Archived")
        await asyncio.gather(
            files(stack, alice, bob, library),
            archive(stack, alice, bob, archived),
            plain_tools(stack, alice),
            large_commands(alice),
            accounts(stack, homes),
            groups(alice, bob),
            mail(stack, bob),
            outside(stack, alice),
            webhooks(stack, alice, bob),
        )
        flooded = await flood(stack, alice, bob)
        await days_pass(stack, alice)
    return Done(library, archived, flooded, leo.email)


async def files(stack: EmbeddedStack, alice: Person, bob: Person, library: str) -> None:
    """Every kind of commit, both roads, history, retention, downloads and waiting."""
    held = asyncio.create_task(bob.api.heads((await bob.api.heads()).token, wait_s=20))
    node, versions = await edited(alice, library, "plan.txt", b"one", b"two two", b"three")
    await held
    gone, [first, _] = await edited(alice, library, "gone.txt", b"copied", b"removed")
    await alice.commit(library, copy_of(library, first, "copy.txt"))
    [folder] = folders(library, 1)
    await alice.commit(library, folder)
    await alice.commit(library, m.Move(node=node, base_seq=await seq_of(alice, library), parent=folder.node, name="p"))
    before = await seq_of(alice, library)
    await alice.commit(library, m.Remove(node=gone, base_seq=before))
    await alice.api.trash(library)
    await alice.api.restore_node(library, gone, h.RestoreNode())
    await alice.api.rewind(library, library, h.Rewind(at=str(before)))
    await alice.api.restore(library, node, versions[0].id)
    await alice.api.find(library, "copy.txt", at=str(before))
    older = m.Held(path="copy.txt", checksum=versions[0].checksum, size_bytes=versions[0].size_bytes)
    await alice.api.compare(library, m.CompareRequest(digest="", held=[older]))
    for whose in ("me", f"libraries/{library}"):
        await fetch("GET", f"{stack.url}/v1/{whose}/audit", token=alice.session.access_token)
    page = await alice.api.changes(library)
    await alice.api.changes(library, page.cursor)
    await alice.read(library, node)
    url = f"{stack.url}/v1/libraries/{library}/files/{node}/content"
    assert await fetch("GET", url, token=bob.session.access_token) == b"one"
    await alice.commit(library, m.Remove(node=gone, base_seq=await seq_of(alice, library)))
    await alice.api.purge(library, h.Purge())
    await alice.api.set_retention(library, h.Retention(versions_max=1))
    await eventually(lambda: objects_of(stack, library), until=lambda found: versions[1].key not in found)


async def plain_tools(stack: EmbeddedStack, alice: Person) -> None:
    """Uploads under both prefixes by AWS's own client: parts listed and given up, looked at, committed, downloaded."""
    library = await alice.library()
    for direct in (False, True):
        content = os.urandom(PART + 1)
        answer, permitted = await alice.permit(library, f"direct-{direct}", content, direct=direct)
        credential = answer.credential
        where = {"Bucket": credential.bucket, "Key": permitted.key}
        async with s3_of(credential) as s3:
            abandoned = await s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
            upload = {**where, "UploadId": abandoned["UploadId"]}
            await s3.upload_part(**upload, PartNumber=1, Body=content[:PART], ChecksumAlgorithm="SHA256")
            assert len((await s3.list_parts(**upload))["Parts"]) == 1
            await s3.abort_multipart_upload(**upload)
            await put(s3, credential, permitted, content)
            await s3.head_object(**where)
        done = await alice.commit(library, m.AddVersion(permit=permitted.permit))
        url = f"{stack.url}/v1/libraries/{library}/files/{done.node}/content"
        assert await fetch("GET", url, token=alice.session.access_token) == content
        assert await alice.read(library, done.node) == content
        await alice.upload(library, f"unheard-{direct}", b"committed by its event", direct=direct)
        await alice.commit(library, m.Remove(node=done.node, base_seq=await seq_of(alice, library)))
    await alice.api.purge(library, h.Purge())
    names = ["unheard-False", "unheard-True"]
    await eventually(lambda: alice.names(library), until=lambda found: sorted(found) == names)


async def large_commands(alice: Person) -> None:
    """A command that is too large for a message."""
    library = await alice.library()
    names = [f"{n:04}{'x' * 240}" for n in range(LARGE_NAMES)]
    requests = [m.MakeFolder(node=random_id(), parent=library, name=name) for name in names]
    await alice.api.commit(library, m.CommitBody(requests=list(requests), counter=1))
    await eventually(lambda: seq_of(alice, library), until=bool)


async def archive(stack: EmbeddedStack, alice: Person, bob: Person, library: str) -> None:
    """The archive written, read again, and tidied."""
    roles = itertools.cycle((Role.VIEWER, Role.EDITOR))
    for room in ("journal", "snapshots"):
        seen = set[str]()

        async def kept_while_things_happen(room: str = room) -> list[str]:
            await alice.commit(library, *folders(library, 8))
            await alice.api.set_member(library, m.NewMember(email=bob.email, role=next(roles)))
            return await kept(stack, room, library)

        def something_went(found: list[str], seen: set[str] = seen) -> bool:
            seen |= set(found)
            return len(found) < len(seen)

        await eventually(kept_while_things_happen, until=something_went)
    assert await alice.api.snapshot(library)
    await alice.add(library, "kept.txt", b"kept")


async def accounts(stack: EmbeddedStack, homes: Path) -> None:
    """An account from its making to its removal, with letters."""
    async with person(stack.url, homes, "dora") as dora, person(stack.url, homes, "erin") as erin:
        with pytest.raises(Refused):
            await erin.api.sign_in(dora.email, "a wrong password", "elsewhere")
        library = await dora.library(name="Inherited")
        guest = dora.email.replace("dora", "guest")
        for invited in (guest, guest.replace("guest", "never")):
            await dora.api.set_member(library, m.NewMember(email=invited, role=Role.EDITOR))
        for invitation in await dora.api.governing.invitations(library):
            if invitation.email != guest:
                await dora.api.governing.revoke_invitation(library, invitation.id)
        async with Api(stack.url, SessionFile(Home(homes / "guest"))) as api:
            await api.sign_up(guest, PASSWORD, "Guest", invitation=await token(stack, guest, "invites you"))
            await api.sign_in(guest, PASSWORD, "desk")
            await api.me()
            await api.sign_out()
        await dora.api.governing.transfer(library, m.Transfer(email=erin.email, keep=Role.OWNER))
        new = dora.email.replace("dora", "new")
        await dora.api.governing.ask_address(new, PASSWORD)
        for address, about in ((new, "Confirm your new address"), (dora.email, "Change your address")):
            await dora.api.governing.confirm_address(await token(stack, address, about))
        await erin.api.governing.ask_reset(erin.email)
        reset = await token(stack, erin.email, "new password")
        await erin.api.governing.use_reset(reset, "a wholly new password", keep_this_device=False)
        await erin.api.sign_in(erin.email, "a wholly new password", "again")
        await erin.api.governing.change_password("a wholly new password", PASSWORD)
        for device in await erin.api.governing.devices():
            if not device.this:
                await erin.api.governing.revoke_device(device.id)
        await dora.api.governing.remove_account(PASSWORD, erin.email)


async def groups(alice: Person, bob: Person) -> None:
    governing = alice.api.governing
    library = await alice.library(name="Grouped")
    await alice.api.follow(library, library)
    group = await governing.create_group("Designers")
    await governing.share_with_group(library, group.id, m.GroupRole(role=Role.EDITOR))
    member = await governing.add_to_group(group.id, bob.email)
    await bob.add(library, "by-bob.txt", b"bob was here")
    assert len(await bob.api.libraries()) > 1
    await governing.group(group.id)
    await governing.remove_from_group(group.id, member.account)
    await governing.unshare_with_group(library, group.id)
    await governing.delete_group(group.id)


async def mail(stack: EmbeddedStack, bob: Person) -> None:
    """What is wanted, and a bounce that is told and lifted."""
    await bob.api.prefer_mail(m.MailPreferences(language=None, hour=7))
    event = {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": bob.email}]},
    }
    async with stack.aws("sns", root_key(stack.place)) as sns:
        await sns.publish(TopicArn=stack.definition.names.mail_topic_arn, Message=json.dumps(event))
    await eventually(bob.api.mail_settings, until=lambda settings: settings.suppressed)
    await bob.api.lift_mail()


async def outside(stack: EmbeddedStack, alice: Person) -> None:
    """Somebody outside is asked, agrees, is told, opens what changed, and leaves."""
    eve = alice.email.replace("alice", "eve")
    library = await alice.library(name="Board")
    await alice.api.set_outside_rules(library, m.OutsideRules(links=True))
    await alice.api.invite_follower(library, m.NewOutsideFollower(email=eve, node=library, window=Every.IMMEDIATE))
    await fetch("POST", await mailed(stack, eve, 1, "/v1/confirm?"))
    await alice.add(library, "minutes.txt", b"the minutes")
    assert await fetch("GET", await mailed(stack, eve, 2, "/v1/links/")) == b"the minutes"
    [follower] = (await alice.api.outside_followers(library)).followers
    await alice.api.remove_follower(library, follower.id)


async def webhooks(stack: EmbeddedStack, alice: Person, bob: Person) -> None:
    """One that is disabled, as its maker owns the library no more; enabled again, and removed."""
    library = await alice.library((bob, Role.OWNER), name="Hooked")
    made = await bob.api.governing.add_webhook(library, "https://hooks.example.com/syncline")
    await alice.api.set_member(library, m.NewMember(email=bob.email, role=Role.EDITOR))
    await alice.add(library, "told.txt", b"told")

    async def disabled() -> bool:
        [found] = await alice.api.governing.webhooks(library)
        return found.disabled_at_ms > 0

    await eventually(disabled, until=bool)
    await letter(stack, alice.email, "was switched off")
    await alice.api.governing.enable_webhook(library, made.webhook.id)
    await alice.api.governing.remove_webhook(library, made.webhook.id)


async def flood(stack: EmbeddedStack, alice: Person, bob: Person) -> str:
    """More commits than anybody reads one by one: the notifier is away meanwhile, and then the views fall behind."""
    library = await alice.library((bob, Role.VIEWER), name="Flooded")
    await bob.api.follow(library, library)
    notifier = pid_of(stack, "notifier")
    os.kill(notifier, signal.SIGSTOP)
    try:
        await make_commits(alice, library, COMMITS_BY_KEY_MAX + 1)
        await alice.add(library, "news.txt", b"news")
    finally:
        os.kill(notifier, signal.SIGCONT)

    async def subjects() -> list[str]:
        return [str(message["Subject"]) for message in stack.mails()]

    await eventually(subjects, until=lambda found: any("Flooded" in subject for subject in found))
    await bob.api.changes(library)
    async with stack.aws("dynamodb", root_key(stack.place)) as rows:

        async def unsettled() -> int:
            """Whether the sweep would still bring the views up by itself."""
            answer = await rows.scan(
                TableName=stack.definition.names.table("journal"),
                FilterExpression="begins_with(pk, :moved) AND sk = :library",
                ExpressionAttributeValues={":moved": {"S": "moved#"}, ":library": {"S": library}},
            )
            return int(answer["Count"])

        await eventually(unsettled, until=lambda found: not found)
        key = applied_key(library)
        await rows.put_item(
            TableName=stack.definition.names.table("views"),
            Item={"pk": {"S": key.pk}, "sk": {"S": key.sk}, "seq": {"N": "1"}},
        )
    await alice.api.trash(library)
    return library


async def days_pass(stack: EmbeddedStack, alice: Person) -> None:
    """Grants end: they are settled by metadata's own job on its own key, whose clock is ahead, and their rows expire.

    Only then bytes that were given up are counted as gone.
    """
    library = await alice.library()
    answer, permitted = await alice.permit(library, "spent.txt", b"spent")
    async with s3_of(answer.credential) as s3:
        await put(s3, answer.credential, permitted, b"spent")
    added = await alice.commit(library, m.AddVersion(permit=permitted.permit))
    environment = service_environment(stack.place, stack.definition, "metadata", stack.key("metadata"))
    keys = PermitKeys(
        tuple(PermitKey(key.id, key.secret) for key in Settings.from_environ(environment).secrets().permit_keys)
    )
    with pytest.MonkeyPatch.context() as patch:
        async with as_metadata(stack, patch) as aws:
            arrivals = Arrivals(aws.tables, aws.objects, aws.queues, keys)
            later = Later(days=2)
            await GrantSweep(aws.tables, aws.objects, arrivals, later, Measures(Metrics("later")), grace_s=0).round()
    async with stack.aws("dynamodb", root_key(stack.place)) as rows:
        key = grant_key(answer.grant)
        directory = stack.definition.names.table("directory")
        await rows.delete_item(TableName=directory, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}})
    await alice.commit(library, m.Remove(node=added.node, base_seq=await seq_of(alice, library)))
    await alice.api.purge(library, h.Purge())
    await eventually(lambda: objects_of(stack, library), until=lambda found: not found)


async def seq_of(who: Person, library: str) -> int:
    return (await who.api.library(library)).seq


async def mailed(stack: EmbeddedStack, email: str, number: int, path: str) -> str:
    """The link to ``path`` in the mail of that number to this address."""

    async def come() -> list[str]:
        found = [message for message in stack.mails() if email in str(message["To"])]
        parts = [message.get_body(("plain",)) for message in found]
        return [str(part.get_content()) for part in parts if part is not None]

    text = (await eventually(come, until=lambda texts: len(texts) >= number))[number - 1]
    return next(word for word in text.split() if path in word)


async def fetch(method: str, url: str, *, token: str = "") -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers) as answer:
        assert answer.ok, await answer.text()
        return await answer.read()


# --- what goes wrong ---------------------------------------------------------


async def messages_are_damaged(stack: EmbeddedStack) -> None:
    """On each queue a message that says nothing; among the notifier's rows one that does."""
    names = stack.definition.names
    async with stack.aws("sqs", root_key(stack.place)) as sqs, stack.aws("dynamodb", root_key(stack.place)) as rows:
        for queue in Queue:
            url = (await sqs.get_queue_url(QueueName=names.queue(queue.value)))["QueueUrl"]
            order = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if queue is Queue.COMMITS else {}
            await sqs.send_message(QueueUrl=url, MessageBody="damaged", **order)
        for table, pk, sk, more in DAMAGED_ROWS:
            row = {"pk": {"S": pk}, "sk": {"S": sk}, **more}
            await rows.put_item(TableName=names.table(table), Item=row)

        async def aside() -> int:
            answer = await rows.query(
                TableName=names.table("mail"),
                KeyConditionExpression="pk = :aside",
                ExpressionAttributeValues={":aside": {"S": "aside"}},
            )
            return len(answer["Items"])

        async def dead() -> list[int]:
            found = []
            for queue in Queue:
                url = (await sqs.get_queue_url(QueueName=names.dead_queue(queue.value)))["QueueUrl"]
                asked = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
                found.append(int(asked["Attributes"]["ApproximateNumberOfMessages"]))
            return found

        await eventually(dead, until=all)
        await eventually(aside, until=lambda found: found >= len(DAMAGED_ROWS) - 1)


# --- the operator ------------------------------------------------------------


def operators_environment(stack: EmbeddedStack) -> dict[str, str]:
    text = stack.place.operator_environment.read_text()
    found = dict(re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE))
    return {name: shlex.split(value)[0] if value else "" for name, value in found.items()}


def operator_does_everything(stack: EmbeddedStack, did: Done) -> None:
    library, rebuilt = did.library, did.archived
    email = f"frank-{random_id()}@example.com"
    for words in (
        f"accounts create {email} --name Frank",
        "accounts list",
        f"accounts show {email}",
        f"accounts lock {email}",
        f"quota --account {email} 5G",
        f"audit --account {email}",
        f"accounts remove {did.leaver} --hand-to {email} --yes",
        "libraries list",
        f"libraries show {library}",
        f"libraries members {library}",
        f"journal {library}",
        f"journal {library} --limit 3",
        f"quota --library {library} 5G",
        f"retention {library} --versions-max 3 --yes",
        f"usage {library} --recount",
        f"audit --library {library}",
        f"export {library} --output {stack.place.data / 'export.zip'}",
        f"check {library} --bytes",
        f"check {did.flooded} --mend",
        "queues",
        "health",
        "set-aside list",
        "set-aside retry",
        f"rebuild {rebuilt} --yes",
        *(f"dead-letters {what}" for queue in Queue for what in (f"list {queue.value}", f"redrive {queue.value}")),
    ):
        operator_does(words)
    for queue in Queue:
        operator_does(f"dead-letters purge {queue.value} --yes")


def operator_does(words: str) -> None:
    assert run(open_aws, shlex.split(words)) in OPERATOR_FINE, words
