"""What finds needless permissions: it never blames one that is needed, and misses none that is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from deploy.definition import Definition, define
from deploy.local.authorization import FROM_ADDRESS, LEADING_KEYS
from deploy.local.used_actions import KINDS_MAX, Request, UsedActions, read, who_is
from deploy.names import Names
from tests.e2e.privileges import Permission, is_allowed, needless, permissions_of, policies_of, without

NAMES = Names(region="us-east-1", account="000000000000", bucket="files", stack="teal")


def definition() -> Definition:
    return define(NAMES, mail_from="Syncline <mail@example.com>")


POLICIES = policies_of(definition())
ALL = sorted(permissions_of(POLICIES))


def statement_of(permission: Permission) -> dict[str, Any]:
    [found] = [one for one in POLICIES[permission.who]["Statement"] if one["Sid"] == permission.sid]
    return dict(found)


def request_for(permission: Permission) -> Request:
    """A request that this permission is for."""
    statement = statement_of(permission)
    keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get(LEADING_KEYS, ["row#*"])
    if not permission.action:
        action, resource, key = statement["Action"][0], statement["Resource"][0], permission.resource
    else:
        action, resource, key = permission.action, permission.resource, keys[0]
    context: dict[str, Any] = {FROM_ADDRESS: "mail@example.com"} if action.startswith("ses:") else {}
    if action.startswith("dynamodb:"):
        context = {LEADING_KEYS: [key.replace("*", "x")]}
    return Request(permission.who, action, resource.replace("*", "x"), context, True)


def test_statements_are_told_apart_by_their_sids():
    for policy in POLICIES.values():
        sids = [statement["Sid"] for statement in policy["Statement"]]
        assert len(set(sids)) == len(sids)


def test_where_everything_is_done_nothing_is_needless():
    assert needless(POLICIES, [request_for(one) for one in ALL]) == set()


@given(st.sampled_from(ALL))
def test_without_its_permission_a_request_is_denied(permission):
    request = request_for(permission)
    assert is_allowed(POLICIES[permission.who], request)
    assert not is_allowed(without(POLICIES[permission.who], permission), request)


@given(st.sampled_from([one for one in ALL if one.action]), st.data())
def test_taking_one_away_takes_no_other(permission, data):
    others = [one for one in ALL if one.who == permission.who and one.action not in ("", permission.action)]
    other = data.draw(st.sampled_from(others))
    assert is_allowed(without(POLICIES[permission.who], permission), request_for(other))


@given(st.sampled_from([one for one in ALL if one.action]))
def test_what_nobody_did_is_needless(permission):
    done = [request_for(one) for one in ALL]
    rest = [one for one in done if (one.who, one.action) != (permission.who, permission.action)]
    assert permission in needless(POLICIES, rest)


def test_what_was_denied_shows_no_need():
    refused = [Request(one.who, one.action, one.resource, one.context, False) for one in map(request_for, ALL)]
    assert needless(POLICIES, refused) == set(ALL)


def test_requests_are_kept_by_their_kind(tmp_path):
    used = UsedActions(tmp_path / "used")
    user, session = "arn:aws:iam::1:user/teal-gateway", "arn:aws:sts::1:assumed-role/teal-client/grant-1"
    for key in ("head#a", "head#b", "journal#a"):
        used(user, "dynamodb:GetItem", "arn:table", {LEADING_KEYS: [key], "dynamodb:Select": "ALL"}, True)
    for name in ("objects/a/b", "objects/a/c", "direct/a/b"):
        used(session, "s3:GetObject", f"arn:aws:s3:::files/{name}", {}, False)
    kept = list(read(tmp_path / "used"))
    assert [request.context.get(LEADING_KEYS) for request in kept] == [["head#a"], ["journal#a"], None, None]
    assert [request.who for request in kept] == ["teal-gateway"] * 2 + ["teal-client"] * 2
    assert [request.allowed for request in kept] == [True, True, False, False]
    assert (tmp_path / "used").stat().st_mode & 0o077 == 0


def test_kinds_are_bounded(tmp_path):
    used = UsedActions(tmp_path / "used")
    used._kinds.update((str(n),) for n in range(KINDS_MAX))
    with pytest.raises(OSError, match="kinds"):
        used("arn:aws:iam::1:user/teal-gateway", "sqs:SendMessage", "arn", {}, True)


def test_who_is_asking_is_named_as_in_iam():
    assert who_is("arn:aws:sts::1:assumed-role/teal-client/grant-1") == "teal-client"
