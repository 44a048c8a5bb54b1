"""The load balancer and the scaling groups."""

from __future__ import annotations

import ast
import base64
import gzip
import json
import re
import subprocess
from typing import Any

import pytest

from deploy.aws.machine import AGENT, LAUNCHING_HOOK, SECRETS_FILE, TERMINATING_HOOK
from deploy.definition import SERVICES
from syncline.aws.settings import Settings as ServiceSettings
from syncline.domain.figures import CONSUMED
from syncline.serving.http import KEEPALIVE_S
from syncline.serving.life import DRAIN_S_MAX
from syncline.serving.sync_routes import HEADS_WAIT_S_MAX
from tests.deploy.conftest import Synthesis

USER_DATA_BYTES_MAX = 16_384
ADDRESS = "redis.example.internal"


def one_of(synthesis: Synthesis, kind: str) -> dict[str, Any]:
    [found] = synthesis.resources("services", kind).values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def attributes(found: list[dict[str, str]]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in found}


def group(synthesis: Synthesis, service: str) -> dict[str, Any]:
    return dict(synthesis.templates["services"]["Resources"][service.title()])


def template(synthesis: Synthesis, service: str) -> dict[str, Any]:
    return dict(
        synthesis.templates["services"]["Resources"][f"{service.title()}Template"]["Properties"]["LaunchTemplateData"]
    )


def user_data(synthesis: Synthesis, service: str) -> str:
    """The script as an instance gets it; what CloudFormation would fill in is Redis's address."""
    joined = template(synthesis, service)["UserData"]["Fn::Base64"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else ADDRESS for part in joined)


def written(script: str, path: str) -> str:
    [content] = re.findall(rf"^cat >{re.escape(path)} <<'END'\n(.*?)^END$", script, re.MULTILINE | re.DOTALL)
    return str(content)


def targets(synthesis: Synthesis, action: dict[str, Any]) -> str:
    """Which service an action forwards to."""
    logical_id = action["TargetGroupArn"]["Ref"]
    return next(
        service
        for service in SERVICES
        if {"Ref": logical_id} in group(synthesis, service)["Properties"]["TargetGroupARNs"]
    )


# -- the load balancer


def test_sync_goes_to_the_syncer_and_the_rest_to_the_gateway(synthesis: Synthesis):
    [https] = [
        one["Properties"]
        for one in synthesis.resources("services", "AWS::ElasticLoadBalancingV2::Listener").values()
        if one["Properties"]["Port"] == 443
    ]
    [default] = https["DefaultActions"]
    assert targets(synthesis, default) == "gateway"
    rules = synthesis.resources("services", "AWS::ElasticLoadBalancingV2::ListenerRule").values()
    by_path = {
        one["Properties"]["Conditions"][0]["PathPatternConfig"]["Values"][0]: one["Properties"]["Actions"][0]
        for one in rules
    }
    assert targets(synthesis, by_path.pop("/v1/sync/*")) == "syncer"
    # Metrics are for the inside.
    assert by_path.pop("/metrics")["FixedResponseConfig"]["StatusCode"] == "404"
    assert not by_path


def test_only_https_answers(synthesis: Synthesis):
    listeners = {
        one["Properties"]["Port"]: one["Properties"]
        for one in synthesis.resources("services", "AWS::ElasticLoadBalancingV2::Listener").values()
    }
    assert set(listeners) == {80, 443}
    [redirect] = listeners[80]["DefaultActions"]
    assert redirect["RedirectConfig"]["Protocol"] == "HTTPS"
    assert listeners[443]["Protocol"] == "HTTPS"
    assert "TLS13" in listeners[443]["SslPolicy"]
    assert listeners[443]["Certificates"]


