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
    "first 10 of the trash",
    "a folder as it was",
    "restore a file",
    "rewind, a dry run",
    "purge a removed file",
    "purge, a dry run",
    "retention",
    "my usage",
    "usage of a library",
    "devices",
    "groups",
    "invite somebody",
    "audit log of a library",
)

GROWING = ("rewind, a dry run", "audit log of a library")
"""What they read is as large as what they are asked about: a folder's tree at two times, the commits on a page."""


async def cost_of(what: str, others: int) -> Counts:
    """The cost of one request to a library that holds ``others`` files, of an account that made requests before."""
    counts = Counts()
    async with running_world(counts=counts) as world:
        alice = await world.person("alice")
        library = await alice.library()
        files = await fill(alice, library, others)
        seq = (await alice.ask("GET", f"/v1/libraries/{library}"))[1]["seq"]
        await alice.commit(library, {"op": "remove", "node": files[-1], "base_seq": seq})
        # Rows, not the overlay, are what a library at rest is read from.
        await world.decider.write_views(library)
        method, path, body = request(what, library, files[0], world.new_id(), files[-1])
        await alice.ask("GET", f"/v1/libraries/{library}")
        counts.reset()
        status, answer = await alice.ask(method, path, body)
        assert status in (200, 202, 302), answer
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


def request(what: str, library: str, node: str, new: str, gone: str) -> tuple[str, str, Any]:
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
        "first 10 of the trash": ("GET", f"{here}/trash?limit=10", None),
        "a folder as it was": ("GET", f"{here}/folders/{library}/children?limit=10&at=1", None),
        "restore a file": ("POST", f"{here}/nodes/{gone}/restore", {}),
        "rewind, a dry run": ("POST", f"{here}/nodes/{library}/rewind", {"at": "3", "dry_run": True}),
        "purge a removed file": ("POST", f"{here}/purge", {"node": gone}),
        "purge, a dry run": ("POST", f"{here}/purge", {"dry_run": True}),
        "retention": ("PUT", f"{here}/retention", {"versions_days": 30}),
        "my usage": ("GET", "/v1/me/usage", None),
        "usage of a library": ("GET", f"{here}/usage", None),
        "devices": ("GET", "/v1/devices", None),
        "groups": ("GET", "/v1/groups", None),
        "invite somebody": ("POST", f"{here}/members", {"email": "carol@example.org", "role": "viewer"}),
        "audit log of a library": ("GET", f"{here}/audit?limit=10", None),
    }
    return requests[what]


@pytest.mark.parametrize("what", [what for what in REQUESTS if what not in GROWING])
async def test_no_request_costs_more_in_a_larger_library(what: str):
    few, many = await cost_of(what, FEW), await cost_of(what, MANY)
    assert many.calls == few.calls
    assert (many.read_units, many.write_units) == (few.read_units, few.write_units)
    assert many.requests <= 16


@pytest.mark.parametrize("what", GROWING)
async def test_what_reads_more_in_a_larger_library_asks_no_more_often(what: str):
    few, many = await cost_of(what, FEW), await cost_of(what, MANY)
    assert many.calls == few.calls
    assert many.write_units == few.write_units == 0


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
