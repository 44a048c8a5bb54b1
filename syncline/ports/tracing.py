"""Tracing: what happened when, and because of what, across processes, queues and hours.

Like logging it is there for everybody without being handed around: ``use`` says once, when a process starts, where
spans go, and until then nothing is made. Contexts travel as ``traceparent`` (``syncline/domain/traceparent.py``), ""
being none. Spans carry ids, counts and kinds of errors, never names of files, nor an error's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from typing import Protocol

from syncline.domain.traceparent import clean_traceparent, is_sampled, trace_id_of

LINKS_MAX = 32
"""A span has no more links: the first ones."""

Attributes = Mapping[str, str | int | float | bool]
NO_ATTRIBUTES: Attributes = {}


class SpanKind(Enum):
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """Something that takes time."""

    def set(self, attributes: Attributes) -> None: ...

    def link(self, traceparent: str) -> None:
        """It has to do with that, too. What is no context is passed over."""
        ...

    def fail(self, kind: str) -> None:
        """It did not succeed; ``kind`` is the error's class or code."""
        ...

    def end(self) -> None: ...


class Tracing(Protocol):
    def begin(self, name: str, kind: SpanKind, *, parent: str, links: Sequence[str], attributes: Attributes) -> Span:
        """A span below ``parent``, or when that is "" below the current one (a server's or consumer's: below none).
        Not made the current one."""
        ...

    def within(self, span: Span) -> AbstractContextManager[None]:
        """``span`` is the current one inside, and ends with it; failed with what is raised."""
        ...

    def current(self) -> str:
        """The context of the current span; "" without one."""
        ...


class NoSpan:
    def set(self, attributes: Attributes) -> None: ...

    def link(self, traceparent: str) -> None: ...

    def fail(self, kind: str) -> None: ...

    def end(self) -> None: ...


class NoTracing:
    """Nothing is traced."""

    def begin(self, name: str, kind: SpanKind, *, parent: str, links: Sequence[str], attributes: Attributes) -> Span:
        return NO_SPAN

    def within(self, span: Span) -> AbstractContextManager[None]:
        return nullcontext()

    def current(self) -> str:
        return ""


NO_SPAN = NoSpan()
_tracing: Tracing = NoTracing()


def use(tracing: Tracing) -> Tracing:
    """From now on trace by this; what was used before."""
    global _tracing
    before, _tracing = _tracing, tracing
    return before


def is_on() -> bool:
    return not isinstance(_tracing, NoTracing)


def current() -> str:
    """The context to hand on; "" where nothing is traced."""
    return _tracing.current()


def recorded() -> str:
    """The context to keep for later readers: only of a trace that somebody will find."""
    context = _tracing.current()
    return context if is_sampled(context) else ""


def current_trace_id() -> str:
    return trace_id_of(_tracing.current())


def begin(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str = "",
    links: Sequence[str] = (),
    attributes: Attributes = NO_ATTRIBUTES,
) -> Span:
    """A span that its maker ends, and that nothing is below of."""
    around = [link for link in map(clean_traceparent, links) if link]
    return _tracing.begin(name, kind, parent=clean_traceparent(parent), links=around[:LINKS_MAX], attributes=attributes)


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str = "",
    links: Sequence[str] = (),
    attributes: Attributes = NO_ATTRIBUTES,
) -> Iterator[Span]:
    """A span around what is done inside. ``parent`` puts it into another trace than the current one."""
    begun = begin(name, kind, parent=parent, links=links, attributes=attributes)
    with _tracing.within(begun):
        yield begun


def span_for(
    context: str, name: str, kind: SpanKind = SpanKind.INTERNAL, *, attributes: Attributes = NO_ATTRIBUTES
) -> AbstractContextManager[Span]:
    """A span in the trace of ``context``, linked to what is being done now if that is of another one; without a
    context it is a part of what is being done now."""
    here = current()
    elsewhere = trace_id_of(context) != trace_id_of(here)
    return span(name, kind, parent=context, links=[here] if context and elsewhere else (), attributes=attributes)


@contextmanager
def span_within(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, attributes: Attributes = NO_ATTRIBUTES
) -> Iterator[Span]:
    """A span only where there is one already: what a process does by itself all the time makes no traces."""
    if not _tracing.current():
        yield NO_SPAN
        return
    with span(name, kind, attributes=attributes) as begun:
        yield begun


def first_and_others(contexts: Sequence[str]) -> tuple[str, list[str]]:
    """Of what a batch came from: the one it goes on in, and those it is linked to."""
    different = list(dict.fromkeys(context for context in contexts if context))
    return (different[0], different[1:]) if different else ("", [])
