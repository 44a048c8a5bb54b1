"""How people write lengths of time, times of the day, speeds and sizes."""

from __future__ import annotations

import re

import click

from syncline.client.settings import MINUTES_A_DAY

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}
SIZE_MAX = 1024**6
SLOWEST = 16 * 1024
"""Bytes a second: below this S3 gives up waiting for a body."""


def seconds_of(text: str) -> int:
    """``90s``, ``30m``, ``2h``, ``1d`` or ``1h30m`` in seconds."""
    parts = re.findall(r"(\d+)([smhd])", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower():
        raise click.BadParameter(f"{text} is no length of time; write 30m, 2h or 1d")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def speed_of(text: str) -> int:
    """``500K``, ``1M``, ``1.5M`` (bytes a second, in units of 1,024), ``0``: as fast as can be."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b?(?:/s)?)?", text.strip().lower())
    if not found:
        raise click.BadParameter(f"{text} is no speed; write 500K, 1M or 0 for no limit")
    speed = int(float(found[1]) * _UNITS[found[2]])
    if 0 < speed < SLOWEST:
        raise click.BadParameter(f"{text} is slower than {SLOWEST // 1024}K, below which nothing arrives any more")
    return speed


def size_of(text: str) -> int:
    """``500000``, ``5G``, ``1.5T``, ``20 GiB`` (bytes, in units of 1,024), ``0``."""
    found = re.fullmatch(r"(\d{1,19}(?:\.\d{1,9})?)\s*([kmgtp]?)(?:i?b)?", text.strip().lower(), re.ASCII)
    if not found:
        raise click.BadParameter(f"{text} is no size; write bytes, or 500M, 5G, 1.5T; 0 for no limit.")
    number, unit = found[1], _UNITS[found[2]]
    size = int(float(number) * unit) if "." in number else int(number) * unit
    if size > SIZE_MAX:
        raise click.BadParameter(f"{text} is more than 1,024 PiB; write 0 for no limit.")
    return size


def minutes_of(text: str) -> tuple[int, int]:
    """``08:00-18:00`` as minutes of the day."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)", text.strip())
    hours = [int(part) for part in found.groups()] if found else [99]
    first, last = hours[0] * 60 + hours[1 % len(hours)], hours[-2 % len(hours)] * 60 + hours[-1]
    if not found or hours[1] > 59 or hours[3] > 59 or first >= MINUTES_A_DAY or last > MINUTES_A_DAY:
        raise click.BadParameter(f"{text} is no time of the day; write 08:00-18:00")
    return first, last % MINUTES_A_DAY


def clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
