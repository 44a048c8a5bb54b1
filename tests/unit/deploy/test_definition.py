"""The definition of the AWS resources: names, shapes, and least privilege."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.definition import SERVICES, Definition, Identity, define
from deploy.names import Names
from deploy.permissions import trust_by
from deploy.permissions_manual import manual
from syncline.aws import names as service_names
from syncline.ports.queues import Queue as PortQueue
from syncline.ports.tables import Table as PortTable

NAMES = Names(region="eu-central-1", account="123456789012", bucket="files", stack="teal")
DATA_ACTIONS = ("dynamodb:", "s3:", "sqs:", "sns:")


@pytest.fixture
def definition() -> Definition:
    return define(NAMES, mail_from="syncline@example.com")


def statements(identity: Identity) -> list[dict[str, Any]]:
    return list(identity.policy["Statement"])


def allowed(definition: Definition, service: str, action: str) -> set[str]:
    """The resources on which `service` may do `action`."""
    identity = next(one for one in definition.identities if one.service == service)
    return {
        resource
        for statement in statements(identity)
        if action in statement["Action"]
        for resource in statement["Resource"]
    }


def test_everything_carries_the_stack_in_its_name(definition):
    named = [table.name for table in definition.tables]
    named += [name for queue in definition.queues for name in (queue.name, queue.dead_name)]
    named += [definition.topic.name, definition.mail_topic.name, definition.client_role.name]
    named += [identity.name for identity in definition.identities]
    assert all(name.startswith("teal-") for name in named)
    assert len(set(named)) == len(named)


def test_services_look_for_the_tables_and_queues_that_are_defined(definition):
    assert {table.name for table in definition.tables} == {
        service_names.table_name("teal", table) for table in PortTable
    }
    assert {name for queue in definition.queues for name in (queue.name, queue.dead_name)} == {
        name
        for queue in PortQueue
        for name in (
            service_names.queue_name("teal", queue),
            service_names.dead_queue_name("teal", queue),
        )
    }


def test_a_dead_letter_queue_is_of_the_same_kind_as_its_queue(definition):
    for queue in definition.queues:
        assert queue.name.endswith(".fifo") == queue.dead_name.endswith(".fifo") == queue.fifo


def test_only_uploads_are_delayed(definition):
    assert {queue.short_name: queue.delay_seconds for queue in definition.queues} == {
        "uploads": 120,
        "direct": 0,
        "commits": 0,
        "sync": 0,
        "notify": 0,
        "letters": 0,
        "bounces": 0,
    }


def test_rows_that_say_when_they_expire_do_so_in_three_tables(definition):
    expiring = {table.name for table in definition.tables if table.ttl_attribute == "expires_at"}
    assert expiring == {"teal-outcomes", "teal-directory", "teal-mail"}
    assert all(table.ttl_attribute in ("expires_at", None) for table in definition.tables)


def test_each_source_may_send_to_its_queues_alone(definition):
    sources = {
        queue.short_name: queue.policy and queue.policy["Statement"][0]["Condition"]["ArnEquals"]
        for queue in definition.queues
    }
    bucket, topic = {"aws:SourceArn": NAMES.bucket_arn}, {"aws:SourceArn": NAMES.topic_arn}
    assert sources == {
        "uploads": bucket,
        "direct": bucket,
        "commits": None,
        "sync": topic,
        "notify": topic,
        "letters": None,
        "bounces": {"aws:SourceArn": NAMES.mail_topic_arn},
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_policy_names_what_it_allows(definition, service):
    identity = next(one for one in definition.identities if one.service == service)
    for statement in statements(identity):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        for resource in statement["Resource"]:
            wild = resource == "*"
            assert not wild or "Condition" in statement
            assert (
                wild
                or resource.startswith(("arn:aws:s3:::files", "arn:aws:iam::123456789012:role/teal-client"))
                or "123456789012:table/teal-" in resource
                or "123456789012:teal-" in resource
            )
        assert not any(
            action.split(":")[1].startswith(("Create", "DeleteQueue", "DeleteTable", "Purge"))
            for action in statement["Action"]
        )


def test_nobody_may_remove_bytes_but_metadata_what_was_given_up_and_the_syncer_what_was_replaced(definition):
    removing = {"metadata": ("objects/", "direct/"), "syncer": ("journal/", "snapshots/")}
    for service in SERVICES:
        for action in ("s3:DeleteObject", "s3:PutLifecycleConfiguration"):
            assert allowed(definition, service, action) == set()
        removed = {NAMES.objects_arn(prefix) for prefix in removing.get(service, ())}
        assert allowed(definition, service, "s3:DeleteObjectVersion") == removed


def test_only_metadata_writes_versions_and_the_gateway_writes_heads(definition):
    journal, views = NAMES.table_arn("journal"), NAMES.table_arn("views")
    writers = {service for service in SERVICES if journal in allowed(definition, service, "dynamodb:PutItem")}
    assert writers == {"gateway", "metadata"}
    for action, writers in (("dynamodb:BatchWriteItem", {"metadata"}), ("dynamodb:PutItem", set())):
        assert {service for service in SERVICES if views in allowed(definition, service, action)} == writers


def test_nobody_scans_a_table(definition):
    assert all(allowed(definition, service, "dynamodb:Scan") == set() for service in SERVICES)


def test_one_service_consumes_each_queue(definition):
    for queue in definition.queues:
        arn = NAMES.queue_arn(queue.short_name)
        consumers = [one for one in SERVICES if arn in allowed(definition, one, "sqs:ReceiveMessage")]
        assert len(consumers) == 1
        dead = NAMES.dead_queue_arn(queue.short_name)
        assert dead in allowed(definition, consumers[0], "sqs:SendMessage")


def test_only_the_gateway_hands_out_credentials(definition):
    assumers = [one for one in SERVICES if allowed(definition, one, "sts:AssumeRole")]
    assert assumers == ["gateway"] == [definition.client_role.trusted_service]
    trust = trust_by("arn:aws:iam::123456789012:user/teal-gateway")
    assert trust["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::123456789012:user/teal-gateway"}


def test_a_client_can_reach_file_bytes_alone(definition):
    reach = {
        (action, resource)
        for statement in definition.client_role.policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    assert {action for action, _ in reach} == {
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
        "s3:GetObject",
        "s3:GetObjectVersion",
    }
    assert {resource for _, resource in reach} == {
        "arn:aws:s3:::files/objects/*",
        "arn:aws:s3:::files/direct/*",
    }


def test_policies_fit_the_limit_of_iam(definition):
    # 10,240 characters is what IAM allows a role's inline policies in all, without white space.
    for identity in definition.identities:
        assert len(json.dumps(identity.policy, separators=(",", ":"))) <= 10_240


@pytest.mark.parametrize(
    ("service", "table", "keys"),
    [
        ("gateway", "journal", ["head#*"]),
        ("metadata", "directory", ["freed#*", "grant#*", "grants#*", "retained#*", "sweep#*", "usage#*"]),
        ("syncer", "directory", ["checkpoint#*", "archive#*", "archived#*", "snapshot#*"]),
        ("notifier", "directory", ["checkpoint#*", "memberchanges#*"]),
    ],
)
def test_who_writes_a_table_of_others_writes_rows_of_its_own(definition, service, table, keys):
    identity = next(one for one in definition.identities if one.service == service)
    writing = [
        statement
        for statement in statements(identity)
        if "dynamodb:UpdateItem" in statement["Action"] and NAMES.table_arn(table) in statement["Resource"]
    ]
    assert [one["Condition"] for one in writing] == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}]


def test_the_definition_is_plain_values(definition):
    assert json.loads(json.dumps(dataclasses.asdict(definition)))["names"]["stack"] == "teal"


def test_on_aws_every_resource_that_takes_a_policy_refuses_what_does_not_come_by_tls(definition):
    queues = definition.queues
    documents = {NAMES.queue_arn(queue.short_name): (queue.policy, queue.policy_aws, "sqs:*") for queue in queues} | {
        NAMES.dead_queue_arn(queue.short_name): (None, queue.dead_policy_aws, "sqs:*") for queue in queues
    }
    for topic, arn in ((definition.topic, NAMES.topic_arn), (definition.mail_topic, NAMES.mail_topic_arn)):
        documents[arn] = (topic.policy, topic.policy_aws, "sns:Publish")
    for arn, (everywhere, on_aws, action) in documents.items():
        *before, tls = on_aws["Statement"]
        assert before == (everywhere["Statement"] if everywhere else [])
        assert (tls["Effect"], tls["Principal"], tls["Action"], tls["Resource"]) == ("Deny", "*", action, [arn])
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_on_aws_the_bucket_takes_nothing_over_what_is_there_and_nothing_without_tls(definition):
    never, tls = definition.bucket.policy_aws["Statement"]
    assert (never["Effect"], never["Resource"]) == ("Deny", "arn:aws:s3:::files/objects/*")
    assert (tls["Effect"], tls["Action"]) == ("Deny", "s3:*")
    assert tls["Resource"] == ["arn:aws:s3:::files", "arn:aws:s3:::files/*"]


def test_only_large_bytes_of_people_are_cooled(definition):
    assert {cooling.prefix for cooling in definition.bucket.coolings} == {"objects/", "direct/"}
    assert all(cooling.bytes_min >= 240 * 1024 for cooling in definition.bucket.coolings)


def test_the_document_of_permissions_is_as_they_are():
    written = (Path(__file__).resolve().parents[3] / "docs/permissions.md").read_text()
    assert written == manual(), "run: python -m deploy.permissions_manual > docs/permissions.md"
