"""What DynamoDB says of a row: which are well formed, and how large each is.

Source: "DynamoDB item sizes and formats" and "Quotas" in the DynamoDB developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncline.domain.errors import Broken
from syncline.ports.tables import Key, Row, Value

MAX_ROW_BYTES = 400 * 1024
MAX_PK_BYTES = 2048
MAX_SK_BYTES = 1024
MAX_NUMBER_DIGITS = 38


def value_size_bytes(value: Value) -> int:
    if isinstance(value, bool):
        return 1
    if isinstance(value, int):
        # A byte per two significant digits, and one; a sign costs one more.
        digits = len(str(abs(value)).rstrip("0"))
        return (digits + 1) // 2 + 1 + (value < 0)
    return len(value.encode()) if isinstance(value, str) else len(value)


def row_size_bytes(row: Row | None) -> int:
    """Names and values together; 0 for no row."""
    if row is None:
        return 0
    return sum(len(name.encode()) + value_size_bytes(value) for name, value in row.items())


def key_of(row: Row) -> Key:
    """The row's key. Raises ``Broken`` when it has none that a table takes."""
    pk, sk = row.get("pk"), row.get("sk")
    if not isinstance(pk, str) or not isinstance(sk, str):
        raise Broken(f"A row needs the strings pk and sk, not {pk!r} and {sk!r}")
    check_key(Key(pk, sk))
    return Key(pk, sk)


def check_key(key: Key) -> None:
    if not 0 < len(key.pk.encode()) <= MAX_PK_BYTES or not 0 < len(key.sk.encode()) <= MAX_SK_BYTES:
        raise Broken(f"The key {key} is empty or longer than {MAX_PK_BYTES} and {MAX_SK_BYTES} bytes")


def check_row(row: Row) -> None:
    """Raises ``Broken`` for a row that no table takes: its key, a value's type, its size."""
    key = key_of(row)
    check_values(row)
    if (size := row_size_bytes(row)) > MAX_ROW_BYTES:
        raise Broken(f"The row {key} has {size} bytes, more than {MAX_ROW_BYTES}")


def check_values(values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        if not isinstance(value, str | int | bytes):
            raise Broken(f"The attribute {name!r} holds a {type(value).__name__}, not str, int, bool or bytes")
        if isinstance(value, int) and len(str(abs(value)).rstrip("0")) > MAX_NUMBER_DIGITS:
            raise Broken(f"The number in {name!r} has more than {MAX_NUMBER_DIGITS} significant digits")
