"""The network: what it costs nothing to reach, and who may talk to whom."""

from __future__ import annotations

from deploy.definition import SERVICES
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


def test_flows_and_reads_are_logged_where_only_aws_writes(synthesis: Synthesis):
    [bucket] = synthesis.resources("network", "AWS::S3::Bucket").values()
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
    assert bucket["Properties"]["BucketEncryption"]
    assert synthesis.resources("network", "AWS::EC2::FlowLog")
    [policy] = synthesis.resources("network", "AWS::S3::BucketPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert any(one["Effect"] == "Deny" and "aws:SecureTransport" in str(one["Condition"]) for one in statements)
    writers = {
        one["Principal"]["Service"]
        for one in statements
        if one["Action"] == "s3:PutObject" and "aws:SourceAccount" in str(one.get("Condition"))
    }
    assert writers == {"logging.s3.amazonaws.com", "delivery.logs.amazonaws.com"}


def test_instances_are_reached_by_the_load_balancer_alone_and_redis_by_instances(synthesis: Synthesis):
    groups = synthesis.resources("network", "AWS::EC2::SecurityGroup")
    rules = [one["Properties"] for one in synthesis.resources("network", "AWS::EC2::SecurityGroupIngress").values()]
    reached: dict[str, set[tuple[str, int]]] = {}
    for rule in rules:
        assert rule["FromPort"] == rule["ToPort"]
        target, source = (group_name(groups, rule[side]) for side in ("GroupId", "SourceSecurityGroupId"))
        reached.setdefault(target, set()).add((source, rule["FromPort"]))
    assert reached == {
        "Gateway": {("Balancer", 8080)},
        "Syncer": {("Balancer", 8080)},
        "Redis": {(service.title(), 6379) for service in SERVICES},
    }


def group_name(groups: dict, reference: dict) -> str:
    """What a security group is called in the code, from a reference to it."""
    logical_id = reference["Fn::GetAtt"][0]
    assert logical_id in groups
    return next(name for name in ("Balancer", "Redis", *map(str.title, SERVICES)) if logical_id.startswith(name))


def test_nothing_goes_out_but_https_and_redis(synthesis: Synthesis):
    out = [one["Properties"] for one in synthesis.resources("network", "AWS::EC2::SecurityGroupEgress").values()]
    groups = synthesis.resources("network", "AWS::EC2::SecurityGroup").values()
    out += [rule for one in groups for rule in one["Properties"].get("SecurityGroupEgress", [])]
    # What CDK writes for "nothing": an address that nobody has.
    ports = {rule["FromPort"] for rule in out if rule.get("CidrIp") != "255.255.255.255/32"}
    assert ports == {443, 6379, 8080}
