"""A collector of traces: takes what is exported by OTLP over HTTP, and remembers it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Collected:
    """One span. Ids in hex; ``parent`` "" for a root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, str]


class Collector:
    """What came in, and all of it as it came."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Collected] = []
        self.wire = b""

    def take(self, wire: bytes) -> None:
        self.wire += wire
        for told in ExportTraceServiceRequest.FromString(wire).resource_spans:
            resource = {one.key: one.value.string_value for one in told.resource.attributes}
            for scope in told.scope_spans:
                self.spans += [
                    Collected(
                        resource["service.name"],
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        tuple(link.trace_id.hex() for link in span.links),
                        {one.key: one.value.string_value for one in span.attributes},
                    )
                    for span in scope.spans
                ]

    def of(self, trace: str) -> list[Collected]:
        return [span for span in self.spans if span.trace == trace]

    def hops(self, trace: str) -> set[tuple[str, str]]:
        """Which services did what in a trace."""
        return {(span.service, span.name) for span in self.of(trace)}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_ignored: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
