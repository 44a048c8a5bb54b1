"""Each alarm has a test that makes it go off by its real cause."""

from __future__ import annotations

from syncline.domain.alarms import ALARMS
from tests.unit.alarms import test_aws_calls, test_services_and_queues, test_work_and_mail
from tests.unit.alarms.world import GONE

MODULES = (test_aws_calls, test_services_and_queues, test_work_and_mail)
"""Loaded, so that what their tests make go off is in ``GONE``."""


def test_every_alarm_that_is_not_aws_s_own_is_made_to_go_off():
    assert {alarm.kind for alarm in ALARMS if not alarm.on_aws_only} == GONE
