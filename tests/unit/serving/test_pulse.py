"""The pulse as a part of a service's life, and as it is read again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import structlog

from syncline import __version__
from syncline.domain.errors import Broken, SynclineError, Temporary
from syncline.domain.figures import PULSE_S, WINDOW_S, State
from syncline.domain.health import STALE_S, Instance, Observation, judge
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Key, Put, Table, Write
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.life import live
from syncline.serving.measures import Count, Gauge, Measure, total
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_surroundings
from syncline.store.pulses import Pulses


class OneThatAnswers:
    """Another part of the service."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()

    async def start(self) -> None: ...

    async def run(self) -> None:
        await self.wanted.wait()

    async def drain(self) -> None:
        self.wanted.set()

    async def stop(self) -> None: ...


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tables: MemoryTables = MemoryTables()
        self.stop = asyncio.Event()
        self.metrics = Metrics("syncer")

    def pulse(self, name: str = "one", measures: Sequence[Measure] = (), calls: AwsCalls | None = None) -> Pulse:
        return Pulse(Metrics("syncer"), self.tables, self.clock, measures, calls=calls, instance=name)

    async def seen(self) -> list[Instance]:
        return await Pulses(self.tables).of("syncer")

    async def firing(self, *, ahead_s: int = 0) -> list[str]:
        """The alarms about the syncer, as somebody sees them whose clock is so far ahead of the scene's."""
        at_ms = self.clock.now_ms() + ahead_s * 1000
        seen = Observation(at_ms, {"syncer": tuple(await self.seen())}, {}, None)
        return [one.alarm.name for one in judge(seen)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_life_of_pulses(scene: Scene):
    living = asyncio.create_task(live([scene.pulse(), OneThatAnswers()], stop=scene.stop))
    await scene.clock.run_for(2 * PULSE_S)
    (one,) = await scene.seen()
    assert (one.name, one.state, one.version) == ("one", State.READY, __version__)
    assert scene.clock.now_ms() - one.at_ms <= PULSE_S * 1000
    assert await scene.firing() == []
    scene.stop.set()
    await living
    assert await scene.seen() == [], "stopped: nothing is missed"


async def test_one_that_hangs_at_its_start_is_seen_to_be_starting(scene: Scene):
    class Hangs(OneThatAnswers):
        async def start(self) -> None:
            await asyncio.Event().wait()

    living = asyncio.create_task(live([scene.pulse(), Hangs()], stop=scene.stop))
    await scene.clock.run_for(1)
    assert [one.state for one in await scene.seen()] == [State.STARTING]
    assert await scene.firing() == ["service-gone-syncer"]
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)


async def test_while_it_drains_it_says_so(scene: Scene):
    class Slow(OneThatAnswers):
        async def drain(self) -> None: ...

    slow = Slow()
    living = asyncio.create_task(live([scene.pulse(), slow], stop=scene.stop))
    await scene.clock.run_for(1)
    scene.stop.set()
    await scene.clock.run_for(1)
    assert [one.state for one in await scene.seen()] == [State.DRAINING]
    slow.wanted.set()
    await living


