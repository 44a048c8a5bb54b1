"""What a request says that policies ask about and MiniStack (1.5.33) does not look at: rows, senders, preconditions.

Pure. What cannot be read for sure is `UNREADABLE`, which no pattern of ours matches: a statement with a condition on
it then does not allow the request.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from typing import Any

import msgspec

PARTITION_KEY = "pk"
UNREADABLE = ""
# The single-item action that each member of a transaction's item is authorized as.
TRANSACTION_ACTIONS = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "Get": "dynamodb:GetItem",
}

_NAME = re.compile(r"[:#\w.]+")
_EQUATED = re.compile(r"([#\w.]+)\s*=\s*(:\w+)")

Row = dict[str, Any]


class _Batch(msgspec.Struct):
    Keys: list[Row] = []


class _Asked(msgspec.Struct):
    """The members of DynamoDB's requests that say which rows are meant."""

    TableName: str = ""
    Key: Row | None = None
    Item: Row | None = None
    KeyConditionExpression: str | None = None
    ExpressionAttributeNames: dict[str, str] = {}
    ExpressionAttributeValues: Row = {}
    RequestItems: dict[str, _Batch | list[dict[str, Row]]] = {}


class _Transaction(msgspec.Struct):
    TransactItems: list[dict[str, _Asked]]


_asked = msgspec.json.Decoder(_Asked)
_transaction = msgspec.json.Decoder(_Transaction)


def partition_keys(body: bytes) -> dict[str, list[str]] | None:
    """The partition keys a request names, by table as it names it; None when the body cannot be read.

    A request for a table as a whole has none. Transactions: see `transaction_rows`.
    """
    try:
        asked = _asked.decode(body)
    except msgspec.DecodeError:
        return None
    if asked.TableName:
        keys = list(_of_one(asked))
        return {asked.TableName: keys} if keys else {}
    return {table: list(_of_batch(batch)) for table, batch in asked.RequestItems.items()}


def transaction_rows(body: bytes) -> list[tuple[str, str, str]]:
    """(action, table, partition key) of each item of a transaction, in order; none when the body cannot be read."""
    try:
        items = _transaction.decode(body).TransactItems
    except msgspec.DecodeError:
        return []
    return [
        (TRANSACTION_ACTIONS[member], asked.TableName, key)
        for item in items
        for member, asked in item.items()
        if member in TRANSACTION_ACTIONS
        for key in list(_of_one(asked)) or [UNREADABLE]
    ]


def sender_of(request: bytes) -> str:
    """The address a mail for SES (`SendEmail`, version 2) is from; `UNREADABLE` when it names several."""
    try:
        mail = msgspec.json.decode(request)
        content = mail.get("Content", {})
        named = [mail["FromEmailAddress"]] if "FromEmailAddress" in mail else []
        if "Raw" in content:
            headers = BytesHeaderParser().parsebytes(base64.b64decode(content["Raw"]["Data"]))
            named += headers.get_all("From", [])
    except (msgspec.DecodeError, binascii.Error, AttributeError, KeyError, TypeError):
        return UNREADABLE
    addresses = {address for _, address in getaddresses(named)}
    return addresses.pop() if len(addresses) == 1 else UNREADABLE


def is_raw_mail(request: bytes) -> bool:
    """Whether a mail for SES comes as MIME, which AWS authorizes as `ses:SendRawEmail`."""
    try:
        return "Raw" in msgspec.json.decode(request)["Content"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return False


def write_conditions(query: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, str]:
    """S3's condition keys of a request that is authorized as `s3:PutObject`.

    Beginning a multipart upload and sending its parts make no object yet.
    Source: "Enforce conditional writes on Amazon S3 buckets".
    """
    creates = "uploads" not in query and "partNumber" not in query
    conditions = {"s3:ObjectCreationOperation": "true" if creates else "false"}
    for name in ("if-none-match", "if-match"):
        if name in headers:
            conditions[f"s3:{name}"] = headers[name]
    return conditions


def _of_one(asked: _Asked) -> Iterator[str]:
    for row in (asked.Key, asked.Item):
        if row is not None:
            yield _key_of(row)
    if asked.KeyConditionExpression is not None:
        yield _equated(asked.KeyConditionExpression, asked.ExpressionAttributeNames, asked.ExpressionAttributeValues)


def _of_batch(batch: _Batch | list[dict[str, Row]]) -> Iterator[str]:
    if isinstance(batch, _Batch):
        yield from map(_key_of, batch.Keys)
        return
    for entry in batch:
        for request in entry.values():
            row = request.get("Item", request.get("Key"))
            yield _key_of(row) if isinstance(row, dict) else UNREADABLE


def _key_of(row: Row) -> str:
    return _text(row.get(PARTITION_KEY))


def _text(value: Any) -> str:
    if isinstance(value, dict) and isinstance(text := value.get("S"), str) and len(value) == 1:
        return text
    return UNREADABLE


def _equated(expression: str, names: Mapping[str, str], values: Row) -> str:
    """The value that a key condition demands of the partition key, which it must name once."""
    mentions = [name for name in _NAME.findall(expression) if names.get(name, name) == PARTITION_KEY]
    found = [value for name, value in _EQUATED.findall(expression) if names.get(name, name) == PARTITION_KEY]
    if len(mentions) != 1 or len(found) != 1:
        return UNREADABLE
    return _text(values.get(found[0]))
