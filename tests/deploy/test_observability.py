"""Alarms are those of `syncline/domain/alarms.py`; metric filters match what the services' pulses say."""

from __future__ import annotations

import json
import re
from typing import Any

from deploy.aws.watching import measured_metric, measures, namespace
from deploy.definition import SERVICES
from syncline.domain.alarms import ALARMS, Alarm, Severity
from syncline.domain.figures import Lost, Spending
from tests.deploy.conftest import Synthesis


def alarms(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    return {
        one["Properties"]["AlarmName"]: one["Properties"]
        for stack in ("alarms", "observability")
        for one in synthesis.resources(stack, "AWS::CloudWatch::Alarm").values()
    }


def of(synthesis: Synthesis, alarm: Alarm) -> list[dict[str, Any]]:
    """CloudWatch's alarms of one of ours: with its name, or with a resource's behind it."""
    name = f"{synthesis.settings.stack}-{alarm.name}"
    others = [f"{synthesis.settings.stack}-{one.name}" for one in ALARMS if one.name != alarm.name]
    return [
        one
        for found, one in alarms(synthesis).items()
        if found == name or (found.startswith(f"{name}-") and found not in others)
    ]


def test_every_alarm_is_there_with_its_threshold_and_runbook(synthesis: Synthesis):
    for alarm in ALARMS:
        found = of(synthesis, alarm)
        if isinstance(alarm.source, Lost | Spending):
            assert not found, alarm.name
            continue
        assert found, alarm.name
        for one in found:
            assert one["Threshold"] == alarm.threshold
            assert one["ComparisonOperator"] == ("LessThanThreshold" if alarm.below else "GreaterThanThreshold")
            assert one["AlarmDescription"].endswith(f"Runbook: {alarm.runbook}")
            seconds = one["EvaluationPeriods"] * (one.get("Period") or one["Metrics"][0]["MetricStat"]["Period"])
            assert alarm.for_s <= seconds <= 24 * 3600


def test_every_alarm_tells_whom_its_severity_says(synthesis: Synthesis):
    topics = [one["Properties"] for one in synthesis.resources("alarms", "AWS::SNS::Topic").values()]
    names = synthesis.settings.definition().names
    assert {one["TopicName"] for one in topics} == {names.alarm_topic(severity.value) for severity in Severity}
    for one in topics:
        [subscription] = one["Subscription"]
        assert subscription == {"Protocol": "email", "Endpoint": synthesis.settings.alarm_address}
    for alarm in ALARMS:
        for one in of(synthesis, alarm):
            assert one["AlarmActions"] == one["OKActions"] == [names.alarm_topic_arn(alarm.severity.value)]


def test_silence_alarms_only_where_silence_means_something(synthesis: Synthesis):
    breaching = {name for name, one in alarms(synthesis).items() if one["TreatMissingData"] == "breaching"}
    stack = synthesis.settings.stack
    wanted = {f"{stack}-service-gone-{service}" for service in SERVICES}
    assert breaching == wanted | {f"{stack}-no-healthy-host-{service}" for service in ("gateway", "syncer")}


def metrics_of(one: dict[str, Any]) -> list[tuple[str, str]]:
    if "Metrics" not in one:
        return [(one["Namespace"], one["MetricName"])]
    stats = [part["MetricStat"]["Metric"] for part in one["Metrics"] if "MetricStat" in part]
    return [(metric["Namespace"], metric["MetricName"]) for metric in stats]


def test_what_alarms_read_of_pulses_is_made_of_their_log_lines(synthesis: Synthesis):
    names = synthesis.settings.definition().names
    made = {
        (transformation["MetricNamespace"], transformation["MetricName"]): one["Properties"]
        for one in synthesis.resources("alarms", "AWS::Logs::MetricFilter").values()
        for transformation in one["Properties"]["MetricTransformations"]
    }
    read = {metric for one in alarms(synthesis).values() for metric in metrics_of(one) if metric[0] == namespace(names)}
    assert read <= set(made)
    for service, measure in measures():
        found = made[(namespace(names), measured_metric(service, measure))]
        group = synthesis.templates["alarms"]["Resources"][found["LogGroupName"]["Ref"]]
        assert group["Properties"]["LogGroupName"] == names.log_group(service)
    groups = synthesis.resources("alarms", "AWS::Logs::LogGroup").values()
    assert len(groups) == len(SERVICES)
    assert all(one["Properties"]["RetentionInDays"] for one in groups)


def test_metric_math_names_its_parts(synthesis: Synthesis):
    for name, one in alarms(synthesis).items():
        if "Metrics" not in one:
            continue
        parts = {part["Id"] for part in one["Metrics"] if "MetricStat" in part}
        [whole] = [part for part in one["Metrics"] if part["ReturnData"]]
        assert parts == set(re.findall(r"[a-z][A-Za-z0-9_]*", whole["Expression"])), name
        # CloudWatch takes ids that begin with a small letter.
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]*", part) for part in parts)
        assert len(one["Metrics"]) <= 10, name


def test_alarms_are_told_by_cloudwatch_alone_and_by_tls(synthesis: Synthesis):
    for one in synthesis.resources("alarms", "AWS::SNS::TopicPolicy").values():
        allowed, refused = one["Properties"]["PolicyDocument"]["Statement"]
        assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": synthesis.settings.account}
        assert refused["Effect"] == "Deny"
        assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_month_s_budget_is_watched_where_there_is_one(trial: Synthesis, production: Synthesis):
    assert not trial.resources("observability", "AWS::Budgets::Budget")
    [budget] = production.resources("observability", "AWS::Budgets::Budget").values()
    assert budget["Properties"]["Budget"]["BudgetLimit"]["Amount"] == production.settings.monthly_budget_usd
    kinds = {one["Notification"]["NotificationType"] for one in budget["Properties"]["NotificationsWithSubscribers"]}
    assert kinds == {"ACTUAL", "FORECASTED"}


def test_the_dashboard_shows_every_service_and_queue(synthesis: Synthesis):
    [board] = synthesis.resources("observability", "AWS::CloudWatch::Dashboard").values()
    body = json.dumps(board["Properties"]["DashboardBody"])
    definition = synthesis.settings.definition()
    for queue in definition.queues:
        assert queue.name in body
        assert queue.dead_name in body
    for service in SERVICES:
        assert definition.names.identity(service) in body
