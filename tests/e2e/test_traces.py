"""One trace from one client's PUT to the other client's download, through everything between, by real processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncline.client.transfer import landing_metadata
from syncline.domain.rights import Role
from syncline.domain.traceparent import trace_id_of
from syncline.ports import tracing
from tests.e2e.collector import Collector, collecting
from tests.e2e.embedded import DIGEST_WINDOW_SECONDS, EmbeddedStack, running_stack
from tests.e2e.people import Person, eventually, person, put, s3_of
from tests.traces import traced

CONTENT = b"what was agreed\n"
NAME = "Protokoll.txt"
QUICK = "OTEL_BSP_SCHEDULE_DELAY=200"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def stack(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    window = f"SYNCLINE_DIGEST_WINDOW_SECONDS={DIGEST_WINDOW_SECONDS}"
    exported = f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}"
    options = [word for setting in (window, exported, QUICK) for word in ("--set", setting)]
    with running_stack(tmp_path_factory.mktemp("traced"), *options) as running:
        yield running


async def syncline(who: Person, collector: Collector, *words: str) -> None:
    """Run the command as somebody, exporting its traces."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SYNCLINE_"))}
    environ |= {"SYNCLINE_HOME": str(who.home.path), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    command = [sys.executable, "-m", "syncline.client.cli", *words]
    done = await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


async def trace_told(who: Person, library: str) -> str:
    """The trace of the library's newest change, as the service tells clients."""
    changes = await eventually(lambda: who.api.changes(library), until=lambda found: found.changes)
    return trace_id_of(changes.changes[-1].trace)


async def test_one_trace_from_the_put_to_the_other_clients_download(
    stack: EmbeddedStack, collector: Collector, tmp_path: Path
):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        await bob.api.follow(library, library)
        hers, his = tmp_path / "hers", tmp_path / "his"
        hers.mkdir()
        (hers / NAME).write_bytes(CONTENT)
        held = asyncio.create_task(bob.api.heads((await bob.api.heads()).token, wait_s=50))

        await syncline(alice, collector, "link", library, str(hers))
        await syncline(alice, collector, "sync", str(hers))
        await asyncio.wait_for(held, 60)
        await syncline(bob, collector, "link", library, str(his))
        await syncline(bob, collector, "sync", str(his))
        assert (his / NAME).read_bytes() == CONTENT

        trace = await trace_told(alice, library)
        wanted = {
            ("syncline-client", "upload"),
            ("syncline-client", "s3 PUT"),
            ("syncline-client", "POST /v1/libraries/{}/commits"),
            ("syncline-gateway", "POST /v1/libraries/{library}/commits"),
            ("syncline-gateway", "sqs SendMessage"),
            ("syncline-metadata", "commits process"),
            ("syncline-metadata", "commit"),
            ("syncline-metadata", "s3 HeadObject"),
            ("syncline-metadata", "dynamodb TransactWriteItems"),
            ("syncline-metadata", "sns Publish"),
            ("syncline-syncer", "sync process"),
            ("syncline-syncer", "wake"),
            ("syncline-notifier", "notify process"),
            ("syncline-client", "download"),
            ("syncline-client", "s3 GET"),
        }
        hops = await eventually(hops_of(collector, trace), until=wanted.__le__)
        assert wanted <= hops
        spans = collector.of(trace)
        assert {span.parent for span in spans} - {span.id for span in spans} == {""}, "a hop is missing between"
        assert len({span.attributes["syncline.node"] for span in spans if span.name == "download"}) == 1

        # The mail about it, and the request that waited for it, are linked to it.
        for name in ("mail", "held"):
            await eventually(links_of(collector, name), until=lambda linked: trace in linked)
        # Nobody who collects traces learns what the files are called, or what is in them.
        assert NAME.encode() not in collector.wire
        assert b"hers" not in collector.wire


async def test_what_nobody_commits_goes_on_in_its_trace_by_s3s_event(
    stack: EmbeddedStack, collector: Collector, tmp_path: Path
):
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        answer, permitted = await alice.permit(library, NAME, CONTENT)
        with traced(), tracing.span("a client that dies after its PUT"):
            trace = tracing.current_trace_id()
            metadata = landing_metadata(permitted.permit)
        async with s3_of(answer.credential) as s3:
            await put(s3, answer.credential, permitted, CONTENT, Metadata=metadata)
        assert await trace_told(alice, library) == trace
        wanted = {("syncline-metadata", "landed"), ("syncline-metadata", "commit"), ("syncline-syncer", "sync process")}
        assert wanted <= await eventually(hops_of(collector, trace), until=wanted.__le__)


def hops_of(collector: Collector, trace: str):
    async def hops() -> set[tuple[str, str]]:
        return collector.hops(trace)

    return hops


def links_of(collector: Collector, name: str):
    async def links() -> set[str]:
        return {link for span in collector.spans if span.name == name for link in span.links}

    return links
