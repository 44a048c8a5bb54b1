"""Every call of AWS, seen by one hook in botocore's events: counted, timed, and a span where there is a trace."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from syncline.aws.errors import ANSWERED_NO, THROTTLED
from syncline.ports import tracing
from syncline.ports.tracing import NO_SPAN, Span, SpanKind

Client = Any
_BEGUN = "syncline-begun"


class CallResult(StrEnum):
    """How a call ended, its repetitions included."""

    OK = "ok"
    NO = "no"  # a condition that did not hold, or nothing there: an answer like any other
    THROTTLED = "throttled"
    FAILED = "failed"
    AWAY = "away"  # no answer


class CallObserver(Protocol):
    """Hears of every call. ``api`` is the service's name for itself ("dynamodb"), ``operation`` as in its
    documentation."""

    def called(self, api: str, operation: str, result: CallResult, seconds: float) -> None: ...

    def throttled(self, api: str, operation: str) -> None:
        """One attempt was throttled; it may be repeated and succeed."""
        ...

    def cache_gave_up(self) -> None:
        """A call of the cache got no answer."""
        ...

    def clock_ahead(self, seconds: float) -> None:
        """An answer says that our clock is so far ahead of AWS's; below zero: behind it."""
        ...


class Unobserved:
    def called(self, api: str, operation: str, result: CallResult, seconds: float) -> None: ...

    def throttled(self, api: str, operation: str) -> None: ...

    def cache_gave_up(self) -> None: ...

    def clock_ahead(self, seconds: float) -> None: ...


class _Begun(msgspec.Struct, frozen=True):
    operation: str
    at: float
    span: Span


class CallWatch:
    """The hook for one service's clients."""

    def __init__(self, api: str, observer: CallObserver) -> None:
        self._api = api
        self._observer = observer

    def register(self, client: Client) -> None:
        events = client.meta.events
        events.register("before-call", self._before)
        events.register("after-call", self._after)
        events.register("after-call-error", self._failed)
        events.register("needs-retry", self._attempted)

    def _before(self, *, model: Any, context: dict[str, Any], **_more: object) -> None:
        span: Span = NO_SPAN
        if tracing.current():
            attributes = {"rpc.system": "aws-api", "rpc.service": self._api, "rpc.method": model.name}
            span = tracing.begin(f"{self._api} {model.name}", SpanKind.CLIENT, attributes=attributes)
        context[_BEGUN] = _Begun(model.name, time.monotonic(), span)

    def _after(self, *, parsed: Mapping[str, Any], context: dict[str, Any], **_more: object) -> None:
        told = parsed.get("ResponseMetadata", {})
        code = str(parsed.get("Error", {}).get("Code", ""))
        result = _result(code, told.get("HTTPStatusCode", 0))
        self._end(context, result, code, told.get("RetryAttempts", 0))
        ahead_s = _clock_ahead_s(told.get("HTTPHeaders", {}).get("date", ""), time.time())
        if ahead_s is not None:
            self._observer.clock_ahead(ahead_s)

    def _failed(self, *, exception: Exception, context: dict[str, Any], **_more: object) -> None:
        self._end(context, CallResult.AWAY, type(exception).__name__, 0)

    def _attempted(self, *, response: Any, operation: Any, **_more: object) -> None:
        code = response[1].get("Error", {}).get("Code", "") if response is not None else ""
        if code in THROTTLED:
            self._observer.throttled(self._api, operation.name)

    def _end(self, context: dict[str, Any], result: CallResult, code: str, retries: int) -> None:
        begun: _Begun | None = context.pop(_BEGUN, None)
        if begun is None:
            return
        self._observer.called(self._api, begun.operation, result, time.monotonic() - begun.at)
        if retries:
            begun.span.set({"aws.retries": retries})
        if result not in (CallResult.OK, CallResult.NO):
            begun.span.fail(code)
        begun.span.end()


def _clock_ahead_s(date: str, now_s: float) -> float | None:
    """``date`` is the header, cut to whole seconds; None for what is no date."""
    try:
        there_s = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    ahead_s = now_s - there_s
    return ahead_s if ahead_s < 0 else max(0.0, ahead_s - 1.0)


def _result(code: str, status: int) -> CallResult:
    if not code and status < 300:
        return CallResult.OK
    if code in THROTTLED:
        return CallResult.THROTTLED
    return CallResult.NO if code in ANSWERED_NO or status == 304 else CallResult.FAILED
