"""Roles of the services, the operator and the clients, and the signing keys that services read.

What a role may is said in `deploy/permissions.py` alone. Roles are L1 constructs, so that their policies stand in the
template as they stand there.
"""

from __future__ import annotations

import json
import string
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam, aws_secretsmanager as secretsmanager

from deploy import permissions
from deploy.aws.settings import Settings
from deploy.definition import OPERATOR, SERVICES, Definition, Identity

SERVICE_POLICY = "service"
INSTANCE_POLICY = "instance"
OPERATOR_POLICY = "operator"
CLIENT_POLICY = "client"
SIGNING_KINDS = ("permit_keys", "token_keys", "link_keys")
FIRST_KEY = "k1"
# Letters and digits are base64 too: 44 of them are 33 bytes, of some 260 bits that nobody can guess.
SECRET_LETTERS = 44


class IdentityStack(cdk.Stack):
    """`profiles` has the name of each service's instance profile."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._definition = definition
        roles = {identity.service: self._role(identity) for identity in definition.identities}
        self.profiles = {
            service: iam.CfnInstanceProfile(
                self,
                f"{service.title()}Profile",
                instance_profile_name=definition.names.identity(service),
                roles=[roles[service].ref],
            ).ref
            for service in SERVICES
        }
        self._client_role(roles[definition.client_role.trusted_service])
        for kind in SIGNING_KINDS:
            self._signing_key(kind, retained=settings.production)

    def _role(self, identity: Identity) -> iam.CfnRole:
        names = self._definition.names
        if identity.service == OPERATOR:
            trust = permissions.trust_by_account(names)
            policies = {SERVICE_POLICY: identity.policy, OPERATOR_POLICY: permissions.of_operator_on_aws(names)}
        else:
            trust = permissions.trust_by_instances()
            instance = permissions.of_instance(identity.service, names)
            policies = {SERVICE_POLICY: identity.policy, INSTANCE_POLICY: instance}
        return iam.CfnRole(
            self,
            identity.service.title(),
            role_name=identity.name,
            description=f"Syncline: what {identity.service} runs as",
            assume_role_policy_document=trust,
            policies=[
                iam.CfnRole.PolicyProperty(policy_name=name, policy_document=policy)
                for name, policy in policies.items()
            ],
        )

    def _client_role(self, gateway: iam.CfnRole) -> None:
        role, names = self._definition.client_role, self._definition.names
        boundary = iam.CfnManagedPolicy(
            self,
            "ClientBoundary",
            managed_policy_name=names.client_boundary,
            description="Syncline: the most a client's credential can do, whatever is attached to its role later",
            policy_document=role.policy,
        )
        created = iam.CfnRole(
            self,
            "Client",
            role_name=role.name,
            description="Syncline: what clients' credentials are of; a session policy narrows each",
            assume_role_policy_document=permissions.trust_by(names.role_arn(role.trusted_service)),
            max_session_duration=role.session_seconds_max,
            permissions_boundary=boundary.ref,
            policies=[iam.CfnRole.PolicyProperty(policy_name=CLIENT_POLICY, policy_document=role.policy)],
        )
        # A principal that is not there yet is refused.
        created.add_resource_dependency(gateway)

    def _signing_key(self, kind: str, *, retained: bool) -> None:
        secretsmanager.Secret(
            self,
            kind.title().replace("_", ""),
            secret_name=self._definition.names.secret(kind),
            description="Syncline: a signing key; docs/deploy.md says how it is replaced",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"id": FIRST_KEY}),
                generate_string_key="secret",
                password_length=SECRET_LETTERS,
                exclude_punctuation=True,
                exclude_characters=string.punctuation,  # the local AWS knows only this
            ),
            removal_policy=cdk.RemovalPolicy.RETAIN if retained else cdk.RemovalPolicy.DESTROY,
        )
