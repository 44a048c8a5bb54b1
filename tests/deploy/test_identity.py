"""Roles: what they may is what `deploy/permissions.py` says, and nothing else."""

from __future__ import annotations

import json

import pytest

from deploy import permissions
from deploy.definition import OPERATOR, SERVICES
from tests.deploy.conftest import Synthesis

INLINE_CHARACTERS_MAX = 10_240
MANAGED_CHARACTERS_MAX = 6_144


def role(synthesis: Synthesis, name: str) -> dict:
    [found] = [
        one["Properties"]
        for one in synthesis.resources("identity", "AWS::IAM::Role").values()
        if one["Properties"]["RoleName"] == name
    ]
    return found


def policies(found: dict) -> list[dict]:
    return [policy["PolicyDocument"] for policy in found["Policies"]]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_what_permissions_say(synthesis: Synthesis, service):
    definition = synthesis.settings.definition()
    [identity] = [one for one in definition.identities if one.service == service]
    found = role(synthesis, identity.name)
    assert policies(found) == [identity.policy, permissions.of_instance(service, definition.names)]
    assert found["AssumeRolePolicyDocument"] == permissions.trust_by_instances()
    assert "ManagedPolicyArns" not in found
    profiles = synthesis.resources("identity", "AWS::IAM::InstanceProfile").values()
    assert identity.name in {one["Properties"]["InstanceProfileName"] for one in profiles}


def test_there_are_no_other_roles(synthesis: Synthesis):
    definition = synthesis.settings.definition()
    names = {one.name for one in definition.identities} | {definition.client_role.name}
    assert {
        one["Properties"]["RoleName"] for one in synthesis.resources("identity", "AWS::IAM::Role").values()
    } == names
    assert not synthesis.resources("identity", "AWS::IAM::User")


def test_no_machine_is_the_operator(synthesis: Synthesis):
    definition = synthesis.settings.definition()
    found = role(synthesis, definition.names.identity(OPERATOR))
    assert found["AssumeRolePolicyDocument"] == permissions.trust_by_account(definition.names)
    [identity] = [one for one in definition.identities if one.service == OPERATOR]
    assert policies(found) == [identity.policy, permissions.of_operator_on_aws(definition.names)]
    assert "ec2" not in json.dumps(found["AssumeRolePolicyDocument"])


def test_only_the_gateway_hands_out_clients_credentials_and_their_bound_stays(synthesis: Synthesis):
    definition = synthesis.settings.definition()
    found = role(synthesis, definition.client_role.name)
    [statement] = found["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": definition.names.role_arn("gateway")}
    assert found["MaxSessionDuration"] == definition.client_role.session_seconds_max
    [(boundary_id, boundary)] = synthesis.resources("identity", "AWS::IAM::ManagedPolicy").items()
    assert found["PermissionsBoundary"] == {"Ref": boundary_id}
    assert boundary["Properties"]["PolicyDocument"] == definition.client_role.policy
    actions = {action for one in definition.client_role.policy["Statement"] for action in one["Action"]}
    assert not [action for action in actions if "Delete" in action or "*" in action]


@pytest.mark.parametrize("service", SERVICES)
def test_a_machine_reads_no_other_service_s_secrets_images_or_logs(synthesis: Synthesis, service):
    names = synthesis.settings.definition().names
    resources = {
        resource
        for statement in permissions.of_instance(service, names)["Statement"]
        for resource in statement["Resource"]
    }
    others = [other for other in SERVICES if other != service]
    assert not [one for one in resources for other in others if names.identity(other) in one or f"/{other}" in one]
    kinds = set(permissions.SIGNING_KEYS["gateway"]) - set(permissions.SIGNING_KEYS[service])
    assert not [one for one in resources for kind in kinds if names.secret(kind) in one]


def test_policies_are_as_small_as_iam_takes(synthesis: Synthesis):
    for one in synthesis.resources("identity", "AWS::IAM::Role").values():
        whole = sum(
            len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) for policy in one["Properties"]["Policies"]
        )
        assert whole <= INLINE_CHARACTERS_MAX, one["Properties"]["RoleName"]
    for one in synthesis.resources("identity", "AWS::IAM::ManagedPolicy").values():
        assert len(json.dumps(one["Properties"]["PolicyDocument"], separators=(",", ":"))) <= MANAGED_CHARACTERS_MAX


def test_signing_keys_are_made_by_aws_and_outlive_the_stack_in_production(trial: Synthesis, production: Synthesis):
    for synthesis, kept in ((trial, "Delete"), (production, "Retain")):
        names = synthesis.settings.definition().names
        secrets = synthesis.resources("identity", "AWS::SecretsManager::Secret").values()
        kinds = {kind for kinds in permissions.SIGNING_KEYS.values() for kind in kinds}
        assert {one["Properties"]["Name"] for one in secrets} == {names.secret(kind) for kind in kinds}
        for one in secrets:
            generated = one["Properties"]["GenerateSecretString"]
            assert generated["GenerateStringKey"] == "secret"
            assert generated["ExcludePunctuation"] is True
            # Letters and digits, four of which are three bytes of base64: at least the 32 that a service wants.
            assert generated["PasswordLength"] % 4 == 0
            assert generated["PasswordLength"] * 3 // 4 >= 32
            assert one["DeletionPolicy"] == kept
