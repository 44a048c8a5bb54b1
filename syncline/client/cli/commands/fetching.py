"""get."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import click
import msgspec

from syncline.client.cli.bars import progress
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.fetcher import Fetcher
from syncline.client.cli.inbox import Inbox, Wanted
from syncline.client.cli.output import name_text
from syncline.client.cli.remote import REMOTE_PATH, RemotePath, find_library, find_node, version_of
from syncline.client.engine import over_http, throttle_of
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.messages.api import Library, NodeState

STDOUT = "-"


@command(
    "get",
    examples=[
        "syncline get Shared:docs/plan.ods",
        "syncline get Shared:notes.txt old.txt --version k3ktrpw6ysaqn2vbh7ce",
        "syncline get -r Shared:pictures ~/Pictures",
        "syncline get -q Shared:notes.txt - | less",
    ],
)
@click.argument("path", metavar="LIBRARY:PATH", type=REMOTE_PATH)
@click.argument("local", metavar="[LOCAL]", default="")
@click.option("-r", "--recursive", is_flag=True, help="A folder, with everything in it.")
@click.option("--version", "version", metavar="ID", default="", help="An older version; syncline history lists them.")
@click.option("--force", is_flag=True, help="Replace local files even if the library has no version of their content.")
async def get(call: Call, path: RemotePath, local: str, recursive: bool, version: str, force: bool) -> Answer | None:
    """Fetch a file or a folder from a library.

    A file goes to LOCAL, or into it if that is a folder; by default here, under its own name; "-" is stdout. With -r
    the content of a folder becomes the content of LOCAL.

    What is here already is not fetched again. A local file is replaced only if the library has its content as a
    version of the same file, so that nothing is lost.
    """
    async with call.api() as api:
        library = await find_library(api, path.library)
        node = await find_node(api, library, path)
        _check(path, node, local, recursive=recursive, version=version, json=call.json)
        with progress(call) as bars:
            fetcher = Fetcher(api, library.id, over_http(api, bars, throttle_of(call.home)), bars)
            inbox = Inbox(api, fetcher, library, force=force)
            if node.kind is Kind.FOLDER:
                return await inbox.fetch_folder(node, _folder_here(local, node, library))
            target = _file_here(local, node)
            wanted = Wanted(node, await version_of(api, library, node, version), target, target.parent)
            if local != STDOUT:
                return await inbox.fetch_file(wanted)
            await _to_stdout(fetcher, wanted)
            return None


def _check(path: RemotePath, node: NodeState, local: str, *, recursive: bool, version: str, json: bool) -> None:
    if node.kind is Kind.FOLDER:
        if not recursive:
            detail = f"{name_text(str(path))} is a folder; nothing fetched. -r fetches it with everything in it."
            raise Refused("is-a-folder", detail, status=409)
        if version:
            raise click.UsageError("--version is for a file; a folder has no versions.", click.get_current_context())
        if local == STDOUT:
            raise click.UsageError("Only a file can go to stdout.", click.get_current_context())
    if local == STDOUT and json:
        raise click.UsageError("--json and a file do not fit into one stdout.", click.get_current_context())


def _file_here(local: str, node: NodeState) -> Path:
    here = Path(local) if local else Path()
    return here / node.name if not local or local.endswith("/") or here.is_dir() else here


def _folder_here(local: str, node: NodeState, library: Library) -> Path:
    name = node.name or library.name.replace("/", "-")
    return Path(local) / name if not local or local.endswith("/") else Path(local)


async def _to_stdout(fetcher: Fetcher, wanted: Wanted) -> None:
    """A file is written out only once it has come whole, and is what its checksum says; of a link, its target."""
    with tempfile.TemporaryDirectory(prefix="syncline-") as folder:
        target = Path(folder, "content")
        content = msgspec.structs.replace(wanted.version, symlink=False)
        await fetcher.fetch(content, target, replaces=None, inside=target.parent)
        await asyncio.to_thread(_copy_to_stdout, target)


def _copy_to_stdout(file: Path) -> None:
    with file.open("rb") as content:
        shutil.copyfileobj(content, sys.stdout.buffer)
