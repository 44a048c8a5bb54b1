"""The load balancer, and one Auto Scaling group of EC2 per service."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import (
    aws_autoscaling as autoscaling,
    aws_ec2 as ec2,
    aws_elasticloadbalancingv2 as elb,
    aws_s3 as s3,
)

from deploy.aws.balancer import Balancer
from deploy.aws.machine import LAUNCHING_HOOK, TERMINATING_HOOK, Machine
from deploy.aws.scaling import scale
from deploy.aws.settings import Settings
from deploy.aws.watching import rollback_alarms
from deploy.definition import SERVICES, Definition

VOLUME_GB = 16
# From the launch to the first 200 of /readyz; what takes longer is given up, and another is launched.
LAUNCH_S_MAX = 600
# From the wish to terminate to the end: deregistering, draining, and some air.
TERMINATE_S_MAX = 300
# How long a new instance takes to carry its share; scaling and refreshing wait for it.
WARMUP_S = 60
# New instances come before old ones go; of a group of one that is twice as many.
HEALTHY_PERCENT_MIN = 100
HEALTHY_PERCENT_MAX = 200
# How long all is watched after the last instance was replaced.
BAKE_S = 300


class ServicesStack(cdk.Stack):
    """`balancer` is the load balancer with its target groups."""

    def __init__(
        self,
        scope: Any,
        name: str,
        *,
        settings: Settings,
        definition: Definition,
        vpc: ec2.IVpc,
        subnet_ids: list[str],
        balancer_group: ec2.ISecurityGroup,
        groups: dict[str, ec2.ISecurityGroup],
        profiles: dict[str, str],
        access_logs: s3.IBucket,
        redis_address: str,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._settings = settings
        self._definition = definition
        self.balancer = Balancer(self, settings=settings, vpc=vpc, group=balancer_group, access_logs=access_logs)
        image = ec2.MachineImage.latest_amazon_linux2023(
            cpu_type=ec2.AmazonLinuxCpuType.ARM_64 if settings.graviton else ec2.AmazonLinuxCpuType.X86_64
        ).get_image(self)
        for service in SERVICES:
            target_group = self.balancer.target_groups.get(service)
            machine = Machine(settings, definition, service, redis_address, served=target_group is not None)
            template = self._template(machine, image.image_id, groups[service], profiles[service])
            group = self._scaling_group(service, template, subnet_ids, target_group)
            scale(self, service, definition, group, self.balancer)

    def _template(
        self, machine: Machine, image_id: str, group: ec2.ISecurityGroup, profile: str
    ) -> ec2.CfnLaunchTemplate:
        volume = ec2.CfnLaunchTemplate.EbsProperty(
            encrypted=True, volume_type="gp3", volume_size=VOLUME_GB, delete_on_termination=True
        )
        tags = [cdk.CfnTag(key="Name", value=self._definition.names.identity(machine.service))]
        return ec2.CfnLaunchTemplate(
            self,
            f"{machine.service.title()}Template",
            launch_template_data=ec2.CfnLaunchTemplate.LaunchTemplateDataProperty(
                image_id=image_id,
                instance_type=self._settings.size(machine.service).instance_type,
                iam_instance_profile=ec2.CfnLaunchTemplate.IamInstanceProfileProperty(name=profile),
                # One hop: the service shares the instance's network, and nothing else gets at the credentials.
                metadata_options=ec2.CfnLaunchTemplate.MetadataOptionsProperty(
                    http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
                ),
                block_device_mappings=[
                    ec2.CfnLaunchTemplate.BlockDeviceMappingProperty(device_name="/dev/xvda", ebs=volume)
                ],
                network_interfaces=[
                    ec2.CfnLaunchTemplate.NetworkInterfaceProperty(
                        device_index=0,
                        groups=[group.security_group_id],
                        # The trial has no NAT: its instances reach AWS by addresses of their own.
                        associate_public_ip_address=not self._settings.production,
                        delete_on_termination=True,
                    )
                ],
                monitoring=ec2.CfnLaunchTemplate.MonitoringProperty(enabled=self._settings.production),
                user_data=cdk.Fn.base64(machine.user_data()),
                tag_specifications=[
                    ec2.CfnLaunchTemplate.TagSpecificationProperty(resource_type=kind, tags=tags)
                    for kind in ("instance", "volume")
                ],
            ),
        )

    def _scaling_group(
        self,
        service: str,
        template: ec2.CfnLaunchTemplate,
        subnet_ids: list[str],
        target_group: elb.IApplicationTargetGroup | None,
    ) -> autoscaling.CfnAutoScalingGroup:
        size = self._settings.size(service)
        group = autoscaling.CfnAutoScalingGroup(
            self,
            service.title(),
            auto_scaling_group_name=self._definition.names.identity(service),
            # No desired capacity: a deployment must not undo what scaling has done.
            min_size=str(size.least),
            max_size=str(size.most),
            vpc_zone_identifier=subnet_ids,
            launch_template=autoscaling.CfnAutoScalingGroup.LaunchTemplateSpecificationProperty(
                launch_template_id=template.ref, version=template.attr_latest_version_number
            ),
            target_group_arns=[] if target_group is None else [target_group.target_group_arn],
            # Not by the load balancer's check: with DynamoDB away no instance is ready, and new ones would not help.
            # The agent on the instance reports a service that hangs.
            health_check_type="EC2",
            health_check_grace_period=LAUNCH_S_MAX,
            default_instance_warmup=WARMUP_S,
            lifecycle_hook_specification_list=[
                _hook(LAUNCHING_HOOK, "LAUNCHING", LAUNCH_S_MAX, "ABANDON"),
                _hook(TERMINATING_HOOK, "TERMINATING", TERMINATE_S_MAX, "CONTINUE"),
            ],
            metrics_collection=[
                autoscaling.CfnAutoScalingGroup.MetricsCollectionProperty(
                    granularity="1Minute", metrics=["GroupInServiceInstances", "GroupDesiredCapacity", "GroupMaxSize"]
                )
            ],
            # Whatever replaces instances launches the new one first.
            instance_maintenance_policy=autoscaling.CfnAutoScalingGroup.InstanceMaintenancePolicyProperty(
                min_healthy_percentage=HEALTHY_PERCENT_MIN, max_healthy_percentage=HEALTHY_PERCENT_MAX
            ),
        )
        group.cfn_options.update_policy = cdk.CfnUpdatePolicy(auto_scaling_instance_refresh=self._refresh(service))
        return group

    def _refresh(self, service: str) -> cdk.CfnAutoScalingInstanceRefresh:
        """How a changed image reaches the instances. If it fails, CloudFormation rolls back in the same way."""
        alarms = rollback_alarms(self._definition.names, service) if self._settings.roll_back_on_alarms else []
        return cdk.CfnAutoScalingInstanceRefresh(
            strategy="Rolling",
            preferences=cdk.CfnAutoScalingInstanceRefreshPreferences(
                min_healthy_percentage=HEALTHY_PERCENT_MIN,
                max_healthy_percentage=HEALTHY_PERCENT_MAX,
                instance_warmup=WARMUP_S,
                bake_time=BAKE_S,
                skip_matching=True,
                alarm_specification=cdk.CfnAutoScalingInstanceRefreshAlarmSpecification(alarms=alarms)
                if alarms
                else None,
            ),
        )


def _hook(
    name: str, transition: str, seconds_max: int, otherwise: str
) -> autoscaling.CfnAutoScalingGroup.LifecycleHookSpecificationProperty:
    return autoscaling.CfnAutoScalingGroup.LifecycleHookSpecificationProperty(
        lifecycle_hook_name=name,
        lifecycle_transition=f"autoscaling:EC2_INSTANCE_{transition}",
        heartbeat_timeout=seconds_max,
        default_result=otherwise,
    )
