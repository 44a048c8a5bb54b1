"""Readings that many share: as new as one's own, and few."""

from __future__ import annotations

import asyncio
import random

import pytest

from syncline.domain.errors import Temporary
from syncline.serving.sharing import SharedReads


class Source:
    """Something that changes; readings of it take a while, and each sees what there was when it began."""

    def __init__(self) -> None:
        self.value = 0
        self.readings = 0
        self.failing = False

    async def read(self, key: str) -> int:
        self.readings += 1
        seen, failing = self.value, self.failing
        for _ in range(5):
            await asyncio.sleep(0)
        if failing:
            raise Temporary("away")
        return seen


async def test_a_thousand_who_ask_at_once_share_one_reading():
    source = Source()
    shared = SharedReads(source.read)
    assert await asyncio.gather(*(shared.get("a") for _ in range(1_000))) == [0] * 1_000
    assert source.readings == 1
    await asyncio.gather(shared.get("a"), shared.get("b"))
    assert source.readings == 3


@pytest.mark.parametrize("seed", range(20))
async def test_no_answer_is_older_than_its_question(seed: int):
    random_, source = random.Random(seed), Source()
    shared = SharedReads(source.read)

    async def ask() -> None:
        for _ in range(random_.randrange(20)):
            await asyncio.sleep(0)
        asked_at = source.value
        assert await shared.get("a") >= asked_at

    async def change() -> None:
        for _ in range(40):
            source.value += 1
            await asyncio.sleep(0)

    await asyncio.gather(change(), *(ask() for _ in range(50)))
    assert source.readings < 20
    assert not shared._next
    assert not shared._now


async def test_a_failure_is_told_to_all_who_share_it_and_forgotten():
    source = Source()
    shared = SharedReads(source.read)
    source.failing = True
    ends = await asyncio.gather(*(shared.get("a") for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [Temporary] * 3
    source.failing = False
    assert await shared.get("a") == 0


async def test_who_goes_away_does_not_take_the_reading_from_the_others():
    shared = SharedReads(Source().read)
    one, other = (asyncio.create_task(shared.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert await other == 0