def test_held_requests_live_and_connections_end_on_the_balancer_s_side(synthesis: Synthesis):
    balancer = one_of(synthesis, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    found = attributes(balancer["LoadBalancerAttributes"])
    assert HEADS_WAIT_S_MAX < int(found["idle_timeout.timeout_seconds"]) < KEEPALIVE_S
    assert found["access_logs.s3.enabled"] == "true"
    assert found["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert found["deletion_protection.enabled"] == ("true" if synthesis.settings.production else "false")


def test_targets_are_asked_whether_they_are_ready_and_stick_to_nobody(synthesis: Synthesis):
    found = synthesis.resources("services", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert len(found) == 2
    for one in found:
        properties = one["Properties"]
        assert properties["HealthCheckPath"] == "/readyz"
        assert properties["Matcher"] == {"HttpCode": "200"}
        kept = attributes(properties["TargetGroupAttributes"])
        assert kept["stickiness.enabled"] == "false"
        assert int(kept["deregistration_delay.timeout_seconds"]) > HEADS_WAIT_S_MAX


def test_the_firewall_guards_the_balancer_where_it_is_wanted(trial: Synthesis, production: Synthesis):
    assert not trial.resources("services", "AWS::WAFv2::WebACLAssociation")
    association = one_of(production, "AWS::WAFv2::WebACLAssociation")
    [(balancer, _)] = production.resources("services", "AWS::ElasticLoadBalancingV2::LoadBalancer").items()
    assert association["ResourceArn"] == {"Ref": balancer}


def test_with_a_zone_certificate_and_name_are_made_in_it(trial: Synthesis, production: Synthesis):
    record = one_of(trial, "AWS::Route53::RecordSet")
    assert record["Name"] == f"{trial.settings.domain}."
    assert one_of(trial, "AWS::CertificateManager::Certificate")["DomainName"] == trial.settings.domain
    assert not production.resources("services", "AWS::Route53::RecordSet")


# -- the instances


@pytest.mark.parametrize("service", SERVICES)
def test_an_instance_is_closed(synthesis: Synthesis, service):
    found = template(synthesis, service)
    assert found["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    assert all(device["Ebs"]["Encrypted"] for device in found["BlockDeviceMappings"])
    assert "KeyName" not in found
    [interface] = found["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is not synthesis.settings.production
    [ran] = re.findall(r"^ExecStart=/usr/bin/docker run(.*?[^\\])$", user_data(synthesis, service), re.M | re.S)
    for option in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--user 10001:10001"):
        assert option in ran
    assert "--privileged" not in ran
    assert "docker.sock" not in ran


@pytest.mark.parametrize("service", SERVICES)
def test_instances_are_graviton_s_with_a_system_that_fits(synthesis: Synthesis, service):
    found = template(synthesis, service)
    assert re.match(r"[a-z]+[0-9]+g", found["InstanceType"])
    parameter = synthesis.templates["services"]["Parameters"][found["ImageId"]["Ref"]]
    assert "al2023" in parameter["Default"]
    assert parameter["Default"].endswith("arm64")


@pytest.mark.parametrize("service", SERVICES)
def test_the_first_start_is_a_script_that_parses_and_fits(synthesis: Synthesis, service):
    script = user_data(synthesis, service)
    assert len(base64.b64encode(script.encode())) <= USER_DATA_BYTES_MAX
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    [agent] = re.findall(r"base64 -d <<'END' \| gunzip >\S+\n(\S+)\nEND", script)
    assert gzip.decompress(base64.b64decode(agent)) == AGENT.read_bytes()
    ast.parse(AGENT.read_text())


@pytest.mark.parametrize("service", SERVICES)
def test_the_service_finds_all_its_settings_and_no_secret_among_them(synthesis: Synthesis, service, tmp_path):
    lines = written(user_data(synthesis, service), "/etc/syncline/service.env").splitlines()
    environ = dict(line.split("=", 1) for line in lines)
    definition = synthesis.settings.definition()
    settings = ServiceSettings.from_environ(environ)
    assert settings.endpoint_url is None
    assert settings.stack == definition.names.stack
    assert settings.bucket == definition.bucket.name
    assert settings.changes_topic_arn == definition.names.topic_arn
    assert settings.client_role_arn == definition.names.client_role_arn
    assert settings.mail_topic_arn == definition.names.mail_topic_arn
    assert settings.mail_configuration_set == definition.names.mail_configuration_set
    assert settings.mail_from == definition.mail_from
    assert settings.public_url == f"https://{synthesis.settings.domain}"
    assert not settings.mail_events_raw
    # Only those that the load balancer reaches listen to the network.
    host, port = settings.listen
    assert (host == "0.0.0.0") is (service in ("gateway", "syncer"))
    assert port == 8080
    assert environ["SYNCLINE_SECRETS"] == SECRETS_FILE
    assert SECRETS_FILE.startswith("/run/")
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"redis_password": "word"}))
    with_password = ServiceSettings.from_environ(environ | {"SYNCLINE_SECRETS": str(secrets)})
    assert with_password.redis_url == f"rediss://:word@{ADDRESS}:6379/0"
    assert "@" not in environ["SYNCLINE_REDIS_URL"]


def test_what_the_settings_say_of_services_reaches_them(production: Synthesis):
    for service in SERVICES:
        lines = written(user_data(production, service), "/etc/syncline/service.env").splitlines()
        assert "SYNCLINE_REGISTRATION=invited" in lines


@pytest.mark.parametrize("service", SERVICES)
def test_an_instance_runs_its_own_service_s_image_by_digest(synthesis: Synthesis, service):
    told = json.loads(written(user_data(synthesis, service), "/etc/syncline/instance.json"))
    names = synthesis.settings.definition().names
    registry = f"{names.account}.dkr.ecr.{names.region}.amazonaws.com"
    assert told["image"] == f"{registry}/{names.repository(service)}@{synthesis.settings.images[service]}"
    assert told["group"] == group(synthesis, service)["Properties"]["AutoScalingGroupName"]
    assert told["image"] in written(user_data(synthesis, service), "/etc/systemd/system/syncline.service")


@pytest.mark.parametrize("service", SERVICES)
def test_systemd_and_docker_leave_time_to_drain(synthesis: Synthesis, service):
    unit = written(user_data(synthesis, service), "/etc/systemd/system/syncline.service")
    [docker_s] = map(int, re.findall(r"docker stop -t (\d+)", unit))
    [systemd_s] = map(int, re.findall(r"TimeoutStopSec=(\d+)", unit))
    hooks = {
        one["LifecycleHookName"]: one
        for one in group(synthesis, service)["Properties"]["LifecycleHookSpecificationList"]
    }
    told = json.loads(written(user_data(synthesis, service), "/etc/syncline/instance.json"))
    hook_s = hooks[TERMINATING_HOOK]["HeartbeatTimeout"]
    assert DRAIN_S_MAX < docker_s < systemd_s < hook_s - told["deregistering_s"]


# -- the groups


@pytest.mark.parametrize("service", SERVICES)
def test_instances_wait_until_ready_and_drain_before_they_end(synthesis: Synthesis, service):
    hooks = {
        one["LifecycleHookName"]: one
        for one in group(synthesis, service)["Properties"]["LifecycleHookSpecificationList"]
    }
    assert hooks[LAUNCHING_HOOK]["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    # What does not become ready is not kept.
    assert hooks[LAUNCHING_HOOK]["DefaultResult"] == "ABANDON"
    assert hooks[TERMINATING_HOOK]["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    told = json.loads(written(user_data(synthesis, service), "/etc/syncline/instance.json"))
    assert {told["launching_hook"], told["terminating_hook"]} == set(hooks)


@pytest.mark.parametrize("service", SERVICES)
def test_a_new_version_is_rolled_out_new_before_old_and_back_when_alarms_fire(synthesis: Synthesis, service):
    found = group(synthesis, service)
    refresh = found["UpdatePolicy"]["AutoScalingInstanceRefresh"]
    assert refresh["Strategy"] == "Rolling"
    assert refresh["Preferences"]["MinHealthyPercentage"] == 100
    assert refresh["Preferences"]["MaxHealthyPercentage"] > 100
    # A version by number: with $Latest there is nothing to go back to.
    version = found["Properties"]["LaunchTemplate"]["Version"]
    assert version == {"Fn::GetAtt": [f"{service.title()}Template", "LatestVersionNumber"]}
    assert "DesiredCapacity" not in found["Properties"]
    # They are made before: a refresh whose alarms are not there does not begin.
    alarms = synthesis.resources("alarms", "AWS::CloudWatch::Alarm").values()
    there = {one["Properties"]["AlarmName"] for one in alarms}
    watched = refresh["Preferences"]["AlarmSpecification"]["Alarms"]
    assert watched
    assert set(watched) <= there


def test_the_trial_lies_in_one_zone_and_production_in_three(trial: Synthesis, production: Synthesis):
    for service in SERVICES:
        assert len(group(trial, service)["Properties"]["VPCZoneIdentifier"]) == 1
        assert len(group(production, service)["Properties"]["VPCZoneIdentifier"]) == 3
        assert int(group(production, service)["Properties"]["MinSize"]) > 1


def scaling(synthesis: Synthesis, service: str) -> dict[str, Any]:
    [found] = [
        one["Properties"]["TargetTrackingConfiguration"]
        for one in synthesis.resources("services", "AWS::AutoScaling::ScalingPolicy").values()
        if one["Properties"]["AutoScalingGroupName"] == {"Ref": service.title()}
    ]
    return dict(found)


def test_the_gateway_scales_on_requests_per_target(synthesis: Synthesis):
    found = scaling(synthesis, "gateway")["PredefinedMetricSpecification"]
    assert found["PredefinedMetricType"] == "ALBRequestCountPerTarget"
    [gateway] = group(synthesis, "gateway")["Properties"]["TargetGroupARNs"]
    assert gateway["Ref"] in json.dumps(found["ResourceLabel"])


@pytest.mark.parametrize("service", ["metadata", "notifier"])
def test_consumers_scale_on_the_backlog_per_instance(synthesis: Synthesis, service):
    names = synthesis.settings.definition().names
    metrics = {one["Id"]: one for one in scaling(synthesis, service)["CustomizedMetricSpecification"]["Metrics"]}
    dimensions = {
        name: one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
        for name, one in metrics.items()
        if "MetricStat" in one
    }
    assert dimensions == {queue: names.queue(queue) for queue in CONSUMED[service]} | {
        "instances": names.identity(service)
    }
    [answer] = [one for one in metrics.values() if one["ReturnData"]]
    for name in dimensions:
        assert re.search(rf"\b{name}\b", answer["Expression"])
    collected = group(synthesis, service)["Properties"]["MetricsCollection"][0]["Metrics"]
    assert metrics["instances"]["MetricStat"]["Metric"]["MetricName"] in collected


def test_the_syncer_scales_on_held_requests(synthesis: Synthesis):
    found = scaling(synthesis, "syncer")["CustomizedMetricSpecification"]
    made = [
        transformation["MetricName"]
        for one in synthesis.resources("alarms", "AWS::Logs::MetricFilter").values()
        for transformation in one["Properties"]["MetricTransformations"]
        if transformation["MetricNamespace"] == found["Namespace"]
    ]
    assert found["MetricName"] in made
    assert found["Statistic"] == "Average"
