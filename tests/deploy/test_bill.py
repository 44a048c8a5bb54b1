"""The bill on paper (`syncline-admin cost`) reckons with what is deployed."""

from __future__ import annotations

from syncline.admin.costs import load
from tests.deploy.conftest import Synthesis

ALARM = "AWS::CloudWatch::Alarm"


def test_what_stands_there_all_month_is_what_is_deployed(synthesis: Synthesis):
    shape = load.SHAPES[load.Variant(synthesis.settings.variant.value)]
    assert len(synthesis.resources("network", "AWS::EC2::NatGateway")) == shape.gateways_of_nat
    interfaces = [
        one["Properties"]
        for one in synthesis.resources("network", "AWS::EC2::VPCEndpoint").values()
        if one["Properties"]["VpcEndpointType"] == "Interface"
    ]
    assert sum(len(one["SubnetIds"]) for one in interfaces) == shape.endpoints
    [redis] = synthesis.resources("cache", "AWS::ElastiCache::ReplicationGroup").values()
    assert redis["Properties"]["CacheNodeType"] == shape.cache_type
    assert redis["Properties"]["NumCacheClusters"] == shape.caches
    secrets = [synthesis.resources(stack, "AWS::SecretsManager::Secret") for stack in ("cache", "identity")]
    assert sum(map(len, secrets)) == load.SECRETS
    for one in synthesis.resources("services", "AWS::EC2::LaunchTemplate").values():
        [device] = one["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"]
        assert device["Ebs"]["VolumeSize"] == load.DISK_GB


def test_what_watches_it_costs_what_is_reckoned(synthesis: Synthesis):
    filters = len(synthesis.resources("alarms", "AWS::Logs::MetricFilter"))
    assert load.METRICS * 3 // 4 <= filters <= load.METRICS
    alarms = [
        one["Properties"] for stack in ("alarms", "observability") for one in synthesis.resources(stack, ALARM).values()
    ]
    read = sum(len([part for part in one.get("Metrics", []) if "MetricStat" in part]) or 1 for one in alarms)
    assert load.ALARM_METRICS * 3 // 4 <= read <= load.ALARM_METRICS
    assert len(synthesis.resources("observability", "AWS::CloudWatch::Dashboard")) == load.DASHBOARDS
