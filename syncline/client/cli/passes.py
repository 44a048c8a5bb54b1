"""A pass over a linked folder, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import msgspec

from syncline.client.cli.exits import Exit
from syncline.client.cli.failures import problem_of
from syncline.client.cli.folders import folder_text
from syncline.client.cli.output import Answer, counted, name_text, size_text
from syncline.client.index import Link
from syncline.client.summary import Summary
from syncline.domain.errors import SynclineError

NAMED_MAX = 20


def pass_text(summary: Summary) -> str:
    """What a pass did: ``sent 3 files (1.2 MiB), fetched 1 file (12 B); in sync``."""
    did = [
        _bytes("sent", summary.uploaded, summary.bytes_up),
        _bytes("fetched", summary.downloaded, summary.bytes_down),
        _count(summary.copied, "took over {} the library held already", "file"),
        _count(summary.folders_made, "made {}", "folder"),
        _count(summary.moved, "moved {}", "thing"),
        _count(summary.removed_there, "removed {} from the library", "thing"),
        _count(summary.removed_here, "removed {} here (to the trash)", "thing"),
        _count(summary.put_apart, "took {} off this disk (deselected)", "thing"),
    ]
    done = ", ".join(part for part in did if part) or "nothing to do"
    return f"{done}; {'not all done' if pass_complaints(summary) else 'in sync'}"


def pass_notes(summary: Summary) -> list[str]:
    """What a person should know, though nothing is wrong."""
    return _at_most([f"conflict copy: {name_text(path)}" for path in summary.conflicts] + left_alone(summary))


def left_alone(summary: Summary) -> list[str]:
    return [f"left alone: {name_text(one.path)} ({one.detail or one.reason})" for one in summary.skipped]


def pass_complaints(summary: Summary) -> list[str]:
    """What a pass was asked to do and did not; none when the folder is in sync."""
    complaints = [f"{name_text(path)}: {detail or reason}" for path, reason, detail in summary.refused]
    complaints += [f"{name_text(path)} was still being written; the next pass takes it." for path in summary.later]
    if not summary.complete and not complaints:
        complaints.append("There is still something to do; run it again.")
    return _at_most(complaints)


def passes_answer(told: Sequence[tuple[Link, Summary | SynclineError]]) -> Answer:
    """What ``sync`` says of passes over links, or of why there was none."""
    texts, complaints, documents = [], [], []
    for link, news in told:
        if isinstance(news, Summary):
            texts.append(f"{folder_text(link)}: {pass_text(news)}")
            texts += [f"  {note}" for note in pass_notes(news)]
            complaints += [f"{folder_text(link)}: {complaint}" for complaint in pass_complaints(news)]
            documents.append(dataclasses.asdict(news) | {"skipped": msgspec.to_builtins(news.skipped)})
        else:
            complaints.append(f"{folder_text(link)}: {problem_of(news)['detail']}")
            documents.append({"library": link.library, "path": link.path, "problem": problem_of(news)})
    code = Exit.PARTLY if complaints else Exit.OK
    return Answer({"folders": documents}, "\n".join(texts), code, chatty=True, complaints=complaints)


def _bytes(verb: str, files: int, size_bytes: int) -> str:
    return f"{verb} {counted(files, 'file')} ({size_text(size_bytes)})" if files else ""


def _count(number: int, text: str, one: str) -> str:
    return text.format(counted(number, one)) if number else ""


def _at_most(lines: list[str]) -> list[str]:
    if len(lines) <= NAMED_MAX:
        return lines
    return [*lines[:NAMED_MAX], f"and {len(lines) - NAMED_MAX} more (--json names all)"]
