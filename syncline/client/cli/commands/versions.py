"""history."""

from __future__ import annotations

from pathlib import Path

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.local_paths import EITHER_PATH, meant
from syncline.client.cli.output import columns, name_text, size_text, time_text
from syncline.client.cli.remote import RemotePath, find_node, versions_of
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.messages.api import Library, NodeState, VersionState

LISTED = 50


@command(
    "history",
    examples=[
        "syncline history ~/Shared/notes.txt",
        "syncline history Shared:notes.txt",
        "syncline history Shared:@{node id of a removed file}",
    ],
)
@click.argument("path", metavar="FILE", type=EITHER_PATH)
@click.option("--limit", "-n", type=click.IntRange(min=1), default=LISTED, show_default=True, help="At most so many.")
async def history(call: Call, path: RemotePath | Path, limit: int) -> Answer:
    """List the versions of a file.

    FILE is a file in a linked folder, or LIBRARY:PATH. The newest version comes first; syncline restore FILE --version
    makes an older one current again. A file that was removed has a history too: name it as it was called here, or by
    its id, LIBRARY:@NODE, which rm tells. What this client itself did with a file, syncline log tells.
    """
    async with call.api() as api:
        library, path = await meant(call, api, path)
        node = await find_file(api, library, path)
        versions, more = await _newest(api, library, node, limit)
        people = {member.account: member.name for member in await api.members(library.id)}
    current = "" if node.removed or node.version is None else node.version.id
    rows = [_row(version, people, current) for version in versions]
    text = columns(rows, header=("version", "when", "size", "by", ""), right=frozenset({2}))
    if more:
        text += f"\n(and older ones: syncline history -n {limit * 10} …)"
    return Answer({"library": library.id, "node": node, "versions": versions, "more": more}, text)


async def find_file(api: Api, library: Library, path: RemotePath) -> NodeState:
    """As ``find_node``; raises ``Refused("not-a-file")`` for a folder."""
    return only_file(path, await find_node(api, library, path))


def only_file(path: RemotePath, node: NodeState) -> NodeState:
    if node.kind is not Kind.FILE:
        raise Refused("not-a-file", f"{name_text(str(path))} is a folder; only files have versions.", status=409)
    return node


async def _newest(api: Api, library: Library, node: NodeState, limit: int) -> tuple[list[VersionState], bool]:
    """At most ``limit`` versions, newest first, and whether there are more."""
    found: list[VersionState] = []
    async for version in versions_of(api, library, node):
        if len(found) == limit:
            return found, True
        found.append(version)
    return found, False


def _row(version: VersionState, people: dict[str, str], current: str) -> tuple[str, ...]:
    return (
        version.id,
        time_text(version.at_ms / 1000),
        size_text(version.size_bytes),
        name_text(people.get(version.account, version.account)),
        "current" if version.id == current else "",
    )
