"""The data: nothing of it is public, lost by an update, or in the clear."""

from __future__ import annotations

import pytest

from deploy.definition import TABLES
from tests.deploy.conftest import Synthesis

# Logical ids of what holds data. CloudFormation replaces a resource whose id changes by a new and empty one: never
# change a line here.
STATEFUL = {
    "AWS::S3::Bucket": {"Files"},
    "AWS::DynamoDB::Table": {"Journal", "Views", "Directory", "Outcomes", "Mail", "Audit"},
}
# What of them CloudFormation can change only by making a new one.
IDENTIFYING = {"AWS::S3::Bucket": ("BucketName",), "AWS::DynamoDB::Table": ("TableName", "KeySchema")}


def test_what_holds_data_is_found_again_by_every_later_template(synthesis: Synthesis):
    found = {kind: set(synthesis.resources("data", kind)) for kind in STATEFUL}
    assert found == STATEFUL


def test_its_names_and_keys_are_those_of_always(production: Synthesis):
    said = {
        logical: {name: resource["Properties"][name] for name in IDENTIFYING[kind]}
        for kind in STATEFUL
        for logical, resource in production.resources("data", kind).items()
    }
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    tables = {table.title(): {"TableName": f"syncline-{table}", "KeySchema": keys} for table in TABLES}
    assert said == {"Files": {"BucketName": "example-syncline-files"}} | tables


@pytest.mark.parametrize("stack", ["data", "mail", "backup", "identity"])
def test_in_production_what_cannot_be_made_again_outlives_its_stack(production: Synthesis, stack: str):
    lasting = (*STATEFUL, "AWS::SES::EmailIdentity", "AWS::Backup::BackupVault", "AWS::SecretsManager::Secret")
    found = [resource for kind in lasting for resource in production.resources(stack, kind).values()]
    assert found
    for resource in found:
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_in_production_tables_are_protected_and_a_trial_leaves_none_behind(production: Synthesis, trial: Synthesis):
    for synthesis, protected, policy in ((production, True, "Retain"), (trial, False, "Delete")):
        for table in synthesis.resources("data", "AWS::DynamoDB::Table").values():
            assert table["Properties"]["DeletionProtectionEnabled"] is protected
            assert table["DeletionPolicy"] == policy


def test_tables_can_be_put_back_to_any_second(synthesis: Synthesis):
    for table in synthesis.resources("data", "AWS::DynamoDB::Table").values():
        recovery = table["Properties"]["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 35}


def test_the_bucket_is_closed_encrypted_and_versioned(synthesis: Synthesis):
    [bucket] = synthesis.resources("data", "AWS::S3::Bucket").values()
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert properties["VersioningConfiguration"]["Status"] == "Enabled"
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_who_read_what_is_logged_where_the_logs_are(synthesis: Synthesis):
    [bucket] = synthesis.resources("data", "AWS::S3::Bucket").values()
    logs = [one["Properties"]["BucketName"] for one in synthesis.resources("network", "AWS::S3::Bucket").values()]
    logging = bucket["Properties"]["LoggingConfiguration"]
    assert [logging["DestinationBucketName"]] == logs
    policies = synthesis.resources("network", "AWS::S3::BucketPolicy").values()
    allowed = [
        statement["Resource"]
        for policy in policies
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "logging.s3.amazonaws.com"}
    ]
    assert any(f"/{logging['LogFilePrefix']}*" in str(resource) for resource in allowed)
