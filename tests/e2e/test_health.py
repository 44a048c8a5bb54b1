"""`syncline-admin health` on the real stack: quiet while it is well, and right about what is broken."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local import aws
from syncline.admin.answers import Exit
from syncline.domain.figures import SERVICES
from tests.e2e.embedded import EmbeddedStack, process_of, running_stack
from tests.e2e.people import eventually, person
from tests.e2e.test_rebuild import admin
from tests.e2e.test_sweep import pid_of

pytestmark = pytest.mark.e2e

FIRES_S_MAX = 300.0
"""Three pulses must be missed; a busy machine takes longer."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack of our own, since it is broken."""
    with running_stack(tmp_path_factory.mktemp("health")) as running:
        yield running


async def health(stack: EmbeddedStack) -> tuple[int, Any]:
    return await asyncio.to_thread(admin, stack, "health")


async def alarms(stack: EmbeddedStack) -> set[str]:
    _, told = await health(stack)
    return {one["name"] for one in told["alarms"]}


@asynccontextmanager
async def suspended(*processes: int) -> AsyncIterator[None]:
    """They neither run nor end: nobody starts them again."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


async def test_just_started_and_in_use_all_is_well(stack: EmbeddedStack, tmp_path: Path):
    code, told = await health(stack)
    assert (code, told["alarms"], told["unseen"], told["well"]) == (Exit.OK, [], [], True)
    assert [one["service"] for one in told["services"]] == list(SERVICES)
    for one in told["services"]:
        assert [instance["state"] for instance in one["instances"]] == ["ready"]
        # Each knows how far its clock is from AWS's from its first call on.
        assert one["instances"][0]["measures"]["clock_off_s"] < 20
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        await alice.add(library, "plan.txt", b"a plan")
    assert (await health(stack))[0] == Exit.OK


async def test_what_is_broken_is_said_and_over_when_it_is_mended(stack: EmbeddedStack):
    """Redis and the only syncer hang, and nobody can read a letter."""
    async with stack.aws("sqs", aws.root_key(stack.place)) as sqs:
        url = (await sqs.get_queue_url(QueueName=stack.definition.names.queue("letters")))["QueueUrl"]
        await sqs.send_message(QueueUrl=url, MessageBody="Z2FyYmFnZQ==")
    broken = {"service-gone-syncer", "instance-lost-syncer", "cache-away", "dead-letters-letters"}
    async with suspended(pid_of(stack, "syncer"), process_of(stack, "valkey")):
        assert await eventually(lambda: alarms(stack), until=broken.__eq__, within_s=FIRES_S_MAX) == broken
        code, told = await health(stack)
        assert code == Exit.DIFFERS
        assert told["unseen"] == []
    code, purged = await asyncio.to_thread(admin, stack, "dead-letters", "purge", "letters", "--yes")
    assert (code, purged["purged"]) == (Exit.OK, 1)
    assert await eventually(lambda: alarms(stack), until=lambda told: not told, within_s=FIRES_S_MAX) == set()


async def test_a_table_and_a_queue_that_are_gone_hide_nothing_else(stack: EmbeddedStack):
    names = stack.definition.names
    async with stack.aws("dynamodb", aws.root_key(stack.place)) as dynamodb:
        await dynamodb.delete_table(TableName=names.table("mail"))
    async with stack.aws("sqs", aws.root_key(stack.place)) as sqs:
        url = (await sqs.get_queue_url(QueueName=names.queue("direct")))["QueueUrl"]
        await sqs.delete_queue(QueueUrl=url)
    code, told = await health(stack)
    assert {one["what"] for one in told["unseen"]} == {"rows set aside", "the queue direct"}
    assert code in (Exit.TRY_LATER, Exit.DIFFERS)
    assert [one["service"] for one in told["services"]] == list(SERVICES)
    assert [one["waiting"] for one in told["queues"] if one["queue"] == "direct"] == [None]
