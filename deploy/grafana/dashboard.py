"""The dashboard: ``python -m deploy.grafana.dashboard`` writes ``dashboard.json`` beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("dashboard.json")
SERVICES = ("gateway", "metadata", "syncer", "notifier")
CONSUMERS = ("metadata", "syncer", "notifier")
STAGED = ("metadata", "syncer", "notifier")
WIDTH, HEIGHT = 8, 8
ACROSS = 24
SCHEMA = 39
"""Grafana's version of the form; newer ones read it too."""


@dataclass(frozen=True)
class Panel:
    """One graph: what it shows in PromQL, by legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    meaning: str = ""


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


def _rate(metric: str, by: str = "", where: str = "") -> str:
    summed = f"sum by ({by}) " if by else "sum"
    return f"{summed}(rate({metric}{where}[$__rate_interval]))"


def _quantile(share: float, histogram: str, by: str = "") -> str:
    return f"histogram_quantile({share}, {_rate(f'{histogram}_bucket', f'le, {by}' if by else 'le')})"


def _each(services: tuple[str, ...], query: str, legend: str) -> tuple[tuple[str, str], ...]:
    """The same for several services: SERVICE in query and legend is each one's name."""
    return tuple((query.replace("SERVICE", one), legend.replace("SERVICE", one)) for one in services)


