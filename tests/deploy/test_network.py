"""The network: what it costs nothing to reach, and who may talk to whom."""

from __future__ import annotations

from tests.deploy.conftest import Synthesis


def test_traffic_to_s3_and_dynamodb_pays_no_nat(synthesis: Synthesis):
    endpoints = synthesis.resources("network", "AWS::EC2::VPCEndpoint").values()
    gateways = [e["Properties"] for e in endpoints if e["Properties"]["VpcEndpointType"] == "Gateway"]
    assert len(gateways) == 2
    routed = {str(table) for endpoint in gateways for table in endpoint["RouteTableIds"]}
    tables = synthesis.resources("network", "AWS::EC2::RouteTable")
    assert len(routed) == len(tables)


def test_the_trial_has_no_nat_and_production_one_in_each_zone(trial: Synthesis, production: Synthesis):
    assert not trial.resources("network", "AWS::EC2::NatGateway")
    assert len(production.resources("network", "AWS::EC2::NatGateway")) == 3


def test_only_the_load_balancer_is_open_to_the_world(synthesis: Synthesis):
    groups = synthesis.resources("network", "AWS::EC2::SecurityGroup")
    open_to_all = {
        name: sorted(rule["FromPort"] for rule in group["Properties"]["SecurityGroupIngress"])
        for name, group in groups.items()
        if any(rule.get("CidrIp") == "0.0.0.0/0" for rule in group["Properties"].get("SecurityGroupIngress", []))
    }
    [(name, ports)] = open_to_all.items()
    assert name.startswith("Balancer")
    assert ports == [80, 443]
