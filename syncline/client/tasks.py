"""Running several things at once, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def together(jobs: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """All results, in order. The first failure is raised, once the others are cancelled and have ended."""

    async def run(job: Callable[[], Awaitable[T]]) -> T:
        return await job()

    tasks = [asyncio.create_task(run(job)) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        await cancelled(tasks)
        raise


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, however they do."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def each(jobs: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """All results, in order, but a failure (the first) is raised only when all have ended: work done is kept."""
    results = await asyncio.gather(*(job() for job in jobs), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def to_the_end(job: Callable[[], T]) -> T:
    """Run a blocking call in a worker thread; when cancelled, wait for it first: it may use what we would close."""
    running = asyncio.ensure_future(asyncio.to_thread(job))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
