"""Trace contexts on the wire: W3C's ``traceparent``, version 00 (https://www.w3.org/TR/trace-context/).

Whoever asks may write anything there, so it is read strictly, and what does not fit is no context at all.
"""

from __future__ import annotations

import re

TRACEPARENT = "traceparent"
"""The name of the header, of the attribute of queue messages, and of the metadata of objects."""
TRACEPARENT_BYTES = 55

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_SAMPLED = 1


def clean_traceparent(text: str) -> str:
    """The context if the text is one, else ""."""
    return text if len(text) == TRACEPARENT_BYTES and _FORM.fullmatch(text) else ""


def format_traceparent(trace_id: int, span_id: int, flags: int) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"


def parse_traceparent(traceparent: str) -> tuple[int, int, int]:
    """(trace id, span id, flags) of a clean context."""
    _, trace_id, span_id, flags = traceparent.split("-")
    return int(trace_id, 16), int(span_id, 16), int(flags, 16)


def trace_id_of(traceparent: str) -> str:
    """The trace's id as logs and viewers write it; "" where there is no context."""
    return traceparent[3:35]


def is_sampled(traceparent: str) -> bool:
    """Whether the trace is being recorded."""
    return bool(traceparent) and bool(int(traceparent[-2:], 16) & _SAMPLED)


def unsampled(traceparent: str) -> str:
    """The same context, asking nobody to record it."""
    return f"{traceparent[:-2]}00" if traceparent else ""
