"""Doing many reads together, a bounded number at once, with plain errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def together(items: Sequence[T], do: Callable[[T], Awaitable[R]], *, at_once: int) -> list[R]:
    """What ``do`` answers for each item, in order, with at most ``at_once`` of them under way.

    The first error ends the others and is raised as itself, not in a group: callers tell errors apart by kind.
    """
    answers: dict[int, R] = {}
    waiting = iter(enumerate(items))

    async def work() -> None:
        for index, item in waiting:
            answers[index] = await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [answers[index] for index in range(len(items))]
