"""What CloudWatch is to make metrics of is what services tell in their pulses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.aws.watching import HELD, READY_PULSES, alarm_name, measures, rollback_alarms, watched
from deploy.definition import SERVICES
from deploy.names import Names
from syncline.domain.alarms import ALARMS
from syncline.domain.figures import CONSUMED

ROOT = Path(__file__).parents[3]
NAMES = Names(region="eu-central-1", account="123456789012", bucket="files")
MEASURE = re.compile(r'\b(?:Count|Gauge|Percentile)\(\s*f?"([a-z0-9_{}]+)"')


def told_by(service: str) -> set[str]:
    """The measures that the code of a service, and what all services share, names in pulses."""
    sources = [*(ROOT / "services" / service).glob("*.py"), ROOT / "syncline" / "serving" / "pulse.py"]
    found = {name for path in sources for name in MEASURE.findall(path.read_text())}
    return found | {
        name.replace("{queue}", queue) for name in found for queue in CONSUMED.get(service, ()) if "{queue}" in name
    }


@pytest.mark.parametrize("service", SERVICES)
def test_measures_that_become_metrics_are_told(service):
    wanted = {measure for owner, measure in measures() if owner == service} - {READY_PULSES}
    assert wanted
    assert wanted <= told_by(service)


def test_the_figure_that_the_syncer_scales_by_is_among_them():
    assert ("syncer", HELD) in measures()


def test_every_alarm_has_a_name_of_its_own():
    names = [one.name for one in watched(NAMES)]
    assert len(set(names)) == len(names)
    assert set(names) <= {alarm_name(NAMES, alarm) for alarm in ALARMS}


@pytest.mark.parametrize("service", SERVICES)
def test_an_upgrade_is_undone_by_alarms_about_its_service(service):
    found = rollback_alarms(NAMES, service)
    assert f"syncline-service-gone-{service}" in found
    assert not [name for name in found for other in SERVICES if other != service and name.endswith(f"-{other}")]
