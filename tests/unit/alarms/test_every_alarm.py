"""Each alarm has a test that makes it go off by its real cause."""

from __future__ import annotations

from deploy import definition
from syncline.domain.alarms import ALARMS, REQUESTS_LEAST
from syncline.domain.figures import CONSUMED, SERVICES, Measured, QueueAge, RowsAside, Share, Source
from syncline.ports.mail import SendRate
from syncline.ports.queues import Queue
from tests.unit.alarms import test_aws_calls, test_services_and_queues, test_work_and_mail
from tests.unit.alarms.test_work_and_mail import letters
from tests.unit.alarms.world import GONE, a_stack

MODULES = (test_aws_calls, test_services_and_queues, test_work_and_mail)
"""Loaded, so that what their tests make go off is in ``GONE``."""


def measures_of(source: Source) -> set[tuple[str, str]]:
    """The measures that an alarm is judged by, with the services that tell them."""
    match source:
        case Measured(services, measure):
            return {(service, measure) for service in services}
        case QueueAge(_, service):
            return {(service, source.measure)}
        case Share(service, part, whole):
            return {(service, part), (service, whole)}
        case RowsAside(service, measure):
            return {(service, measure)}
    return set()


async def test_every_measure_that_an_alarm_is_judged_by_is_told():
    async with a_stack(allowed=SendRate(1_000, 90, 100)) as stack:
        await stack.add(await stack.upload("plan.txt"))
        for service in ("gateway", "syncer"):
            await stack.get_often(service, REQUESTS_LEAST)
        await letters(stack, 1)
        seen = (await stack.look()).observation
    told = {(service, name) for service in SERVICES for one in seen.living(service) for name in one.measures}
    wanted = {one for alarm in ALARMS for one in measures_of(alarm.source)}
    # These are told by the calls of AWS, of which there are none here: test_aws_calls.
    assert {measure for _, measure in wanted - told} == {"aws_throttles", "clock_off_s"}


def test_the_services_and_queues_are_those_that_are_deployed():
    assert SERVICES == definition.SERVICES
    assert {queue for queues in CONSUMED.values() for queue in queues} == {queue.value for queue in Queue}


def test_every_alarm_that_is_not_aws_s_own_is_made_to_go_off():
    assert {alarm.kind for alarm in ALARMS if not alarm.on_aws_only} == GONE
