"""The daemon's ear: a socket that only its user can reach, a request a connection, answered in lines of JSON."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from syncline.client.cli.failures import problem_of, problem_text
from syncline.client.cli.output import Answer, one_line
from syncline.client.daemon.protocol import Request, decode_request
from syncline.domain.errors import SynclineError

REQUEST_BYTES_MAX = 1024 * 1024
REQUEST_S_MAX = 10.0
CONNECTIONS_MAX = 64

Say = Callable[[dict[str, Any]], None]
Answers = Callable[[Request, Say], Awaitable[Answer]]


@asynccontextmanager
async def listening(path: str, answers: Answers) -> AsyncIterator[None]:
    """Answer requests at ``path`` while the block runs. A socket left there by a process that was killed is replaced:
    the caller holds the home's lock, so nobody listens at it."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(connections) < CONNECTIONS_MAX:
                connections.add(task)
                task.add_done_callback(connections.discard)
                await _converse(reader, writer, answers)
        finally:
            writer.close()

    mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(connected, path, limit=REQUEST_BYTES_MAX)
    finally:
        os.umask(mask)
    try:
        yield
    finally:
        server.close()
        with suppress(FileNotFoundError):
            os.unlink(path)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers) -> None:
    """One request and its answer; whoever asked may go away at any time, and what they asked for is given up."""

    def say(line: dict[str, Any]) -> None:
        writer.write(msgspec.json.encode(line) + b"\n")

    try:
        line = await asyncio.wait_for(reader.readline(), REQUEST_S_MAX)
        answering = asyncio.create_task(_answer(line, answers, say))
        gone = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                say(await answering)
                await writer.drain()
        finally:
            for task in (answering, gone):
                task.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)
    except (OSError, ValueError, TimeoutError):
        return


async def _answer(line: bytes, answers: Answers, say: Say) -> dict[str, Any]:
    try:
        answer = await answers(decode_request(line), say)
    except SynclineError as error:
        return refusal(error)
    except Exception as error:  # noqa: BLE001 - told to whoever asked; the daemon goes on
        return refusal(error)
    return {
        "answer": {
            "document": answer.document,
            "text": answer.text,
            "complaints": [one_line(complaint) for complaint in answer.complaints],
            "exit": int(answer.exit),
            "chatty": answer.chatty,
        }
    }


def refusal(error: Exception) -> dict[str, Any]:
    problem = problem_of(error)
    return {"problem": problem, "said": problem_text(problem)}
