"""doctor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

import click

from syncline.client import doctor as checks
from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.exits import Exit
from syncline.client.cli.output import name_text
from syncline.client.doctor import Finding, Level
from syncline.client.index import Index, Link

MARKS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.PROBLEM: ("✗", "red")}


@command("doctor", examples=["syncline doctor", "syncline doctor --json"])
async def doctor(call: Call) -> Answer:
    """Check everything, and say what to do about what is not well.

    Checks this client's own folder, index and daemon, the sign-in, whether server and S3 answer and the clocks agree;
    and of each linked folder whether it is the one that was linked, may be written to, has room, can be watched, tells
    upper from lower case, is kept by one client only, what is waiting, what was left alone, and how large its trash is.

    Changes nothing. Exit code 0: all is well, or there are only warnings (!). 1: something does not work (✗).
    """
    findings = [finding async for finding in _findings(call)]
    counts = {level: sum(one.level is level for one in findings) for level in Level}
    code = Exit.REFUSED if counts[Level.PROBLEM] else Exit.OK
    lines = [_text(one) for one in findings]
    lines.append(f"{counts[Level.PROBLEM]} problems, {counts[Level.WARNING]} warnings.")
    return Answer({"findings": findings, "well": code is Exit.OK}, "\n".join(lines), code)


async def _findings(call: Call) -> AsyncIterator[Finding]:
    for finding in checks.check_home(call.home.path):
        yield finding
    yield await asyncio.to_thread(checks.check_daemon, call.home)
    signed_in = checks.check_session(call.sessions)
    yield signed_in
    session = call.sessions.load() if signed_in.level is Level.OK else None
    links: list[Link] = []
    if call.home.index_path.exists():
        index_check = await asyncio.to_thread(checks.check_index, call.home.index_path)
        yield index_check
        if index_check.level is Level.OK:
            with closing(Index(call.home.index_path)) as index:
                links = index.links()
                for finding in await asyncio.to_thread(_of_folders, call, index, links):
                    yield finding
                if session is not None:
                    async for finding in _of_service(call, session.server, index, links):
                        yield finding
            return
    if session is not None:
        async with Api(session.server, call.sessions) as api:
            yield await checks.check_server(api)
            yield await checks.check_token(api)


def _of_folders(call: Call, index: Index, links: list[Link]) -> list[Finding]:
    findings: list[Finding] = []
    well = []
    for link in links:
        folder = checks.check_folder(link)
        findings.append(folder)
        if folder.level is Level.OK:
            well.append(link)
            findings += [checks.check_room(link), *checks.check_file_system(link), checks.check_alone(call.home, link)]
            findings.append(checks.check_trash(link))
        findings += [checks.check_pending(index, link), *checks.check_left(index, link)]
    return [*findings, *(checks.check_watches(well) if well else ())]


async def _of_service(call: Call, server: str, index: Index, links: list[Link]) -> AsyncIterator[Finding]:
    async with Api(server, call.sessions) as api:
        answers = await checks.check_server(api)
        yield answers
        if answers.level is Level.PROBLEM:
            return
        signed_in = await checks.check_token(api)
        yield signed_in
        if signed_in.level is not Level.OK:
            return
        for link in links:
            library = await checks.check_library(api, link)
            yield library
            if library.level is Level.OK:
                yield await checks.check_s3(api, link, index)


def _text(finding: Finding) -> str:
    mark, colour = MARKS[finding.level]
    line = f"{click.style(mark, fg=colour)} {finding.check}: {name_text(finding.subject)}: {name_text(finding.detail)}"
    return f"{line}\n    → {name_text(finding.advice)}" if finding.advice else line
