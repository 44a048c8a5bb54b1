"""Rows, conditions and writes as DynamoDB's requests spell them.

Names always travel as ``#n0`` and values as ``:v0``, so no attribute can be a reserved word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncline.aws.names import table_name
from syncline.domain.errors import Broken
from syncline.ports.tables import (
    Absent,
    Below,
    Check,
    Condition,
    Delete,
    Equals,
    Exists,
    Key,
    Put,
    Row,
    Update,
    Value,
)

Item = dict[str, dict[str, Any]]
Request = dict[str, Any]


def to_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    raise Broken(f"A row holds str, int, bool or bytes, not {type(value).__name__}")


def from_value(value: Mapping[str, Any]) -> Value:
    ((kind, content),) = value.items()
    if kind == "N":
        return int(content)
    if kind in ("S", "BOOL", "B"):
        result: Value = content
        return result
    raise Broken(f"A row holds a value of the type {kind}, which Syncline never writes")


def to_item(row: Row) -> Item:
    return {name: to_value(value) for name, value in row.items()}


def from_item(item: Mapping[str, Mapping[str, Any]]) -> Row:
    return {name: from_value(value) for name, value in item.items()}


def to_key(key: Key) -> Item:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def key_of(row: Row) -> Key:
    pk, sk = row.get("pk"), row.get("sk")
    if not isinstance(pk, str) or not isinstance(sk, str):
        raise Broken(f"A row needs the strings pk and sk, not {pk!r} and {sk!r}")
    return Key(pk, sk)


class Expression:
    """Gathers the names and values that the expressions of one request use."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, dict[str, Any]] = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: Value) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = to_value(value)
        return placeholder

    def condition(self, when: Condition) -> str:
        match when:
            case Absent():
                return f"attribute_not_exists({self.name('pk')})"
            case Exists():
                return f"attribute_exists({self.name('pk')})"
            case Equals(values=values):
                equal = [f"{self.name(name)} = {self.value(value)}" for name, value in values.items()]
                return " AND ".join([f"attribute_exists({self.name('pk')})", *equal])
            case Below(attribute=attribute, limit=limit):
                name = self.name(attribute)
                return f"attribute_not_exists({name}) OR {name} < {self.value(limit)}"

    def update(self, operation: Update) -> str:
        sets = [f"{self.name(name)} = {self.value(value)}" for name, value in operation.set.items()]
        adds = [f"{self.name(name)} {self.value(amount)}" for name, amount in operation.add.items()]
        if not sets and not adds:
            raise Broken(f"An update of {operation.key} sets nothing and adds nothing")
        if set(operation.set) & set(operation.add):
            raise Broken(f"An update of {operation.key} sets and adds to one attribute")
        set_part = f"SET {', '.join(sets)}" if sets else ""
        add_part = f"ADD {', '.join(adds)}" if adds else ""
        return f"{set_part} {add_part}".strip()

    def members(self) -> Request:
        request: Request = {}
        if self._names:
            request["ExpressionAttributeNames"] = {alias: name for name, alias in self._names.items()}
        if self._values:
            request["ExpressionAttributeValues"] = self._values
        return request


def to_request(stack: str, operation: Put | Update | Delete | Check) -> Request:
    """The members of PutItem, UpdateItem, DeleteItem or of one member of TransactWriteItems."""
    expression = Expression()
    request: Request = {"TableName": table_name(stack, operation.table)}
    if isinstance(operation, Put):
        request["Item"] = to_item(operation.row)
    else:
        request["Key"] = to_key(operation.key)
    if isinstance(operation, Update):
        request["UpdateExpression"] = expression.update(operation)
    if operation.when is not None:
        request["ConditionExpression"] = expression.condition(operation.when)
    return request | expression.members()
