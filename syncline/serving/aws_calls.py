"""What a service's calls of AWS and of the cache took, and how they ended, as metrics."""

from __future__ import annotations

from syncline.serving.metrics import Metrics


class AwsCalls:
    """Hears of every call (``syncline.aws.calls.CallObserver``)."""

    def __init__(self, metrics: Metrics) -> None:
        operation = ("api", "operation")
        self._calls = metrics.counter(
            "aws_calls", "Calls of AWS by how they ended, repetitions included.", (*operation, "result")
        )
        self._seconds = metrics.histogram("aws_call_seconds", "Time of a call of AWS, repetitions included.", operation)
        self.throttles = metrics.counter("aws_throttles", "Attempts that AWS throttled.", operation)
        self._gave_up = metrics.counter("cache_failures", "Calls of the cache that were given up.")
        self._clock = metrics.gauge("aws_clock_ahead_seconds", "How far our clock was ahead of AWS's at the last call.")
        self.clock_ahead_s: float | None = None

    def called(self, api: str, operation: str, result: str, seconds: float) -> None:
        self._calls.labels(api, operation, result).inc()
        self._seconds.labels(api, operation).observe(seconds)

    def throttled(self, api: str, operation: str) -> None:
        self.throttles.labels(api, operation).inc()

    def cache_gave_up(self) -> None:
        self._gave_up.inc()

    def clock_ahead(self, seconds: float) -> None:
        self._clock.set(seconds)
        self.clock_ahead_s = seconds
