"""What each request costs in AWS calls and units: the numbers in ARCHITECTURE.md; none grows with the library.

Run ``python -m tests.unit.gateway.test_costs`` to print them. STS's AssumeRole (uploads, downloads) comes on top.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from syncline.memory.counting import Counts
from tests.unit.gateway.world import Person, running_world

FEW, MANY = 5, 150
REQUESTS = (
    "me",
    "list libraries",
    "library",
    "members",
    "permit for 1 file",
    "permits for 100 files",
    "download credential",
    "commit",
    "node by id",
    "node by path",
    "first 10 of a folder",
    "versions",
    "link to the bytes",
    "follow",
)


async def cost_of(what: str, others: int) -> Counts:
    """The cost of one request to a library that holds ``others`` files, of an account that made requests before."""
    counts = Counts()
    async with running_world(counts=counts) as world:
        alice = await world.person("alice")
        library = await alice.library()
        files = await fill(alice, library, others)
        # Rows, not the overlay, are what a library at rest is read from.
        await world.decider.write_views(library)
        method, path, body = request(what, library, files[0], world.new_id())
        await alice.ask("GET", f"/v1/libraries/{library}")
        counts.reset()
        status, answer = await alice.ask(method, path, body)
        assert status in (200, 302), answer
        return counts


async def fill(alice: Person, library: str, others: int) -> list[str]:
    """Files in a folder; their ids."""
    folder = alice.world.new_id()
    await alice.commit(library, {"op": "folder", "node": folder, "parent": library, "name": "papers"})
    intents = [alice.intent(b"%d" % n, parent=folder, name=f"{n}.txt") for n in range(others)]
    status, answer = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": intents})
    assert status == 200
    for n, permitted in enumerate(answer["permits"]):
        await alice.world.objects.put(permitted["key"], b"%d" % n, metadata={"permit": permitted["permit"]})
    await alice.commit(library, *({"op": "add", "permit": permitted["permit"]} for permitted in answer["permits"]))
    return [permitted["node"] for permitted in answer["permits"]]


def request(what: str, library: str, node: str, new: str) -> tuple[str, str, Any]:
    here = f"/v1/libraries/{library}"
    intent = {
        "parent": library,
        "size_bytes": 3,
        "checksum": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
        "mtime_ns": 1,
    }
    requests: dict[str, tuple[str, str, Any]] = {
        "me": ("GET", "/v1/me", None),
        "list libraries": ("GET", "/v1/libraries", None),
        "library": ("GET", here, None),
        "members": ("GET", f"{here}/members", None),
        "permit for 1 file": ("POST", f"{here}/uploads", {"intents": [intent | {"name": "new"}]}),
        "permits for 100 files": (
            "POST",
            f"{here}/uploads",
            {"intents": [intent | {"name": f"new {n}"} for n in range(100)]},
        ),
        "download credential": ("POST", f"{here}/downloads", {}),
        "commit": (
            "POST",
            f"{here}/commits",
            {"requests": [{"op": "folder", "node": new, "parent": library, "name": "new"}]},
        ),
        "node by id": ("GET", f"{here}/nodes/{node}", None),
        "node by path": ("GET", f"{here}/nodes?path=papers/1.txt", None),
        "first 10 of a folder": ("GET", f"{here}/folders/{library}/children?limit=10", None),
        "versions": ("GET", f"{here}/files/{node}/versions", None),
        "link to the bytes": ("GET", f"{here}/files/{node}/content", None),
        "follow": ("PUT", f"{here}/follows/{library}", None),
    }
    return requests[what]


@pytest.mark.parametrize("what", REQUESTS)
async def test_no_request_costs_more_in_a_larger_library(what: str):
    few, many = await cost_of(what, FEW), await cost_of(what, MANY)
    assert many.calls == few.calls
    assert (many.read_units, many.write_units) == (few.read_units, few.write_units)
    assert many.requests <= 16


async def test_permits_cost_no_row_per_file():
    one, hundred = await cost_of("permit for 1 file", FEW), await cost_of("permits for 100 files", FEW)
    assert hundred.write_units == one.write_units == 6
    assert hundred.calls == one.calls


async def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    for what in REQUESTS:
        cost = await cost_of(what, MANY)
        calls = ", ".join(f"{times} {name}" for name, times in sorted(cost.calls.items()))
        print(f"| {what} | {calls} | {cost.read_units:g} | {cost.write_units} |")


if __name__ == "__main__":
    asyncio.run(main())
