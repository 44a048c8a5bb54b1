"""Every call of AWS is counted, timed, and a span of the trace in which it is made."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.trace import StatusCode

from syncline.aws import Aws, Settings, connect, tables
from syncline.domain.errors import ConditionFailed, Temporary
from syncline.ports import tracing
from syncline.ports.tables import Absent, Key, Put, Table
from syncline.serving.aws_calls import AwsCalls
from syncline.serving.metrics import Metrics
from tests.traces import id_of, parent_of, traced

KEY = Key("a", "Budget.ods")
ROW = {"pk": "a", "sk": "Budget.ods"}
Answer = tuple[int, dict[str, str]]
OK: Answer = (200, {})
CONDITION_FAILED = (400, {"__type": "ConditionalCheckFailedException"})
THROTTLED = (400, {"__type": "ThrottlingException"})
DENIED = (400, {"__type": "AccessDeniedException", "message": "not on Budget.ods"})


class Service:
    """Answers what is in ``answers`` in order, then OK; None breaks the connection off."""

    def __init__(self) -> None:
        self.answers: deque[Answer | None] = deque()
        self.metrics = Metrics("t")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        answer = self.answers.popleft() if self.answers else OK
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        body = json.dumps(answer[1])
        return web.Response(text=body, status=answer[0], content_type="application/x-amz-json-1.0")

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"syncline_t_{name}", labels) or 0.0

    def calls(self, operation: str) -> dict[str, float]:
        """How many calls of an operation ended how."""
        results = ("ok", "no", "throttled", "failed", "away")
        told = {
            one: self.counted("aws_calls_total", api="dynamodb", operation=operation, result=one) for one in results
        }
        return {result: count for result, count in told.items() if count}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def aws(service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aws]:
    monkeypatch.setattr(tables, "PAUSE_S", 0.001)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    app = web.Application()
    app.router.add_post("/", service.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        settings = Settings.from_environ(
            {
                "AWS_ENDPOINT_URL": str(server.make_url("/")).rstrip("/"),
                "AWS_DEFAULT_REGION": "us-east-1",
                "SYNCLINE_STACK": "s",
            }
        )
        async with connect(settings, AwsCalls(service.metrics)) as connected:
            yield connected


async def test_a_call_is_counted_and_timed_once_however_often_it_was_tried(aws: Aws, service: Service) -> None:
    service.answers.extend([None, THROTTLED])
    await aws.tables.get(Table.VIEWS, KEY)
    assert service.calls("GetItem") == {"ok": 1}
    assert service.counted("aws_throttles_total", api="dynamodb", operation="GetItem") == 1
    assert service.counted("aws_call_seconds_count", api="dynamodb", operation="GetItem") == 1


async def test_how_a_call_ended(aws: Aws, service: Service) -> None:
    service.answers.extend([CONDITION_FAILED])
    with pytest.raises(ConditionFailed):
        await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    service.answers.extend([DENIED])
    with pytest.raises(Exception, match="AccessDenied"):
        await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    service.answers.extend([None])
    with pytest.raises(Temporary):
        await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    service.answers.extend([THROTTLED] * tables.MAX_ATTEMPTS)
    with pytest.raises(Temporary):
        await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    assert service.calls("PutItem") == {"no": 1, "failed": 1, "away": 1, "throttled": tables.MAX_ATTEMPTS}


async def test_a_call_is_a_span_of_its_trace_without_what_it_was_about(aws: Aws, service: Service) -> None:
    with traced() as traces:
        await aws.tables.get(Table.VIEWS, KEY)
        assert traces.spans == [], "what a process does by itself makes no traces"
        service.answers.extend([THROTTLED])
        with tracing.span("asking"):
            await aws.tables.get(Table.VIEWS, KEY)
            service.answers.extend([DENIED])
            with pytest.raises(Exception, match="AccessDenied"):
                await aws.tables.get(Table.VIEWS, KEY)
    good, bad = traces.named("dynamodb GetItem")
    assert parent_of(good) == parent_of(bad) == id_of(traces.one("asking"))
    assert good.attributes is not None
    assert good.attributes["aws.retries"] == 1
    assert (good.status.status_code, bad.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert all("Budget" not in span.to_json() for span in traces.spans)
