"""What is in a line of the log, and what never is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, strategies as st

from syncline.domain.errors import Broken, Refused, Temporary
from syncline.memory.clock import ManualClock
from syncline.memory.queues import MemoryQueues
from syncline.ports.queues import Message, Queue
from syncline.serving.consumer import Consumer, each
from syncline.serving.discretion import discreet, discreet_traceback
from syncline.serving.http import DRAINING, make_app
from syncline.serving.logging import clear_context, configure_logging, get_logger
from syncline.serving.metrics import Metrics

NAME = 'Gehaltsliste Müller\'s "neue".ods'
ADDRESS = "erna.mueller@example.org"
ID = "abcdefghijklmnopqrst"


@pytest.fixture(autouse=True)
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logging("t")
    clear_context()
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def told(error: Exception) -> Exception:
    """The error as it comes out of another one."""
    try:
        try:
            raise KeyError(NAME)
        except KeyError as cause:
            raise error from cause
    except Exception as raised:  # noqa: BLE001 - whatever it is
        return raised


ERRORS = [
    Broken(f"The row 'place#{ID}' {NAME!r} has no bytes 'body'"),
    Temporary(f"Write to views: no answer ({FileNotFoundError(2, 'No such file', NAME)})"),
    ValueError(f"not a place: {NAME!r}"),
    KeyError(NAME),
    UnicodeEncodeError("utf-8", NAME, 1, 2, "why"),
    ExceptionGroup("two", [ValueError(NAME.__repr__()), KeyError(NAME)]),
    Broken(f"Send mail to {ADDRESS}: refused"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_errors_of_requests_and_messages_are_told_without_names(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_request: web.Request) -> web.Response:
        raise told(error)

    app = make_app(Metrics("t"))
    app.router.add_get("/v1/{name}", fail)
    async with TestClient(TestServer(app)) as client:
        await client.get(f"/v1/{NAME}", params={"path": NAME})

    clock = ManualClock()
    queues = MemoryQueues(clock)

    async def fail_on(_message: Message) -> None:
        raise told(error)

    await queues.send(Queue.SYNC, b"x")
    await Consumer(queues, Queue.SYNC, each(fail_on), clock=clock, metrics=Metrics("t")).run_once()

    found = capsys.readouterr().err
    assert len(found.splitlines()) >= 3
    for secret in ("Gehaltsliste", "neue", "mueller", "example.org"):
        assert secret not in found


def test_libraries_lines_are_told_without_names_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("t")  # without pytest's own handlers
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved: %r", KeyError(NAME), exc_info=told(ERRORS[0])
    )
    (line,) = lines(capsys)
    assert "Gehaltsliste" not in json.dumps(line, ensure_ascii=False)
    assert "was never retrieved" in line["event"]


def test_what_helps_to_find_the_fault_stays(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger().error("request-failed", exc_info=told(ERRORS[0]))
    (line,) = lines(capsys)
    assert f"'place#{ID}'" in line["exception"]
    assert "raise KeyError(NAME)" in line["exception"]
    assert "Broken: The row" in line["exception"]


def test_an_operator_may_have_the_names_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("t", names=True)
    get_logger().error("request-failed", reason=str(ERRORS[0]))
    assert "Gehaltsliste" in lines(capsys)[0]["reason"]


async def test_a_line_says_which_request_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        raise Refused("no-such-node", f"There is no {NAME!r}.", status=404)

    app = make_app(Metrics("t"))
    app.router.add_get("/v1/{name}", refuse)
    async with TestClient(TestServer(app)) as client:
        await client.get("/v1/x", headers={"X-Request-Id": "my-request-1"})
        await client.get("/v1/x", headers={"X-Request-Id": "'; drop\u00e4"})
    refused, answered, *others = lines(capsys)
    assert {refused["request"], answered["request"]} == {"my-request-1"}
    assert all("drop" not in json.dumps(line) for line in others)
    assert (refused["service"], refused["level"], refused["event"]) == ("t", "info", "request-refused")


@given(st.text(min_size=1))
def test_what_is_quoted_is_left_out_whatever_it_is(text: str) -> None:
    marked = f"Zz{text}zZ"
    assert marked not in discreet(f"The row {marked!r} is damaged.")
    assert "Zz" not in discreet(f"The row {marked!r} is damaged.")[8:]


@given(st.text(max_size=200))
def test_any_text_can_be_told(text: str) -> None:
    assert isinstance(discreet_traceback(text), str)


@pytest.mark.parametrize(
    "text",
    [
        f"Head objects/{ID}/{ID}/{ID}: no answer",
        f"Library '{ID}' moved on",
        f"The row 'journal#{ID}#12' is cut",
        "It isn't there, and won't be.",
        "APPEND_TRIES = 8",
    ],
)
def test_ids_and_words_stay(text: str) -> None:
    assert discreet(text) == text


async def test_to_take_leave_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(Metrics("t"))
    async with TestClient(TestServer(app)) as client:
        app[DRAINING].set()
        assert (await client.get("/readyz")).status == 503
    assert {line["level"] for line in lines(capsys)} == {"info"}
