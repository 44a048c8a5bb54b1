"""Traces as tests see them: real spans of OpenTelemetry's SDK, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, StaticSampler

from syncline.otlp import OtelTracing
from syncline.ports import tracing

ALL: Sampler = ParentBased(StaticSampler(Decision.RECORD_AND_SAMPLE))
NONE: Sampler = ParentBased(StaticSampler(Decision.DROP))


class Traces:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found

    def clear(self) -> None:
        self._exporter.clear()


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def parent_of(span: ReadableSpan) -> int:
    return span.parent.span_id if span.parent else 0


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def linked_traces(span: ReadableSpan) -> list[int]:
    return [link.context.trace_id for link in span.links]


@contextmanager
def traced(sampler: Sampler = ALL) -> Iterator[Traces]:
    """Trace what is done inside."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = tracing.use(OtelTracing(provider))
    try:
        yield Traces(exporter)
    finally:
        tracing.use(before)
        provider.shutdown()
