"""Which alarms go off, over any observation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given, strategies as st

from syncline.domain.alarms import ALARMS, Severity
from syncline.domain.figures import CONSUMED, SERVICES, WINDOW_S, Measured, QueueAge, Share, State
from syncline.domain.health import STALE_S, Instance, Observation, figure_of, judge
from syncline.ports.queues import Queue

NOW_MS = 1_800_000_000_000
QUEUES = tuple(queue for queues in CONSUMED.values() for queue in queues)
MEASURES = sorted(
    {alarm.source.measure for alarm in ALARMS if isinstance(alarm.source, Measured | QueueAge)}
    | {name for alarm in ALARMS if isinstance(alarm.source, Share) for name in (alarm.source.part, alarm.source.whole)}
)

instances = st.builds(
    Instance,
    service=st.sampled_from(SERVICES),
    name=st.text("abcdef", min_size=4, max_size=8),
    version=st.just("1"),
    state=st.sampled_from(State),
    started_at_ms=st.just(NOW_MS - 3_600_000),
    at_ms=st.integers(NOW_MS - 2 * WINDOW_S * 1000, NOW_MS + 120_000),
    measures=st.dictionaries(st.sampled_from(MEASURES), st.floats(0, 10_000), max_size=6),
)
observations = st.builds(
    Observation,
    at_ms=st.just(NOW_MS),
    instances=st.dictionaries(st.sampled_from(SERVICES), st.lists(instances, max_size=3).map(tuple)),
    dead_letters=st.dictionaries(st.sampled_from(QUEUES), st.integers(0, 5)),
    rows_aside=st.none() | st.integers(0, 5),
)


def instance(service: str, *, state: State = State.READY, age_s: float = 5, **measures: float) -> Instance:
    return Instance(service, f"{service}-1", "1", state, NOW_MS - 3_600_000, NOW_MS - int(age_s * 1000), measures)


def by_service(several: Sequence[Instance]) -> dict[str, tuple[Instance, ...]]:
    return {service: tuple(one for one in several if one.service == service) for service in SERVICES}


def seen(*instances: Instance) -> Observation:
    """A stack that is well but for these instances: with one of each other service."""
    others = [instance(service) for service in SERVICES if service not in {one.service for one in instances}]
    return Observation(NOW_MS, by_service([*instances, *others]), dict.fromkeys(QUEUES, 0), 0)


def firing(observation: Observation) -> list[str]:
    return [one.alarm.name for one in judge(observation)]


def test_each_alarm_has_a_name_of_its_own_and_every_queue_has_its_two():
    names = [alarm.name for alarm in ALARMS]
    assert len(set(names)) == len(names)
    assert set(QUEUES) == {queue.value for queue in Queue}
    assert {f"queue-old-{queue}" for queue in QUEUES} | {f"dead-letters-{queue}" for queue in QUEUES} <= set(names)


def test_nothing_goes_off_where_all_is_well():
    assert firing(seen()) == []


@given(observations)
def test_an_alarm_goes_off_exactly_if_its_figure_is_seen_and_wrong(observation: Observation):
    told = judge(observation)
    assert len({one.alarm.name for one in told}) == len(told)
    for alarm in ALARMS:
        figure = figure_of(alarm.source, observation)
        wrong = figure is not None and (figure < alarm.threshold if alarm.below else figure > alarm.threshold)
        assert [one.figure for one in told if one.alarm is alarm] == ([figure] if wrong else [])
    paging = [one.alarm.severity is Severity.PAGE for one in told]
    assert paging == sorted(paging, reverse=True)


@given(observations)
def test_what_only_aws_knows_never_goes_off_here(observation: Observation):
    assert not any(one.alarm.on_aws_only for one in judge(observation))


@given(observations, instances)
def test_an_instance_more_never_makes_a_service_gone(observation: Observation, one: Instance):
    if one.service not in observation.instances:
        return
    instances = {**observation.instances, one.service: (*observation.instances[one.service], one)}
    more = msgspec.structs.replace(observation, instances=instances)
    before, after = firing(observation), firing(more)
    assert not [name for name in after if name.startswith("service-gone") and name not in before]


@given(st.data(), st.lists(instances, min_size=4, max_size=6))
def test_the_order_of_instances_means_nothing(data: st.DataObject, several: list[Instance]):
    # Whole numbers: sums of fractions differ by the order in their last digits.
    whole = [
        msgspec.structs.replace(one, measures={name: int(value) for name, value in one.measures.items()})
        for one in several
    ]
    shuffled = data.draw(st.permutations(whole))
    told = [firing(Observation(NOW_MS, by_service(order), {}, None)) for order in (whole, shuffled)]
    assert told[0] == told[1]


def test_what_cannot_be_seen_does_not_go_off():
    assert firing(Observation(NOW_MS, {}, {}, None)) == []
    assert firing(Observation(NOW_MS, {"gateway": ()}, {}, None)) == ["service-gone-gateway"]


def test_a_service_is_gone_when_no_instance_is_ready_whatever_the_others_are():
    for state in (State.STARTING, State.DRAINING):
        assert firing(seen(instance("syncer", state=state))) == ["service-gone-syncer"]
    assert firing(seen(instance("syncer", state=State.DRAINING), instance("syncer"))) == []


def test_an_instance_that_fell_silent_is_lost_for_a_while_and_then_forgotten():
    for age_s, lost in ((STALE_S, False), (STALE_S + 1, True), (WINDOW_S, True), (WINDOW_S + 1, False)):
        names = firing(seen(instance("gateway"), instance("gateway", age_s=age_s)))
        assert names == (["instance-lost-gateway"] if lost else [])


def test_figures_of_a_dead_instance_count_no_more():
    assert firing(seen(instance("syncer"), instance("syncer", age_s=WINDOW_S + 60, cache_away_s=1_000))) == []


def test_an_instance_whose_clock_runs_ahead_lives():
    assert firing(seen(instance("gateway", age_s=-600))) == []


def test_shares_are_of_all_instances_together_and_of_enough():
    few = instance("gateway", requests=10.0, answers_5xx=10.0)
    many = instance("gateway", requests=990.0, answers_5xx=0.0)
    assert firing(seen(few)) == []
    assert firing(seen(few, many)) == []
    assert firing(seen(instance("gateway", requests=100.0, answers_5xx=3.0))) == ["errors-gateway"]
