"""SES: the sending domain, and what becomes of mail. The steps that remain are in docs/deploy.md."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_route53 as route53, aws_ses as ses

from deploy.aws.settings import Settings
from deploy.definition import MAIL_EVENTS, Definition

RECORD_SECONDS = "3600"
DKIM_RECORDS = 3


class MailStack(cdk.Stack):
    """The domain that mail comes from, and the configuration set that tells the stack of bounces and complaints."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        configuration = ses.CfnConfigurationSet(
            self,
            "Mail",
            name=definition.names.mail_configuration_set,
            # Letters hold links that let people in: none leaves in the clear.
            delivery_options=ses.CfnConfigurationSet.DeliveryOptionsProperty(tls_policy="REQUIRE"),
            reputation_options=ses.CfnConfigurationSet.ReputationOptionsProperty(reputation_metrics_enabled=True),
            # None of SES's own: people see in Syncline why they get no mail, and lift it themselves.
            suppression_options=ses.CfnConfigurationSet.SuppressionOptionsProperty(suppressed_reasons=[]),
        )
        ses.CfnConfigurationSetEventDestination(
            self,
            "MailEvents",
            configuration_set_name=configuration.ref,
            event_destination=ses.CfnConfigurationSetEventDestination.EventDestinationProperty(
                name=definition.mail_topic.name,
                enabled=True,
                matching_event_types=list(MAIL_EVENTS),
                sns_destination=ses.CfnConfigurationSetEventDestination.SnsDestinationProperty(
                    topic_arn=definition.names.mail_topic_arn
                ),
            ),
        )
        domain = ses.CfnEmailIdentity(
            self,
            "Domain",
            email_identity=settings.mail_domain,
            dkim_attributes=ses.CfnEmailIdentity.DkimAttributesProperty(signing_enabled=True),
            dkim_signing_attributes=ses.CfnEmailIdentity.DkimSigningAttributesProperty(
                next_signing_key_length="RSA_2048_BIT"
            ),
            # Where its records are wrong mail goes on under Amazon's name, still signed by ours.
            mail_from_attributes=ses.CfnEmailIdentity.MailFromAttributesProperty(
                mail_from_domain=settings.bounce_domain, behavior_on_mx_failure="USE_DEFAULT_VALUE"
            ),
            # Events come by the topic; SES would mail them to the sender as well.
            feedback_attributes=ses.CfnEmailIdentity.FeedbackAttributesProperty(email_forwarding_enabled=False),
            configuration_set_attributes=ses.CfnEmailIdentity.ConfigurationSetAttributesProperty(
                configuration_set_name=configuration.ref
            ),
        )
        domain.apply_removal_policy(cdk.RemovalPolicy.RETAIN if settings.production else cdk.RemovalPolicy.DESTROY)
        self._records(settings, domain)

    def _records(self, settings: Settings, domain: ses.CfnEmailIdentity) -> None:
        """DNS: made where the zone is ours, told otherwise."""
        dkim = [
            (
                getattr(domain, f"attr_dkim_dns_token_name{number}"),
                "CNAME",
                getattr(domain, f"attr_dkim_dns_token_value{number}"),
            )
            for number in range(1, DKIM_RECORDS + 1)
        ]
        records = [
            *dkim,
            (settings.bounce_domain, "MX", f"10 feedback-smtp.{settings.region}.amazonses.com"),
            (settings.bounce_domain, "TXT", '"v=spf1 include:amazonses.com -all"'),
        ]
        for number, (name, kind, value) in enumerate(records, 1):
            if settings.makes_mail_records:
                route53.CfnRecordSet(
                    self,
                    f"Record{number}",
                    hosted_zone_id=settings.hosted_zone_id,
                    name=name,
                    type=kind,
                    ttl=RECORD_SECONDS,
                    resource_records=[value],
                )
            else:
                cdk.CfnOutput(self, f"Record{number}", value=f"{name} {kind} {value}", description="To be put into DNS")