async def test_one_that_is_killed_is_missed_and_then_forgotten(scene: Scene):
    killed, other = scene.pulse("killed"), scene.pulse("other")
    await killed.beat(State.READY)
    for _ in range(STALE_S // PULSE_S + 1):
        await other.beat(State.READY)
        scene.clock.advance(PULSE_S)
    assert [one.name for one in await scene.seen() if one.is_stale(scene.clock.now_ms())] == ["killed"]
    assert await scene.firing() == ["instance-lost-syncer"]
    scene.clock.advance(WINDOW_S)
    await other.beat(State.READY)
    assert await scene.firing() == []


async def test_the_last_one_killed_leaves_no_service(scene: Scene):
    await scene.pulse().beat(State.READY)
    scene.clock.advance(STALE_S + 1)
    assert await scene.firing() == ["service-gone-syncer", "instance-lost-syncer"]


async def test_two_instances_have_a_row_each(scene: Scene):
    for name in ("one", "two", "one"):
        await scene.pulse(name).beat(State.READY)
    assert [one.name for one in await scene.seen()] == ["one", "two"]


@pytest.mark.parametrize("ahead_s", [-3_000, -60, 60, 3_000])
async def test_an_instance_with_another_clock_is_judged_by_aws_s(scene: Scene, ahead_s: int):
    """Its clock is the scene's; AWS's, and that of whoever looks, is behind or ahead of it."""
    calls = AwsCalls(Metrics("syncer"))
    calls.clock_ahead(ahead_s)
    measures = measures_of_surroundings(scene.clock, cache=None, calls=calls)
    await scene.pulse(measures=measures, calls=calls).beat(State.READY)
    assert await scene.firing(ahead_s=-ahead_s) == ["clock-off"]


class FailingTables(MemoryTables):
    def __init__(self, error: SynclineError) -> None:
        super().__init__()
        self.error: SynclineError | None = error

    async def write(self, operation: Write) -> None:
        if self.error is not None:
            raise self.error
        await super().write(operation)


@pytest.mark.parametrize("error", [Temporary("throttled"), Broken("no permission")])
async def test_a_pulse_that_cannot_be_written_ends_nothing_and_is_told(scene: Scene, error: SynclineError):
    tables = FailingTables(error)
    scene.tables = tables
    metrics = Metrics("syncer")
    pulse = Pulse(metrics, tables, scene.clock, [], instance="one")
    with structlog.testing.capture_logs() as lines:
        living = asyncio.create_task(live([pulse, OneThatAnswers()], stop=scene.stop))
        await scene.clock.run_for(2 * PULSE_S)
    assert [line for line in lines if line["event"] == "pulse-missed" and str(error) in line["reason"]]
    assert b"syncline_syncer_pulses_missed_total 0.0" not in metrics.exposition()
    assert await scene.seen() == []
    tables.error = None
    await scene.clock.run_for(PULSE_S)
    assert [one.state for one in await scene.seen()] == [State.READY]
    scene.stop.set()
    await living


async def test_the_line_tells_what_happened_since_the_last_one_and_the_row_what_did_in_the_window(scene: Scene):
    counter = scene.metrics.counter("things", "Things.")
    pulse = scene.pulse(measures=[Count("things", total(counter))])
    with structlog.testing.capture_logs() as lines:
        for n in (3, 4):
            counter.inc(n)
            await pulse.beat(State.READY)
    told = [(line["state"], line["instance"], line["measures"]) for line in lines if line["event"] == "pulse"]
    assert told == [("ready", "one", {"things": 3.0}), ("ready", "one", {"things": 4.0})]
    (row,) = await scene.seen()
    assert row.measures == {"things": 7.0}


async def test_redis_gone_is_told_by_how_long(scene: Scene):
    class Gone(MemoryCache):
        gone = False

        async def count(self, key: str, *, window_s: int) -> int | None:
            return None if self.gone else await super().count(key, window_s=window_s)

    cache = Gone(scene.clock)
    pulse = scene.pulse(measures=measures_of_surroundings(scene.clock, cache=cache, calls=None))
    told = []
    for gone in (False, True, True, True, False):
        cache.gone = gone
        await pulse.beat(State.READY)
        told.append(((await scene.seen())[0].measures["cache_away_s"], "cache-away" in await scene.firing()))
        scene.clock.advance(PULSE_S)
    assert told == [(0, False), (30, False), (60, False), (90, True), (0, False)]


async def test_a_pulse_that_cannot_be_read_says_which(scene: Scene):
    await scene.pulse().beat(State.READY)
    row = await scene.tables.get(Table.DIRECTORY, Key("pulse#syncer", "one"))
    assert row is not None
    for damaged in ({"state": "asleep"}, {"measures": b"?"}, {"at_ms": "now"}):
        await scene.tables.write(Put(Table.DIRECTORY, {**row, **damaged}))
        with pytest.raises(Broken):
            await scene.seen()


async def test_what_a_pulse_knows_is_on_the_metrics_too(scene: Scene):
    async def age_s() -> float:
        return 12.0

    async def unknown() -> float | None:
        return None

    metrics = Metrics("metadata")
    measures = [Gauge("queue_commits_age_s", age_s), Gauge("views_behind_s", age_s), Gauge("clock_off_s", unknown)]
    await Pulse(metrics, scene.tables, scene.clock, measures, instance="one").beat(State.READY)
    text = metrics.exposition().decode()
    assert 'syncline_metadata_queue_age_seconds{queue="commits"} 12.0' in text
    assert "syncline_metadata_pulse_views_behind_seconds 12.0" in text
    assert "syncline_metadata_pulse_clock_off_seconds NaN" in text
