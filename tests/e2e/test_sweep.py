"""What is lost on the way is healed without anyone: on the real stack, whose sweep comes by every two seconds."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.definition import Notification
from deploy.local.aws import root_key
from deploy.local.place import HOST
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.e2e.embedded import DIGEST_WINDOW_SECONDS, EmbeddedStack, running_stack
from tests.e2e.people import Person, eventually, person

SWEEP_SECONDS = 2


@pytest.fixture(scope="module")
def sweeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack of our own, since its queues are emptied and its services killed."""
    options = [
        f"SYNCLINE_SWEEP_INTERVAL_SECONDS={SWEEP_SECONDS}",
        f"SYNCLINE_DIGEST_WINDOW_SECONDS={DIGEST_WINDOW_SECONDS}",
    ]
    sets = [word for option in options for word in ("--set", option)]
    with running_stack(tmp_path_factory.mktemp("sweeping"), *sets) as running:
        yield running


@pytest.mark.parametrize("direct", [False, True])
async def test_an_event_that_was_never_sent(sweeping: EmbeddedStack, tmp_path: Path, direct: bool):
    async with person(sweeping.url, tmp_path, "alice") as alice:
        library = await alice.library()
        before = swept(sweeping, "objects", "sent")
        async with no_events(sweeping):
            permitted = await alice.upload(library, "unheard.txt", b"nobody was told", direct=direct)
            assert await appeared(alice, library) == ["unheard.txt"]
        assert await alice.read(library, permitted.node) == b"nobody was told"
        assert swept(sweeping, "objects", "sent") > before


async def test_the_queue_of_events_emptied_by_mistake(sweeping: EmbeddedStack, tmp_path: Path):
    async with person(sweeping.url, tmp_path, "alice") as alice:
        library = await alice.library()
        process = pid_of(sweeping, "metadata")
        os.kill(process, signal.SIGSTOP)
        for n in range(20):
            await alice.upload(library, f"{n:02}.txt", b"%d" % n)
        await emptied(sweeping, "uploads")
        os.kill(process, signal.SIGKILL)
        names = await eventually(lambda: alice.names(library), until=lambda names: len(names) == 20)
        assert names == [f"{n:02}.txt" for n in range(20)]
        # On a slow machine the sweep comes again before all are committed, and sends what is left once more.
        assert swept(sweeping, "objects", "sent") >= 20
        assert (await alice.api.library(library)).seq <= 20


async def test_the_queue_of_commands_emptied_by_mistake(sweeping: EmbeddedStack, tmp_path: Path):
    """The client has asked for its commit and goes away before it hears; the message is lost, and S3's event too."""
    async with person(sweeping.url, tmp_path, "alice") as alice:
        library = await alice.library()
        process = pid_of(sweeping, "metadata")
        os.kill(process, signal.SIGSTOP)
        permitted = await alice.upload(library, "asked.txt", b"asked for")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alice.commit(library, m.AddVersion(permit=permitted.permit)), 2)
        await emptied(sweeping, "commits", "uploads")
        os.kill(process, signal.SIGKILL)
        assert await appeared(alice, library) == ["asked.txt"]
        assert await alice.read(library, permitted.node) == b"asked for"
        assert (await alice.api.library(library)).seq == 1


async def test_the_notifiers_queue_emptied_by_mistake(sweeping: EmbeddedStack, tmp_path: Path):
    """And the notifier killed with whatever it had received: the follower gets the mail, once."""
    async with person(sweeping.url, tmp_path, "alice") as alice, person(sweeping.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR), name="Board")
        await bob.api.follow(library, library)
        process = pid_of(sweeping, "notifier")
        os.kill(process, signal.SIGSTOP)
        await alice.add(library, "minutes.txt", b"the minutes")
        await asyncio.sleep(0.5)
        await emptied(sweeping, "notify")
        os.kill(process, signal.SIGKILL)

        async def mails() -> int:
            return sum(bob.email in str(mail["To"]) for mail in sweeping.mails())

        assert await eventually(mails, until=bool) == 1
        await asyncio.sleep(3 * SWEEP_SECONDS)
        assert await mails() == 1
        assert swept(sweeping, "libraries", "published") > 0


async def appeared(person: Person, library: str) -> list[str]:
    """What is in the library as soon as anything is."""
    return await eventually(lambda: person.names(library), until=bool)


@asynccontextmanager
async def no_events(stack: EmbeddedStack) -> AsyncIterator[None]:
    """Meanwhile S3 tells nobody of new objects."""
    bucket, names = stack.definition.bucket, stack.definition.names

    def to_queue(notification: Notification) -> dict[str, object]:
        return {
            "QueueArn": names.queue_arn(notification.queue),
            "Events": list(notification.events),
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": notification.prefix}]}},
        }

    async with stack.aws("s3", root_key(stack.place)) as s3:
        await s3.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration={})
        try:
            yield
        finally:
            configuration = {"QueueConfigurations": [to_queue(one) for one in bucket.notifications]}
            await s3.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=configuration)


async def emptied(stack: EmbeddedStack, *queues: str) -> None:
    """Purge queues, for a second: what is still on its way to them is lost as well."""
    async with stack.aws("sqs", root_key(stack.place)) as sqs:
        urls = [
            (await sqs.get_queue_url(QueueName=stack.definition.names.queue(queue)))["QueueUrl"] for queue in queues
        ]
        for _ in range(5):
            for url in urls:
                await sqs.purge_queue(QueueUrl=url)
            await asyncio.sleep(0.2)


def swept(stack: EmbeddedStack, what: str, result: str) -> int:
    """What the sweep has counted since metadata was started."""
    with urllib.request.urlopen(f"http://{HOST}:{stack.place.ports.metadata}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(rf'^syncline_metadata_sweep_{what}_total{{result="{result}"}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def pid_of(stack: EmbeddedStack, service: str) -> int:
    """The process of one of the stack's services, known by the port it listens on."""
    listen = f"SYNCLINE_LISTEN={HOST}:{stack.place.ports.of(service)}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if command[1:3] == [b"-m", f"services.{service}".encode()] and listen in environment:
            return int(folder.name)
    raise AssertionError(f"no process of {service}")
