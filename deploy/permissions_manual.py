"""`python -m deploy.permissions_manual > docs/permissions.md`: who may do what, as tables for an auditor."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from deploy.definition import OPERATOR, define
from deploy.names import Names
from deploy.permissions import Statement, of_instance, of_operator_on_aws

ABOUT = """\
# Who may do what

Generated from [`deploy/permissions.py`](../deploy/permissions.py), which the embedded stack, compose and AWS take their
policies from: `python -m deploy.permissions_manual > docs/permissions.md`. A test uses everything once and fails when
one of these permissions is missing, or is needed by nothing (`tests/e2e/test_least_privilege.py`, with the few
exceptions that only rare failures need). Rows are bound by their partition keys; `*` stands for anything."""

CLIENT_ABOUT = """\
The most that a client's credential can do. Each is issued for 15 minutes under a session policy that leaves a part of
it: writing below one grant's prefix, reading below one library's."""

EVERYBODY_ABOUT = "What the bucket refuses everybody, the stack's own identities among them."

# Names that say what they are; the region and account are in every ARN and left out.
_NAMES = Names(region="REGION", account="ACCOUNT", bucket="BUCKET", stack="STACK")


def manual() -> str:
    """The whole document, as Markdown."""
    definition = define(_NAMES, mail_from="SENDER@example.com")
    parts = [ABOUT]
    for identity in definition.identities:
        parts.append(f"## {identity.name}\n\n{_table(identity.policy['Statement'])}")
        is_operator = identity.service == OPERATOR
        on_aws = of_operator_on_aws(_NAMES) if is_operator else of_instance(identity.service, _NAMES)
        parts.append(f"On AWS besides:\n\n{_table(on_aws['Statement'])}")
    role = definition.client_role
    parts.append(f"## {role.name}\n\n{CLIENT_ABOUT}\n\n{_table(role.policy['Statement'])}")
    parts.append(f"## The bucket\n\n{EVERYBODY_ABOUT}\n\n{_table(definition.bucket.policy_aws['Statement'])}")
    return "\n\n".join(parts) + "\n"


def _table(statements: Iterable[Statement]) -> str:
    rows = ["| what for | actions | on | only where |", "|---|---|---|---|"]
    for one in statements:
        cells = (one["Sid"], _lines(_many(one["Action"])), _lines(map(_short, _many(one["Resource"]))), _where(one))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _where(statement: Statement) -> str:
    conditions = statement.get("Condition", {})
    return _lines(
        f"{key} {_operator(operator)} {' or '.join(map(str, _many(values)))}"
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _operator(operator: str) -> str:
    return {"ForAllValues:StringLike": "like", "StringEquals": "is", "Bool": "is"}.get(operator, operator)


def _short(arn: str) -> str:
    """An ARN without what all of them share."""
    return arn.removeprefix("arn:aws:").replace(":REGION:ACCOUNT:", ":").replace(":::", ":")


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _lines(values: Iterable[str]) -> str:
    return "<br>".join(f"`{value}`" for value in values)


if __name__ == "__main__":
    sys.stdout.write(manual())
