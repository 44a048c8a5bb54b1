"""What policies ask about in requests: what our own adapters send is read as meant; what is unclear is nobody's."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from deploy.local.request_keys import (
    UNREADABLE,
    is_raw_mail,
    partition_keys,
    sender_of,
    transaction_rows,
    write_conditions,
)
from syncline.aws.rows import Expression, to_item, to_key, to_request
from syncline.ports.tables import Absent, Check, Delete, Exists, Key, Put, Table, Update

STACK = "teal"
keys = st.builds(Key, st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
tables = st.sampled_from(list(Table))
single = st.one_of(
    st.builds(lambda table, key: Put(table, {"pk": key.pk, "sk": key.sk, "n": 1}), tables, keys),
    st.builds(lambda table, key: Update(table, key, set={"pk2": "x"}, when=Exists()), tables, keys),
    st.builds(lambda table, key: Delete(table, key, when=Absent()), tables, keys),
)
members: dict[type, str] = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}


def pk_of(operation: Any) -> str:
    return str(operation.row["pk"]) if isinstance(operation, Put) else str(operation.key.pk)


@given(single)
def test_a_write_names_its_row(operation):
    request = to_request(STACK, operation)
    assert partition_keys(json.dumps(request).encode()) == {request["TableName"]: [pk_of(operation)]}


@given(st.lists(single | st.builds(Check, tables, keys, st.just(Exists())), min_size=1, max_size=9))
def test_a_transaction_names_each_row_under_the_action_of_its_item(operations):
    items = [{members[type(one)]: to_request(STACK, one)} for one in operations]
    found = transaction_rows(json.dumps({"TransactItems": items}).encode())
    actions: dict[type, str] = {Check: "dynamodb:ConditionCheckItem", Put: "dynamodb:PutItem"}
    actions |= {Update: "dynamodb:UpdateItem", Delete: "dynamodb:DeleteItem"}
    assert [(action, pk) for action, _, pk in found] == [(actions[type(one)], pk_of(one)) for one in operations]
    assert [table for _, table, _ in found] == [request["TableName"] for item in items for request in item.values()]


@given(st.dictionaries(st.text(min_size=1), st.lists(keys, max_size=5), max_size=3))
def test_batches_name_their_rows_by_table(wanted):
    reading = {table: {"Keys": [to_key(key) for key in some]} for table, some in wanted.items()}
    writing = {
        table: [{"PutRequest": {"Item": to_item({"pk": key.pk, "sk": key.sk})}} for key in some[:2]]
        + [{"DeleteRequest": {"Key": to_key(key)}} for key in some[2:]]
        for table, some in wanted.items()
    }
    expected = {table: [key.pk for key in some] for table, some in wanted.items()}
    assert partition_keys(json.dumps({"RequestItems": reading}).encode()) == expected
    assert partition_keys(json.dumps({"RequestItems": writing}).encode()) == expected


@given(st.text(), st.sampled_from(["", " AND #n1 BETWEEN :v1 AND :v2", " and sk >= :v1"]))
def test_a_query_names_the_partition_that_it_reads(pk, rest):
    expression = Expression()
    condition = f"{expression.name('pk')} = {expression.value(pk)}{rest}"
    for text in (condition, condition.replace(" = ", "="), f"({condition})"):
        request = {"TableName": "t", "KeyConditionExpression": text, **expression.members()}
        assert partition_keys(json.dumps(request).encode()) == {"t": [pk]}


@pytest.mark.parametrize(
    "condition",
    [
        "pk = :a OR pk = :b",
        "begins_with(pk, :a)",
        "pk > :a",
        "sk = :a",
        ":a = pk",
        "pk = :a AND #p = :b",
        "pk = :c",
        "",
    ],
)
def test_a_query_that_could_mean_several_partitions_means_nobodys(condition):
    values = {":a": {"S": "head#a"}, ":b": {"S": "head#b"}, ":c": {"N": "1"}}
    request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    request |= {"TableName": "t", "ExpressionAttributeNames": {"#p": "pk"}}
    assert partition_keys(json.dumps(request).encode()) == {"t": [UNREADABLE]}


@given(
    st.binary().filter(lambda body: b"{" not in body)
    | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(msgspec.json.encode)
)
def test_a_body_that_cannot_be_read_names_nothing(body):
    assert partition_keys(body) is None
    assert transaction_rows(body) == []


def test_a_table_as_a_whole_has_no_rows():
    assert partition_keys(b'{"TableName": "t", "Limit": 3}') == {}
    assert partition_keys(b'{"Key": {"pk": {"S": "a"}}}') == {}


@pytest.mark.parametrize("key", [{}, {"pk": {"N": "1"}}, {"pk": {"S": "a", "N": "1"}}, {"pk": "a"}, {"pk": None}])
def test_a_row_without_a_string_for_its_partition_is_nobodys(key):
    assert partition_keys(json.dumps({"TableName": "t", "Key": key}).encode()) == {"t": [UNREADABLE]}


def mail(header: str | None, sender: str | None) -> bytes:
    raw = base64.b64encode(f"Subject: x\r\nFrom: {header}\r\n\r\nFrom: body@example.com".encode()).decode()
    content = {"Simple": {}} if header is None else {"Raw": {"Data": raw}}
    return json.dumps({"Content": content} | ({} if sender is None else {"FromEmailAddress": sender})).encode()


@pytest.mark.parametrize(
    ("header", "sender", "found"),
    [
        ("a@example.com", None, "a@example.com"),
        ("Syncline <a@example.com>", "Somebody <a@example.com>", "a@example.com"),
        (None, "a@example.com", "a@example.com"),
        ("b@example.com", "a@example.com", UNREADABLE),
        ("a@example.com, b@example.com", "a@example.com", UNREADABLE),
        (None, None, UNREADABLE),
    ],
)
def test_a_mail_is_from_one_address(header, sender, found):
    assert sender_of(mail(header, sender)) == found
    assert is_raw_mail(mail(header, sender)) == (header is not None)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"Content": {"Raw": {}}}', b'{"Content": {"Raw": {"Data": "!"}}}']
)
def test_a_mail_that_cannot_be_read_is_from_nobody(body):
    assert sender_of(body) == UNREADABLE


@pytest.mark.parametrize(
    ("query", "creates"), [({}, "true"), ({"uploadId": ["1"]}, "true"), ({"uploads": [""]}, "false")]
)
def test_an_object_is_made_by_a_put_and_by_the_end_of_a_multipart_upload(query, creates):
    assert write_conditions(query, {}) == {"s3:ObjectCreationOperation": creates}
    found = write_conditions({"uploadId": ["1"], "partNumber": ["2"]}, {"if-none-match": "*"})
    assert found == {"s3:ObjectCreationOperation": "false", "s3:if-none-match": "*"}
