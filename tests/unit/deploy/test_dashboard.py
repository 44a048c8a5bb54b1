"""The dashboard asks for what the services expose, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.grafana.dashboard import ACROSS, PATH, SERVICES, as_text, dashboard
from deploy.local.place import Ports
from tests.metrics import Exposed, exposed

TREE = Path(__file__).resolve().parents[3]
SCRAPED = PATH.with_name("prometheus.yml")
METRIC = re.compile(r"(syncline_[a-z0-9_]+)(?:\{([^}]*)\})?")
EXPOSED = {one.shown: one for found in exposed().values() for one in found}


def asked() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]


def metric(name: str) -> tuple[Exposed, frozenset[str]]:
    """The metric that a sample's name belongs to, and the labels that such samples have."""
    if name in EXPOSED and EXPOSED[name].kind != "histogram":
        return EXPOSED[name], frozenset(EXPOSED[name].labels)
    found = EXPOSED[name.removesuffix("_bucket")]
    assert found.kind == "histogram", f"{name} has no buckets"
    assert name.endswith("_bucket"), f"{name} is a histogram"
    return found, frozenset({*found.labels, "le"})


@pytest.mark.parametrize(("expr", "legend"), list(asked()))
def test_every_expression_names_metrics_and_labels_that_exist(expr: str, legend: str):
    names = METRIC.findall(expr)
    assert names
    by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expr) for label in group.split(",")}
    for name, selected in names:
        one, labels = metric(name)
        assert set(re.findall(r"(\w+)\s*[=!]", selected)) <= labels
        assert by <= labels
        assert ("rate(" in expr) == (one.kind != "gauge"), "counters are asked for by their rate, gauges as they are"
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= by


def test_parentheses_are_closed():
    for expr, _ in asked():
        assert expr.count("(") == expr.count(")")


def test_the_file_is_what_the_code_makes():
    assert PATH.read_text() == as_text(), "run: python -m deploy.grafana.dashboard"


def test_no_two_panels_lie_over_each_other():
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < ACROSS for x, _ in cells)


def test_prometheus_is_told_where_the_services_listen():
    jobs = {job["job_name"]: job for job in yaml.safe_load(SCRAPED.read_text())["scrape_configs"]}
    ports = Ports.starting_at(8080)
    (embedded,) = jobs["syncline-embedded"]["static_configs"]
    assert embedded["targets"] == [f"127.0.0.1:{ports.of(service)}" for service in SERVICES]
    image = (TREE / "deploy" / "Dockerfile").read_text()
    listening = [int(port) for port in re.findall(r"SYNCLINE_LISTEN=0\.0\.0\.0:(\d+)", image)]
    found = {one["names"][0]: one["port"] for one in jobs["syncline-compose"]["dns_sd_configs"]}
    assert found == dict(zip(SERVICES, listening, strict=True))
