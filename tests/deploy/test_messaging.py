"""Messages: encrypted, by TLS alone, and none is lost unseen."""

from __future__ import annotations

from tests.deploy.conftest import Synthesis


def test_every_queue_is_encrypted_and_takes_nothing_in_the_clear(synthesis: Synthesis):
    queues = synthesis.resources("messaging", "AWS::SQS::Queue")
    assert len(queues) == 14
    assert all(queue["Properties"]["SqsManagedSseEnabled"] for queue in queues.values())
    policies = synthesis.resources("messaging", "AWS::SQS::QueuePolicy").values()
    closed = {
        one["Ref"]
        for policy in policies
        for one in policy["Properties"]["Queues"]
        if policy["Properties"]["PolicyDocument"]["Statement"][-1]["Condition"]
        == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert closed == set(queues)


def test_every_queue_has_its_own_dead_letters_that_stay_as_long_as_can_be(synthesis: Synthesis):
    queues = {
        one["Properties"]["QueueName"]: one for one in synthesis.resources("messaging", "AWS::SQS::Queue").values()
    }
    for name, queue in queues.items():
        properties = queue["Properties"]
        assert properties["MessageRetentionPeriod"] == 14 * 24 * 3600
        if "RedrivePolicy" in properties:
            dead = queues[properties["RedrivePolicy"]["deadLetterTargetArn"].rpartition(":")[2]]
            [source] = dead["Properties"]["RedriveAllowPolicy"]["sourceQueueArns"]
            assert source.endswith(f":{name}")
            assert properties.get("FifoQueue") == dead["Properties"].get("FifoQueue")
        else:
            assert "RedriveAllowPolicy" in properties


def test_queues_are_there_before_anything_is_sent_to_them(synthesis: Synthesis):
    for subscription in synthesis.resources("messaging", "AWS::SNS::Subscription").values():
        queue = subscription["Properties"]["Endpoint"].rpartition("-")[2]
        assert queue.title() in subscription["DependsOn"]


def test_events_about_mail_come_signed(synthesis: Synthesis):
    topics = synthesis.resources("messaging", "AWS::SNS::Topic")
    assert {topic["Properties"]["SignatureVersion"] for topic in topics.values()} == {"2"}
    to_bounces = synthesis.resources("messaging", "AWS::SNS::Subscription")["MailEventsToBounces"]["Properties"]
    assert to_bounces["RawMessageDelivery"] is False
    assert to_bounces["TopicArn"] == {"Ref": "MailEvents"}
