"""ls."""

from __future__ import annotations

import click

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.output import columns, name_text, size_text, time_text
from syncline.client.cli.remote import REMOTE_PATH, RemotePath, children_of, find_library, find_node
from syncline.domain.nodes import Kind
from syncline.messages.api import NodeState


@command("ls", examples=["syncline ls", "syncline ls Shared:", "syncline ls -l Shared:docs"])
@click.argument("path", metavar="[LIBRARY:PATH]", type=REMOTE_PATH, required=False)
@click.option("-l", "--long", "details", is_flag=True, help="Size, time and version too.")
async def ls(call: Call, path: RemotePath | None, details: bool) -> Answer:
    """List a folder of a library, or your libraries.

    Folders end with "/", files that can be run with "*". Times are local.
    """
    async with call.api() as api:
        if path is None:
            libraries = sorted(await api.libraries(), key=lambda one: (one.name.casefold(), one.id))
            return Answer({"libraries": libraries}, "\n".join(f"{name_text(one.name)}:" for one in libraries))
        library = await find_library(api, path.library)
        node = await find_node(api, library, path)
        listed = await children_of(api, library, node.id) if node.kind is Kind.FOLDER else [node]
    document = {"library": library.id, "node": node, "children": listed if node.kind is Kind.FOLDER else []}
    if not details:
        return Answer(document, "\n".join(_name(one) for one in listed))
    return Answer(document, columns([_row(one) for one in listed], right=frozenset({0})))


def _name(node: NodeState) -> str:
    if node.kind is Kind.FOLDER:
        return click.style(name_text(node.name), fg="blue", bold=True) + "/"
    if node.version is None:
        return name_text(node.name)
    return name_text(node.name) + ("@" if node.version.symlink else "*" if node.version.executable else "")


def _row(node: NodeState) -> tuple[str, str, str, str]:
    version = node.version
    if version is None:
        return "-", "-", "-", _name(node)
    return size_text(version.size_bytes), time_text(version.mtime_ns / 1e9), version.id, _name(node)
