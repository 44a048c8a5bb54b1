"""Names and paths: what is stored, what is refused, and how a conflict copy is called.

Names are stored and compared in Unicode NFC, case-sensitive. A path is names joined by "/"; "" is the root.
"""

from __future__ import annotations

import re
import unicodedata

from syncline.domain.errors import Refused

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1_024
MAX_EXTENSION_BYTES = 48
"""A longer "extension" is taken for a part of the name."""
MAX_DEVICE_NAME_BYTES = 64
"""As much of a device's name as a conflict copy carries."""

_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_WINDOWS_FORBIDDEN = '<>:"|?*\\'
_UNFIT_FOR_A_NAME = re.compile(r"[/\x00-\x1f\x7f]")


def clean_name(text: str) -> str:
    """The name as it is stored: NFC. Raises ``Refused("bad-name")`` when no file can have it.

    At most 255 UTF-8 bytes, not empty, without "/" or NUL, neither "." nor "..".
    """
    name = unicodedata.normalize("NFC", text)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Refused("bad-name", f"{text!r} cannot be the name of a file or folder; choose another.")
    if len(_utf8(name)) > MAX_NAME_BYTES:
        raise Refused("bad-name", f"The name {_shown(text)} is longer than {MAX_NAME_BYTES} bytes; shorten it.")
    return name


def clean_path(text: str) -> str:
    """The path as it is stored: clean names joined by "/", without one at either end; "" is the root.

    Raises ``Refused("bad-name")`` for a bad name in it, ``Refused("bad-path")`` beyond 1,024 UTF-8 bytes.
    """
    path = "/".join(clean_name(name) for name in split_path(text.strip("/")))
    if len(path.encode()) > MAX_PATH_BYTES:
        raise Refused("bad-path", f"The path {_shown(text)} is longer than {MAX_PATH_BYTES} bytes; shorten it.")
    return path


def split_path(path: str) -> list[str]:
    """The names of a path from the root down; none for the root."""
    return path.split("/") if path else []


def join_path(*parts: str) -> str:
    """The path made of paths and names; empty parts add nothing."""
    return "/".join(part for part in parts if part)


def hard_to_hold(name: str) -> str | None:
    """Why some systems cannot hold a file of this name, or None. Such names are reported, never changed.

    Source: Microsoft, "Naming Files, Paths, and Namespaces".
    """
    if _WINDOWS_DEVICES.fullmatch(name.split(".", 1)[0].rstrip(" ")):
        return "Windows keeps this name for a device"
    if name.endswith((".", " ")):
        return "Windows drops a dot or space at the end of a name"
    if any(ord(character) < 32 for character in name):
        return "Windows allows no control characters in names"
    forbidden = sorted({character for character in name if character in _WINDOWS_FORBIDDEN})
    if forbidden:
        return f"Windows allows no {' '.join(forbidden)} in names"
    return None


def conflict_name(name: str, date: str, device_name: str, n: int) -> str:
    """The n-th name for a conflict copy of ``name``: ``plan (conflict 2026-11-23 alice-laptop).ods``.

    From the second on the number follows the device. The result is a clean name: the stem is shortened, at a
    character, to keep it within 255 bytes; the last extension stays.
    """
    stem, extension = _split_extension(name)
    device = _UNFIT_FOR_A_NAME.sub("-", unicodedata.normalize("NFC", device_name)).strip() or "unknown device"
    number = f" {n}" if n > 1 else ""
    mark = f" (conflict {date} {_shorten(device, MAX_DEVICE_NAME_BYTES)}{number})"
    room = MAX_NAME_BYTES - len(mark.encode()) - len(extension.encode())
    return clean_name(_shorten(stem, room) + mark + extension)


_CONFLICT_NAME = re.compile(r"(.*) \(conflict (\d{4}-\d\d-\d\d .*)\)((?:\.[^.]*)?)", re.DOTALL)


def settled_name(name: str, n: int = 1) -> str:
    """The n-th name for a conflict copy that is to stay a file of its own: ``plan (2026-11-23 alice-laptop).ods``.

    One whose name does not show that it is a conflict copy gets a number: ``plan 2.ods``.
    """
    found = _CONFLICT_NAME.fullmatch(name)
    stem, extension = _split_extension(name) if found is None else (f"{found[1]} ({found[2]})", found[3])
    number = n + 1 if found is None else n
    mark = f" {number}" if number > 1 else ""
    room = MAX_NAME_BYTES - len((mark + extension).encode())
    return clean_name(_shorten(stem, room) + mark + extension)


def name_before_conflict(name: str) -> str:
    """The name that a conflict copy was made for, as far as its own shows: ``plan.ods``."""
    found = _CONFLICT_NAME.fullmatch(name)
    return clean_name(found[1] + found[3]) if found and found[1] + found[3] not in ("", ".", "..") else name


def _split_extension(name: str) -> tuple[str, str]:
    dot = name.rfind(".")
    extension = name[dot:]
    if dot <= 0 or len(extension.encode()) > MAX_EXTENSION_BYTES:
        return name, ""
    return name[:dot], extension


def _shorten(text: str, room_bytes: int) -> str:
    """As many whole characters from the start as fit; what cannot be encoded is dropped."""
    return text.encode(errors="ignore")[:room_bytes].decode(errors="ignore")


def _utf8(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise Refused("bad-name", f"{name!r} is not valid Unicode; rename the file.") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
