"""The network: subnets, ways out, who may talk to whom, and the bucket of access logs."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_iam as iam, aws_s3 as s3

from deploy.aws.machine import PORT
from deploy.aws.settings import Settings
from deploy.definition import SERVICES, Definition

HTTPS = 443
HTTP = 80
REDIS = 6379
# The load balancer has targets in these; the other two are reached by nobody.
SERVED = ("gateway", "syncer")
LOGS_DAYS = 90
FLOWS_PREFIX = "flows/"
ADDRESSES = "10.60.0.0/16"
# S3 and DynamoDB have gateway endpoints, free of charge. An interface endpoint costs as much as some 160 GB through NAT
# a zone and month: these three carry the most, or are asked for with every permit. SNS has none: the notifier fetches
# the certificates of its signatures from its public host.
INTERFACE_ENDPOINTS = {
    "Queues": ec2.InterfaceVpcEndpointAwsService.SQS,
    "Credentials": ec2.InterfaceVpcEndpointAwsService.STS,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}


class NetworkStack(cdk.Stack):
    """`groups` has a security group for each service, and `balancer_group` and `redis_group` theirs."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._settings = settings
        self._definition = definition
        self.access_logs = self._access_logs()
        self.vpc = self._vpc()
        self._endpoints()
        self.balancer_group = self._group("Balancer", "The load balancer")
        self.redis_group = self._group("Redis", "Redis")
        self.groups = {service: self._group(service.title(), f"Instances of {service}") for service in SERVICES}
        self._allow()

    def instance_subnet_ids(self) -> list[str]:
        """Where instances run: without addresses of their own in production, in one zone in the trial."""
        subnets = self.vpc.private_subnets if self._settings.production else self.vpc.public_subnets
        return [subnet.subnet_id for subnet in subnets[: self._settings.zones]]

    def _vpc(self) -> ec2.Vpc:
        # A load balancer wants two zones at least, and Redis's subnet group is the wider for it.
        zones = max(self._settings.zones, 2)
        subnets = [ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=22)]
        if self._settings.production:
            egress = ec2.SubnetType.PRIVATE_WITH_EGRESS
            subnets.append(ec2.SubnetConfiguration(name="Services", subnet_type=egress, cidr_mask=20))
        isolated = ec2.SubnetType.PRIVATE_ISOLATED
        subnets.append(ec2.SubnetConfiguration(name="Redis", subnet_type=isolated, cidr_mask=24))
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(ADDRESSES),
            max_azs=zones,
            nat_gateways=self._settings.zones if self._settings.production else 0,
            subnet_configuration=subnets,
        )
        vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_s3(self.access_logs, FLOWS_PREFIX))
        return vpc

    def _endpoints(self) -> None:
        self.vpc.add_gateway_endpoint("Objects", service=ec2.GatewayVpcEndpointAwsService.S3)
        self.vpc.add_gateway_endpoint("Rows", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        if self._settings.production:
            group = self._group("Endpoints", "The interface endpoints of AWS")
            group.add_ingress_rule(ec2.Peer.ipv4(ADDRESSES), ec2.Port.tcp(HTTPS), "From within")
            for name, service in INTERFACE_ENDPOINTS.items():
                self.vpc.add_interface_endpoint(name, service=service, security_groups=[group], open=False)

    def _group(self, name: str, meaning: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, name, vpc=self.vpc, description=meaning, allow_all_outbound=False)

    def _allow(self) -> None:
        anybody = ec2.Peer.any_ipv4()
        self.balancer_group.add_ingress_rule(anybody, ec2.Port.tcp(HTTPS), "People and clients")
        self.balancer_group.add_ingress_rule(anybody, ec2.Port.tcp(HTTP), "Redirected to HTTPS")
        for service, group in self.groups.items():
            # AWS, and for the notifier the receivers of webhooks, whose addresses nobody knows beforehand.
            group.add_egress_rule(anybody, ec2.Port.tcp(HTTPS), "AWS and webhooks" if service == "notifier" else "AWS")
            group.add_egress_rule(self.redis_group, ec2.Port.tcp(REDIS), "Redis")
            self.redis_group.add_ingress_rule(group, ec2.Port.tcp(REDIS), service)
        for service in SERVED:
            group = self.groups[service]
            group.add_ingress_rule(self.balancer_group, ec2.Port.tcp(PORT), "Requests")
            self.balancer_group.add_egress_rule(group, ec2.Port.tcp(PORT), service)

    def _access_logs(self) -> s3.Bucket:
        """Logs of the load balancer, of the network's flows, and of S3 itself (they name keys, never content)."""
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=self._definition.names.access_logs_bucket,
            encryption=s3.BucketEncryption.S3_MANAGED,  # neither load balancers nor S3 deliver to keys of KMS
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(LOGS_DAYS))],
            removal_policy=cdk.RemovalPolicy.RETAIN if self._settings.production else cdk.RemovalPolicy.DESTROY,
        )
        # The load balancer's own statement comes with its logging (balancer.py).
        for service, prefix in (("logging.s3", "s3/"), ("delivery.logs", FLOWS_PREFIX)):
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=["s3:PutObject"],
                    resources=[bucket.arn_for_objects(f"{prefix}*")],
                    conditions={"StringEquals": {"aws:SourceAccount": self._settings.account}},
                )
            )
        return bucket
