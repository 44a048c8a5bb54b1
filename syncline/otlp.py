"""Tracing by OpenTelemetry, exported by OTLP over HTTP, configured by OpenTelemetry's own variables.

Only where one of them says where spans go is any of OpenTelemetry imported. The root of a trace is sampled as
``OTEL_TRACES_SAMPLER`` says (all of them unless it is set), everything below it as the root was.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncline import __version__
from syncline.domain.errors import Broken
from syncline.domain.traceparent import clean_traceparent, format_traceparent, parse_traceparent
from syncline.ports import tracing
from syncline.ports.tracing import Attributes, Span, SpanKind

if TYPE_CHECKING:
    from opentelemetry import trace as otel
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
EXPORT_S = 3.0
"""A collector that is away keeps the end of a process waiting no longer, unless its variable says otherwise."""
ATTRIBUTE_CHARACTERS_MAX = 256
ARRIVING = (SpanKind.SERVER, SpanKind.CONSUMER)
"""Without a context that came with it, such a span begins a trace, whatever the task that takes it in belongs to."""


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the variables say that there are traces, and where they go."""
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exported = environ.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
    return exported and not disabled and any(environ.get(name) for name in ENDPOINTS)


def configure_tracing(service: str, environ: Mapping[str, str] = os.environ, *, optional: bool = False) -> None:
    """Trace from now on, as ``service``, if the variables ask for it.

    Raises ``Broken`` when they do and OpenTelemetry is not installed, unless that is ``optional``.
    """
    if not is_wanted(environ):
        return
    try:
        tracing.use(OtelTracing(_provider(service, environ)))
    except Broken:
        if not optional:
            raise


def _provider(service: str, environ: Mapping[str, str]) -> TracerProvider:
    """Spans wait in a bounded queue and are sent by a thread of its own; what is left goes when the process ends."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        variable = next(name for name in ENDPOINTS if environ.get(name))
        detail = f"{variable} is set, but tracing is not installed. Run: pip install 'syncline[tracing]'"
        raise Broken(f"{detail} ({error.name})") from None
    name = environ.get("OTEL_SERVICE_NAME") or f"syncline-{service}"
    resource = Resource.create({"service.name": name, "service.version": __version__})
    limits = SpanLimits(max_links=tracing.LINKS_MAX, max_attribute_length=ATTRIBUTE_CHARACTERS_MAX)
    # A collector that is away is told in a service's log; a command has none, and its own words on the terminal.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    provider = TracerProvider(resource=resource, span_limits=limits)
    timeout_s = None if any(environ.get(name) for name in TIMEOUTS) else EXPORT_S
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout_s)))
    return provider


class OtelTracing:
    """``Tracing`` on a provider of OpenTelemetry's SDK."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace

        self._otel = trace
        self._tracer = provider.get_tracer("syncline", __version__)
        self._kinds = {kind: trace.SpanKind[kind.name] for kind in SpanKind}

    def begin(self, name: str, kind: SpanKind, *, parent: str, links: Sequence[str], attributes: Attributes) -> Span:
        above = self._otel.set_span_in_context(self._otel.NonRecordingSpan(self._context(parent))) if parent else None
        if above is None and kind in ARRIVING:
            above = self._otel.set_span_in_context(self._otel.INVALID_SPAN)
        begun = self._tracer.start_span(
            name,
            above,
            self._kinds[kind],
            attributes=attributes,
            links=[self._otel.Link(self._context(link)) for link in links if link],
            record_exception=False,
            set_status_on_exception=False,
        )
        return OtelSpan(begun, self)

    @contextmanager
    def within(self, span: Span) -> Iterator[None]:
        assert isinstance(span, OtelSpan)
        with self._otel.use_span(span.span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except Exception as error:
                # Its text may hold names; its class says enough to look into the logs.
                span.fail(type(error).__name__)
                raise

    def current(self) -> str:
        context = self._otel.get_current_span().get_span_context()
        if not context.is_valid:
            return ""
        return format_traceparent(context.trace_id, context.span_id, int(context.trace_flags))

    def _context(self, traceparent: str) -> otel.SpanContext:
        trace_id, span_id, flags = parse_traceparent(traceparent)
        return self._otel.SpanContext(trace_id, span_id, is_remote=True, trace_flags=self._otel.TraceFlags(flags))

    def add_link(self, span: otel.Span, traceparent: str) -> None:
        span.add_link(self._context(traceparent))

    def set_failed(self, span: otel.Span, kind: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(self._otel.StatusCode.ERROR)


class OtelSpan:
    def __init__(self, span: otel.Span, tracing: OtelTracing) -> None:
        self.span = span
        self._tracing = tracing

    def set(self, attributes: Attributes) -> None:
        self.span.set_attributes(attributes)

    def link(self, traceparent: str) -> None:
        if traceparent := clean_traceparent(traceparent):
            self._tracing.add_link(self.span, traceparent)

    def fail(self, kind: str) -> None:
        self._tracing.set_failed(self.span, kind)

    def end(self) -> None:
        self.span.end()