ROWS = (
    Row(
        "A change's way",
        (
            Panel(
                "Stages, median",
                "s",
                _each(STAGED, _quantile(0.5, "syncline_SERVICE_commit_stage_seconds", "stage"), "{{stage}}"),
                "seen and committed by metadata, woken by the syncer, mailed (with its window) by the notifier",
            ),
            Panel(
                "Stages, 99 of 100",
                "s",
                _each(STAGED, _quantile(0.99, "syncline_SERVICE_commit_stage_seconds", "stage"), "{{stage}}"),
            ),
            Panel(
                "Commits, changes and collisions",
                "ops",
                (
                    (_rate("syncline_metadata_commits_total"), "commits"),
                    (_rate("syncline_metadata_changes_total"), "changes"),
                    (_rate("syncline_metadata_collisions_total"), "collisions"),
                ),
            ),
        ),
    ),
    Row(
        "Requests",
        (
            Panel(
                "Requests",
                "reqps",
                _each(("gateway", "syncer"), _rate("syncline_SERVICE_requests_total", "route"), "SERVICE {{route}}"),
            ),
            Panel(
                "Failed (5xx)",
                "reqps",
                _each(
                    ("gateway", "syncer"),
                    _rate("syncline_SERVICE_requests_total", "route", '{status=~"5.."}'),
                    "SERVICE {{route}}",
                ),
            ),
            Panel(
                "Time to answer, 99 of 100",
                "s",
                _each(
                    ("gateway", "syncer"),
                    _quantile(0.99, "syncline_SERVICE_request_seconds", "route"),
                    "SERVICE {{route}}",
                ),
                "/v1/sync/heads is held on purpose, for up to 50 s",
            ),
            Panel("In flight", "short", _each(SERVICES, "sum(syncline_SERVICE_requests_in_flight)", "SERVICE")),
            Panel(
                "Held requests and wake-ups",
                "short",
                (
                    ("sum(syncline_syncer_held_requests)", "held"),
                    (_rate("syncline_syncer_wakes_total", "source"), "woken a second by {{source}}"),
                ),
            ),
        ),
    ),
    Row(
        "Queues and views",
        (
            Panel(
                "Age of the oldest message",
                "s",
                _each(CONSUMERS, "max by (queue) (syncline_SERVICE_queue_age_seconds)", "{{queue}}"),
            ),
            Panel(
                "Time from sending to receiving, 99 of 100",
                "s",
                _each(CONSUMERS, _quantile(0.99, "syncline_SERVICE_message_age_seconds", "queue"), "{{queue}}"),
            ),
            Panel(
                "Messages not done",
                "ops",
                _each(
                    CONSUMERS,
                    _rate("syncline_SERVICE_messages_total", "queue, result", '{result!="done"}'),
                    "{{queue}} {{result}}",
                ),
            ),
            Panel(
                "Behind the journal",
                "s",
                (
                    ("max(syncline_metadata_pulse_views_behind_seconds)", "views"),
                    ("max(syncline_metadata_pulse_news_behind_seconds)", "consumers of the topic"),
                ),
            ),
            Panel(
                "Healed by the sweep",
                "ops",
                (
                    (_rate("syncline_metadata_sweep_objects_total", "result"), "objects {{result}}"),
                    (_rate("syncline_metadata_sweep_libraries_total", "result"), "libraries {{result}}"),
                    (_rate("syncline_metadata_sweep_grants_total", "result"), "grants {{result}}"),
                ),
            ),
            Panel(
                "Archive",
                "ops",
                (
                    (_rate("syncline_syncer_archived_commits_total"), "commits archived"),
                    (_rate("syncline_syncer_archive_failures_total"), "failures"),
                ),
            ),
        ),
    ),
    Row(
        "AWS and Redis",
        (
            Panel("Calls", "ops", _each(SERVICES, _rate("syncline_SERVICE_aws_calls_total", "api"), "SERVICE {{api}}")),
            Panel(
                "Calls that failed",
                "ops",
                _each(
                    SERVICES,
                    _rate(
                        "syncline_SERVICE_aws_calls_total",
                        "api, operation, result",
                        '{result=~"failed|away|throttled"}',
                    ),
                    "SERVICE {{api}} {{operation}} {{result}}",
                ),
            ),
            Panel(
                "Attempts throttled",
                "ops",
                _each(
                    SERVICES,
                    _rate("syncline_SERVICE_aws_throttles_total", "api, operation"),
                    "SERVICE {{api}} {{operation}}",
                ),
            ),
            Panel(
                "Time of a call, 99 of 100",
                "s",
                _each(
                    SERVICES,
                    _quantile(0.99, "syncline_SERVICE_aws_call_seconds", "api, operation"),
                    "SERVICE {{operation}}",
                ),
                "sqs ReceiveMessage waits on purpose, for up to 20 s",
            ),
            Panel(
                "Calls of Redis given up",
                "ops",
                _each(SERVICES, _rate("syncline_SERVICE_cache_failures_total"), "SERVICE"),
            ),
        ),
    ),
    Row(
        "Mail and webhooks",
        (
            Panel("Mail", "ops", ((_rate("syncline_notifier_mails_total", "result"), "{{result}}"),)),
            Panel(
                "Mail later than its window, 99 of 100",
                "s",
                ((_quantile(0.99, "syncline_notifier_mail_late_seconds"), "late"),),
            ),
            Panel(
                "Mail that came back", "ops", ((_rate("syncline_notifier_mail_returned_total", "kind"), "{{kind}}"),)
            ),
            Panel(
                "Letters about accounts",
                "ops",
                ((_rate("syncline_notifier_letters_total", "kind, result"), "{{kind}} {{result}}"),),
            ),
            Panel("Webhooks", "ops", ((_rate("syncline_notifier_webhooks_total", "result"), "{{result}}"),)),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Grafana's JSON model. The data source is asked for when it is imported."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        panels.append(
            {
                "type": "row",
                "id": len(panels) + 1,
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": ACROSS, "x": 0, "y": top},
            }
        )
        top += 1
        for at, panel in enumerate(row.panels):
            x, y = at * WIDTH % ACROSS, top + at * WIDTH // ACROSS * HEIGHT
            panels.append(_panel(panel, len(panels) + 1, {"h": HEIGHT, "w": WIDTH, "x": x, "y": y}))
        top += (len(row.panels) * WIDTH + ACROSS - 1) // ACROSS * HEIGHT
    return {
        "uid": "syncline",
        "title": "Syncline",
        "tags": ["syncline"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }


def _panel(panel: Panel, id: int, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "type": "timeseries",
        "id": id,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": f"Q{at}", "datasource": source, "expr": expr, "legendFormat": legend}
            for at, (expr, legend) in enumerate(panel.queries)
        ],
    }


def as_text() -> str:
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(as_text())
