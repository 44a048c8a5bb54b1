"""The load balancer: one address by HTTPS, `/v1/sync/*` to the syncer and the rest to the gateway."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import (
    aws_certificatemanager as acm,
    aws_ec2 as ec2,
    aws_elasticloadbalancingv2 as elb,
    aws_route53 as route53,
    aws_route53_targets as targets,
    aws_s3 as s3,
    aws_wafv2 as waf,
)
from constructs import Construct

from deploy.aws.machine import PORT
from deploy.aws.network import HTTP, HTTPS
from deploy.aws.settings import Settings

# Longer than a held request (50 s), shorter than the services keep a connection (125 s).
IDLE_S_MAX = 120
# Longer than a held request: whoever waits on an instance that goes gets its answer.
DEREGISTERING_S_MAX = 60
HEALTH_EVERY_S = 5
HEALTH_S_MAX = 4
HEALTHY_AFTER = 2
UNHEALTHY_AFTER = 3
SYNC_PATH = "/v1/sync/*"
INSIDE_PATH = "/metrics"
# A household's or an office's clients together, in five minutes; each account has limits of its own besides.
REQUESTS_MAX = 30_000


class Balancer(Construct):
    """`target_groups` has those of the two services that are reached."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        vpc: ec2.IVpc,
        group: ec2.ISecurityGroup,
        access_logs: s3.IBucket,
    ) -> None:
        super().__init__(scope, "Balancer")
        self._settings = settings
        self._vpc = vpc
        self.balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=vpc,
            internet_facing=True,
            security_group=group,
            idle_timeout=cdk.Duration.seconds(IDLE_S_MAX),
            drop_invalid_header_fields=True,
            deletion_protection=settings.production,
        )
        self.balancer.log_access_logs(access_logs, "balancer")
        self.target_groups = {"gateway": self._target_group("gateway"), "syncer": self._target_group("syncer")}
        self.certificate = self._certificate()
        self.listeners = self._listen()
        self._name()
        if settings.firewall:
            self._firewall()

    def _target_group(self, service: str) -> elb.ApplicationTargetGroup:
        """No stickiness: every instance answers every request, and what they share lies in DynamoDB and Redis."""
        return elb.ApplicationTargetGroup(
            self,
            service.title(),
            vpc=self._vpc,
            port=PORT,
            # Inside the network, between the load balancer's security group and the service's only.
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.INSTANCE,
            deregistration_delay=cdk.Duration.seconds(DEREGISTERING_S_MAX),
            # Held requests stay where they are for 50 s: by turns, a new instance would get its share late.
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elb.HealthCheck(
                path="/readyz",
                interval=cdk.Duration.seconds(HEALTH_EVERY_S),
                timeout=cdk.Duration.seconds(HEALTH_S_MAX),
                healthy_threshold_count=HEALTHY_AFTER,
                unhealthy_threshold_count=UNHEALTHY_AFTER,
                healthy_http_codes="200",
            ),
        )

    def _listen(self) -> list[elb.ApplicationListener]:
        https = self.balancer.add_listener(
            "Https",
            port=HTTPS,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[self.certificate],
            ssl_policy=elb.SslPolicy.TLS13_RES,
            default_target_groups=[self.target_groups["gateway"]],
            open=False,
        )
        https.add_action(
            "Inside",
            priority=1,
            conditions=[elb.ListenerCondition.path_patterns([INSIDE_PATH])],
            action=elb.ListenerAction.fixed_response(404, content_type="text/plain", message_body="Nothing here."),
        )
        https.add_action(
            "Sync",
            priority=2,
            conditions=[elb.ListenerCondition.path_patterns([SYNC_PATH])],
            action=elb.ListenerAction.forward([self.target_groups["syncer"]]),
        )
        http = self.balancer.add_listener(
            "Http",
            port=HTTP,
            protocol=elb.ApplicationProtocol.HTTP,
            default_action=elb.ListenerAction.redirect(protocol="HTTPS", port=str(HTTPS), permanent=True),
            open=False,
        )
        return [https, http]

    def _certificate(self) -> acm.ICertificate:
        if self._settings.certificate_arn:
            return acm.Certificate.from_certificate_arn(self, "Certificate", self._settings.certificate_arn)
        return acm.Certificate(
            self,
            "Certificate",
            domain_name=self._settings.domain,
            validation=acm.CertificateValidation.from_dns(self._zone()),
        )

    def _name(self) -> None:
        if not self._settings.hosted_zone:
            cdk.CfnOutput(
                self, "Address", value=self.balancer.load_balancer_dns_name, description="CNAME of the domain"
            )
            return
        route53.ARecord(
            self,
            "Name",
            zone=self._zone(),
            record_name=self._settings.domain,
            target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.balancer)),
        )

    def _zone(self) -> route53.IHostedZone:
        found = self.node.try_find_child("Zone")
        return found or route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=self._settings.hosted_zone_id, zone_name=self._settings.hosted_zone
        )

    def _firewall(self) -> None:
        """Addresses of bad repute, and floods. No rules about bodies: names of files may look like attacks."""
        reputation = waf.CfnWebACL.StatementProperty(
            managed_rule_group_statement=waf.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS", name="AWSManagedRulesAmazonIpReputationList"
            )
        )
        flood = waf.CfnWebACL.StatementProperty(
            rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(limit=REQUESTS_MAX, aggregate_key_type="IP")
        )
        rules = [
            waf.CfnWebACL.RuleProperty(
                name="reputation",
                priority=1,
                statement=reputation,
                override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
                visibility_config=_visible("reputation"),
            ),
            waf.CfnWebACL.RuleProperty(
                name="flood",
                priority=2,
                statement=flood,
                action=waf.CfnWebACL.RuleActionProperty(block={}),
                visibility_config=_visible("flood"),
            ),
        ]
        firewall = waf.CfnWebACL(
            self,
            "Firewall",
            scope="REGIONAL",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_visible("all"),
        )
        waf.CfnWebACLAssociation(
            self, "Guarded", resource_arn=self.balancer.load_balancer_arn, web_acl_arn=firewall.attr_arn
        )


def _visible(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
