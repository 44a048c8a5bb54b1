"""Spans of requests and queue work, and what is done with the contexts that outsiders name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, strategies as st
from opentelemetry.trace import StatusCode

from syncline.domain.errors import Broken, Refused
from syncline.domain.traceparent import (
    clean_traceparent,
    format_traceparent,
    is_sampled,
    parse_traceparent,
    trace_id_of,
    unsampled,
)
from syncline.memory.clock import ManualClock
from syncline.memory.queues import MemoryQueues
from syncline.otlp import configure_tracing, is_wanted
from syncline.ports import tracing
from syncline.ports.queues import Message, Queue
from syncline.serving.consumer import Batch, Consumer, each
from syncline.serving.contexts import OutsideContexts
from syncline.serving.http import Handler, make_app
from syncline.serving.logging import configure_logging, get_logger
from syncline.serving.metrics import Metrics
from tests.traces import NONE, Traces, id_of, linked_traces, parent_of, trace_of, traced

CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
NAME = "Gehaltsliste.ods"


@pytest.fixture
def traces() -> Iterator[Traces]:
    with traced() as found:
        yield found


# -- contexts ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_a_context_survives_the_wire(trace: int, span: int, flags: int) -> None:
    text = format_traceparent(trace, span, flags)
    assert clean_traceparent(text) == text
    assert parse_traceparent(text) == (trace, span, flags)
    assert trace_id_of(text) == f"{trace:032x}"
    assert is_sampled(text) == bool(flags & 1)
    assert not is_sampled(unsampled(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        CONTEXT + "\n",
        CONTEXT + "-more",
        CONTEXT.upper(),
        CONTEXT.replace("00-", "01-", 1),
        CONTEXT.replace("00-", "ff-", 1),
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        CONTEXT.replace("4", "\uff14", 1),
        CONTEXT.replace("-01", "-0g"),
        "x" * 55,
    ],
)
def test_what_is_no_context_is_none(text: str) -> None:
    assert clean_traceparent(text) == ""


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert clean_traceparent(text) in ("", text)


def test_only_so_many_a_second_are_recorded_because_their_askers_want_it() -> None:
    now = 100.0
    contexts = OutsideContexts(per_s=2, monotonic=lambda: now)
    assert [contexts.take(CONTEXT) for _ in range(3)] == [CONTEXT, CONTEXT, unsampled(CONTEXT)]
    assert contexts.take(unsampled(CONTEXT)) == unsampled(CONTEXT)
    now = 101.0
    assert contexts.take(CONTEXT) == CONTEXT


# -- requests ---------------------------------------------------------------------------------------------------------


async def ask(handler: Handler, context: str = "") -> int:
    app = make_app(Metrics("t"))
    app.router.add_get("/v1/files/{name}", handler)
    async with TestClient(TestServer(app)) as client:
        headers = {"traceparent": context} if context else {}
        response = await client.get(f"/v1/files/{NAME}", headers=headers)
        await client.get("/metrics")
        return response.status


async def answer(_request: web.Request) -> web.Response:
    return web.Response()


async def test_a_request_is_a_span_in_the_trace_that_its_asker_names(traces: Traces) -> None:
    assert await ask(answer, CONTEXT) == 200
    (span,) = traces.spans
    assert (span.name, trace_of(span), parent_of(span)) == ("GET /v1/files/{name}", TRACE, 0x00F067AA0BA902B7)
    assert NAME not in span.to_json()


@pytest.mark.parametrize("context", ["", "rubbish", unsampled(CONTEXT) + "1"])
async def test_a_request_without_a_context_begins_a_trace(traces: Traces, context: str) -> None:
    with tracing.span("the asker's own"):
        await ask(answer, context)
    span = traces.one("GET /v1/files/{name}")
    assert parent_of(span) == 0


async def test_who_asks_not_to_be_recorded_is_not(traces: Traces) -> None:
    await ask(answer, unsampled(CONTEXT))
    assert traces.spans == []


@pytest.mark.parametrize(
    ("error", "status"), [(Broken(f"{NAME} is damaged"), 500), (KeyError(NAME), 500), (Refused("no", NAME), 400)]
)
async def test_a_failure_is_told_without_its_text(traces: Traces, error: Exception, status: int) -> None:
    async def fail(_request: web.Request) -> web.Response:
        raise error

    assert await ask(fail) == status
    (span,) = traces.spans
    assert (span.status.status_code is StatusCode.ERROR) == (status == 500)
    assert NAME not in span.to_json()


async def test_a_line_of_the_log_names_the_trace(traces: Traces, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("t")

    async def log(_request: web.Request) -> web.Response:
        get_logger().info("here")
        return web.Response()

    await ask(log, CONTEXT)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["event"]: line.get("trace") for line in lines} == {
        "here": trace_id_of(CONTEXT),
        "request": trace_id_of(CONTEXT),
    }


# -- queues -----------------------------------------------------------------------------------------------------------


class Work:
    """A queue and its consumer."""

    def __init__(self, *, batches: bool) -> None:
        clock = ManualClock()
        self.queues = MemoryQueues(clock)
        self.seen: list[str] = []
        handle = self._batch if batches else each(self._message)
        self.consumer = Consumer(self.queues, Queue.SYNC, handle, clock=clock, metrics=Metrics("t"))

    async def _batch(self, batch: Batch) -> None:
        self.seen.append(tracing.current_trace_id())

    async def _message(self, message: Message) -> None:
        self.seen.append(tracing.current_trace_id())


async def sent_in(work: Work, *names: str) -> list[int]:
    """The traces in which a message each was sent."""
    traces: list[int] = []
    for name in names:
        with tracing.span(name):
            await work.queues.send(Queue.SYNC, name.encode())
            traces.append(int(tracing.current_trace_id(), 16))
    return traces


async def test_a_message_is_handled_in_the_trace_that_sent_it(traces: Traces) -> None:
    work = Work(batches=False)
    sent = await sent_in(work, "a", "b")
    await work.consumer.run_once()
    assert [int(seen, 16) for seen in work.seen] == sent
    assert trace_of(traces.one("sync process")) == sent[0]
    (second,) = traces.named("message")
    assert (parent_of(second), linked_traces(second)) == (id_of(traces.one("b")), [sent[0]])


async def test_a_batch_goes_on_in_its_first_trace_and_is_linked_to_the_others(traces: Traces) -> None:
    work = Work(batches=True)
    sent = await sent_in(work, "a", "b", "c")
    await work.consumer.run_once()
    span = traces.one("sync process")
    assert (trace_of(span), linked_traces(span)) == (sent[0], sent[1:])


async def test_a_message_keeps_its_trace_among_the_dead_and_back(traces: Traces) -> None:
    work = Work(batches=True)
    (sent,) = await sent_in(work, "a")
    (message,) = await work.queues.receive(Queue.SYNC, wait_s=0)
    await work.queues.set_aside(Queue.SYNC, message, "why")
    await work.queues.redrive(Queue.SYNC)
    await work.consumer.run_once()
    assert work.seen == [f"{sent:032x}"]


# -- where nothing is recorded ----------------------------------------------------------------------------------------


async def test_what_nobody_records_is_handed_on_and_not_kept() -> None:
    with traced(NONE) as traces, tracing.span("root"):
        assert clean_traceparent(tracing.current())
        assert tracing.recorded() == ""
        assert traces.spans == []


def test_without_a_collector_there_is_no_tracing() -> None:
    assert not tracing.is_on()
    with tracing.span("nothing") as span:
        span.set({"a": 1})
        assert tracing.current() == ""


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_variables_say_whether_there_are_traces(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted


def test_nothing_of_opentelemetry_is_loaded_where_it_is_not_asked_for() -> None:
    program = (
        "import sys; from syncline.otlp import configure_tracing; configure_tracing('t', {});"
        "import services.gateway.app, syncline.client.cli.app;"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_who_wants_traces_without_the_libraries_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    wanted = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
    with pytest.raises(Broken, match=r"pip install 'syncline\[tracing\]'"):
        configure_tracing("t", wanted)
    configure_tracing("t", wanted, optional=True)
    assert not tracing.is_on(), "a client goes on without"


def command(environ: dict[str, str]) -> tuple[int, str, str]:
    """What a command of a client that nobody is signed in at says."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SYNCLINE_"))}
    words = [sys.executable, "-m", "syncline.client.cli", "whoami"]
    done = subprocess.run(words, env=inherited | environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_collector_that_is_away_changes_nothing_that_a_command_says(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        home = {"SYNCLINE_HOME": str(tmp_path)}
        assert command(home | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) == command(home)


@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_off"])
def test_opentelemetrys_own_variables_say_what_is_recorded(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    before = tracing.use(tracing.NoTracing())
    try:
        configure_tracing("t", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
        with tracing.span("root"):
            assert tracing.current()
            assert tracing.recorded() == ""
    finally:
        tracing.use(before)
