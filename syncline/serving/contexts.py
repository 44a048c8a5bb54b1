"""Trace contexts from outside: taken up within limits, since whoever asks may write anything there."""

from __future__ import annotations

import time
from collections.abc import Callable

from syncline.domain.traceparent import clean_traceparent, is_sampled, unsampled

SAMPLED_PER_S = 20
"""So many requests a second of one process are recorded because their askers want it; the others go unrecorded."""


class OutsideContexts:
    """The contexts that clients name. Only so many of them a second get what they ask for."""

    def __init__(self, *, per_s: int = SAMPLED_PER_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._monotonic = monotonic
        self._second = -1
        self._taken = 0

    def take(self, text: str) -> str:
        """The context to go on in: "" for what is none, one that is not recorded when there were too many."""
        context = clean_traceparent(text)
        if not is_sampled(context):
            return context
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return context if self._taken <= self._per_s else unsampled(context)
