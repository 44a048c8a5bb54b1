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
        self._throttles = metrics.counter("aws_throttles", "Attempts that AWS throttled.", operation)
        self._gave_up = metrics.counter("cache_failures", "Calls of the cache that were given up.")

    def called(self, api: str, operation: str, result: str, seconds: float) -> None:
        self._calls.labels(api, operation, result).inc()
        self._seconds.labels(api, operation).observe(seconds)

    def throttled(self, api: str, operation: str) -> None:
        self._throttles.labels(api, operation).inc()

    def cache_gave_up(self) -> None:
        self._gave_up.inc()
