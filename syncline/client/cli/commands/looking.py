"""status, compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.comparing import compare_folder
from syncline.client.cli.exits import Exit, exit_of
from syncline.client.cli.failures import problem_of
from syncline.client.cli.folders import FOLDER, engine_of, folder_text, links_meant, synced_at
from syncline.client.cli.looks import Seen, conflict_paths, look_text
from syncline.client.cli.output import columns, counted, name_text, time_text
from syncline.client.cli.quick import through_daemon
from syncline.client.engine import Engine, Link, Status
from syncline.domain.errors import Refused, SynclineError

VERB_TEXT = {
    "SendFile": "send",
    "SendFolder": "make folder",
    "SendMove": "move",
    "SendRemove": "remove",
    "Fetch": "fetch",
    "MakeHere": "make folder",
    "MoveHere": "move",
    "RemoveHere": "remove",
}
STATE_TEXT = {
    "missing": "missing here",
    "extra": "only here",
    "newer": "newer there",
    "different": "different",
}


@command("status", examples=["syncline status", "syncline status ~/Shared", "syncline status --json"])
@click.argument("folders", metavar="[DIR]...", type=FOLDER, nargs=-1)
async def status(call: Call, folders: tuple[Path, ...]) -> Answer:
    """Show what is linked, and what is still to do.

    For each linked folder: its library, when it was last in sync, what is to be sent and fetched, conflict copies,
    and files that are left alone, with the reason. While a daemon runs (syncline start) it answers at once what it
    does right now: the state of each folder, transfers and the last error. Changes nothing.
    """
    named = [str(folder) for folder in folders]
    asked = through_daemon("status", named, as_json=call.json, quiet=call.quiet, server=call.wanted_server)
    if asked is not None:
        click.get_current_context().exit(asked)
    async with engine_of(call) as (engine, api):
        links = links_meant(engine, folders) if folders else engine.links()
        looks = [await _look(call, engine, link) for link in links]
        head = f"{call.session().email} at {api.server}"
    texts = [head] + [look.text for look in looks]
    if not looks:
        texts.append("No folder is linked yet. Run: syncline link LIBRARY DIR")
    code = max((look.exit for look in looks), default=Exit.OK)
    document = {"email": call.session().email, "server": api.server, "folders": [look.document for look in looks]}
    return Answer(document, "\n\n".join(texts), code)


@command("compare", examples=["syncline compare", "syncline compare ~/Shared"])
@click.argument("folder", metavar="[DIR]", type=FOLDER, default=".")
async def compare(call: Call, folder: Path) -> Answer:
    """Have the server compare a folder with its library by checksum.

    Reads every file here, and asks the server by path, so that nothing depends on what this client believes. Says what
    is newer there, missing here, only here, or different; exit code 1 when anything is. Changes nothing.

    syncline verify asks whether what is here is what was agreed on, and finds damaged files.
    """
    async with engine_of(call) as (engine, api):
        link = engine.link_at(folder)
        compared = await compare_folder(api, link)
    shown = folder_text(link)
    there = name_text(link.library_name)
    document = {
        "library": link.library,
        "path": link.path,
        "seq": compared.seq,
        "equal": not compared.differences,
        "differences": compared.differences,
        "skipped": compared.skipped,
    }
    notes = [f"left alone: {name_text(one.path)} ({one.detail or one.reason})" for one in compared.skipped]
    if not compared.differences:
        text = f"{shown} and {there} hold the same {counted(compared.files, 'file')}."
        return Answer(document, "\n".join([text, *notes]))
    rows = [(STATE_TEXT.get(one.state, one.state), name_text(one.path)) for one in compared.differences]
    counts = counted(len(rows), "difference")
    text = "\n".join([columns(rows), f"{counts} between {shown} and {there}. To settle: syncline sync {shown}", *notes])
    return Answer(document, text, Exit.REFUSED)


async def _look(call: Call, engine: Engine, link: Link) -> Seen:
    conflicts = conflict_paths(engine, link)
    last = synced_at(call.home, link)
    rows = [
        ("library", f"{name_text(link.library_name)} ({link.library})"),
        ("last in sync", time_text(last) if last else "never"),
    ]
    known: dict[str, Any] = {
        "path": link.path,
        "library": link.library,
        "library_name": link.library_name,
        "seq": link.seq,
        "last_in_sync_ms": int(last * 1000) if last else None,
        "conflicts": conflicts,
    }
    try:
        found = await engine.status(link)
    except SynclineError as error:
        if isinstance(error, Refused) and error.status == 401:
            raise
        problem = problem_of(error)
        rows.append(("state", f"not known: {problem['detail']}"))
        return Seen(known | {"problem": problem}, look_text(link, rows, [], conflicts), exit_of(error))
    rows += [("to send", _things(found.to_send)), ("to fetch", _things(found.to_fetch))]
    if found.held:
        removals = counted(sum(removal.files for removal in found.held), "removal")
        rows.append(("held", f"{removals}; if meant: syncline sync {folder_text(link)} --allow-removals"))
    document = known | {
        "head": found.head,
        "to_send": [{"verb": verb, "path": path} for verb, path in found.to_send],
        "to_fetch": [{"verb": verb, "path": path} for verb, path in found.to_fetch],
        "skipped": msgspec.to_builtins(found.skipped),
        "held": msgspec.to_builtins(found.held),
    }
    return Seen(document, look_text(link, rows, _details(found), conflicts))


def _details(found: Status) -> list[str]:
    lines = [f"↑ {VERB_TEXT.get(verb, verb)} {name_text(path)}" for verb, path in found.to_send]
    lines += [f"↓ {VERB_TEXT.get(verb, verb)} {name_text(path)}" for verb, path in found.to_fetch]
    lines += [f"held: remove {name_text(one.path)}" for one in found.held]
    return lines + [f"left alone: {name_text(one.path)} ({one.detail or one.reason})" for one in found.skipped]


def _things(pairs: Sequence[tuple[str, str]]) -> str:
    return counted(len(pairs), "change") if pairs else "nothing"
