"""Which of the permissions that a stack grants are needed for what it was seen to do. Pure.

Decisions are MiniStack's own evaluator's, as in the stack itself. A permission is one action on one resource of a
statement, or one pattern of its partition keys; it is needed when without it something that was done would be denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from deploy.definition import Definition
from deploy.local.authorization import LEADING_KEYS
from deploy.local.used_actions import Request
from deploy.permissions import Document, Statement

Policies = Mapping[str, Document]
_FOR_ALL = "ForAllValues:StringLike"


@dataclass(frozen=True, order=True)
class Permission:
    """One action on one resource of the statement `sid` of `who`; for a pattern of keys `action` is empty."""

    who: str
    sid: str
    action: str
    resource: str

    def __str__(self) -> str:
        what = self.action or "keys"
        return f"{self.who} {self.sid}: {what} {self.resource}"


def policies_of(definition: Definition) -> dict[str, Document]:
    """The policy of each identity and of the clients' role, by its name in IAM."""
    found = {identity.name: identity.policy for identity in definition.identities}
    return found | {definition.client_role.name: definition.client_role.policy}


def permissions_of(policies: Policies) -> Iterator[Permission]:
    """Every permission that the policies grant."""
    for who, policy in policies.items():
        for statement in policy["Statement"]:
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    yield Permission(who, statement["Sid"], action, resource)
            for pattern in _key_patterns(statement):
                yield Permission(who, statement["Sid"], "", pattern)


def is_allowed(policy: Document, request: Request) -> bool:
    """Whether the policy allows the request, by itself."""
    context = EvalContext(
        principal_arn=request.who,
        principal_type="User",
        principal_account="000000000000",
        action=request.action,
        resource_arn=request.resource,
        region="us-east-1",
        service_context={name.lower(): value for name, value in request.context.items()},
    )
    return bool(evaluate(context, [parse_policy_document(policy)]).decision == "Allow")


def needless(policies: Policies, requests: Iterable[Request]) -> set[Permission]:
    """The permissions without which all the requests that are allowed would be allowed still."""
    by_who: dict[str, list[Request]] = {}
    for request in requests:
        by_who.setdefault(request.who, []).append(request)
    found = set()
    for permission in permissions_of(policies):
        poorer = without(policies[permission.who], permission)
        relevant = [
            request
            for request in by_who.get(permission.who, [])
            if request.allowed and (not permission.action or request.action == permission.action)
        ]
        if all(is_allowed(poorer, request) for request in relevant):
            found.add(permission)
    return found


def without(policy: Document, permission: Permission) -> Document:
    """The policy with that permission taken away, and no other."""
    left: list[Statement] = []
    for statement in policy["Statement"]:
        if statement["Sid"] != permission.sid:
            left.append(statement)
        elif permission.action:
            left += _without_action(statement, permission)
        else:
            poorer = deepcopy(statement)
            poorer["Condition"][_FOR_ALL][LEADING_KEYS].remove(permission.resource)
            left.append(poorer)
    return {**policy, "Statement": left}


def _without_action(statement: Statement, permission: Permission) -> Iterator[Statement]:
    """The statement in two: the other actions on all its resources, and the action on its other resources."""
    others = [action for action in statement["Action"] if action != permission.action]
    elsewhere = [resource for resource in statement["Resource"] if resource != permission.resource]
    # MiniStack takes an empty list for no bound at all.
    if others:
        yield {**statement, "Action": others}
    if elsewhere:
        yield {**statement, "Action": [permission.action], "Resource": elsewhere}


def _key_patterns(statement: Statement) -> list[Any]:
    found: list[Any] = statement.get("Condition", {}).get(_FOR_ALL, {}).get(LEADING_KEYS, [])
    return found
