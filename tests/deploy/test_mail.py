"""SES: mail is signed by the domain, and what becomes of it reaches the topic that the notifier hears."""

from __future__ import annotations

from tests.deploy.conftest import Synthesis


def test_the_configuration_set_tells_of_bounces_and_complaints_and_suppresses_nobody(synthesis: Synthesis):
    [configuration] = synthesis.resources("mail", "AWS::SES::ConfigurationSet").values()
    names = synthesis.settings.definition().names
    assert configuration["Properties"]["Name"] == names.mail_configuration_set
    assert configuration["Properties"]["SuppressionOptions"] == {"SuppressedReasons": []}
    # Tracking would rewrite links, one-click unsubscribing among them.
    assert "TrackingOptions" not in configuration["Properties"]
    [destination] = synthesis.resources("mail", "AWS::SES::ConfigurationSetEventDestination").values()
    told = destination["Properties"]["EventDestination"]
    assert told["MatchingEventTypes"] == ["bounce", "complaint"]
    assert told["SnsDestination"] == {"TopicARN": names.mail_topic_arn}
    assert told["Enabled"] is True


def test_the_domain_signs_and_bounces_come_to_a_domain_of_its_own(synthesis: Synthesis):
    [domain] = synthesis.resources("mail", "AWS::SES::EmailIdentity").values()
    properties = domain["Properties"]
    assert properties["EmailIdentity"] == synthesis.settings.mail_domain
    assert properties["DkimSigningAttributes"] == {"NextSigningKeyLength": "RSA_2048_BIT"}
    assert properties["MailFromAttributes"]["MailFromDomain"] == f"bounce.{synthesis.settings.mail_domain}"


def test_dns_records_are_made_where_the_zone_is_known_and_told_elsewhere(trial: Synthesis, production: Synthesis):
    made = trial.resources("mail", "AWS::Route53::RecordSet").values()
    assert sorted(record["Properties"]["Type"] for record in made) == ["CNAME", "CNAME", "CNAME", "MX", "TXT"]
    assert {record["Properties"]["HostedZoneId"] for record in made} == {trial.settings.hosted_zone_id}
    assert not production.resources("mail", "AWS::Route53::RecordSet")
    told = production.templates["mail"]["Outputs"].values()
    assert len(told) == 5
    assert any("feedback-smtp.eu-central-1.amazonses.com" in str(one["Value"]) for one in told)
