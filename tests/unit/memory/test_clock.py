import asyncio

from syncline.memory import ManualClock
from syncline.ports.clock import Clock


async def test_time_stands_still_until_it_is_moved():
    clock = ManualClock(1000)
    for _ in range(5):
        await asyncio.sleep(0)
    assert clock.now_ms() == 1000
    clock.advance(1.5)
    assert clock.now_ms() == 2500


async def test_sleepers_wake_in_order_at_their_time():
    clock = ManualClock(0)
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now_ms()))
        await clock.sleep(seconds)
        woken.append((name, clock.now_ms()))

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("slow", 3), ("quick", 1), ("late", 50))]
    await clock.run_for(6)
    assert woken == [("quick", 1000), ("quick", 2000), ("slow", 3000), ("slow", 6000)]
    assert clock.now_ms() == 6000
    assert clock.next_due_ms() == 50_000
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert clock.next_due_ms() is None


async def test_a_jump_wakes_all_who_were_due():
    clock: Clock = ManualClock(0)
    assert isinstance(clock, ManualClock)
    tasks = [asyncio.create_task(clock.sleep(s)) for s in (1, 2, 3)]
    await asyncio.sleep(0)
    clock.advance(2)
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, True, False]
    tasks[2].cancel()


async def test_sleeping_for_nothing_returns():
    await ManualClock().sleep(0)
    await ManualClock().sleep(-1)
