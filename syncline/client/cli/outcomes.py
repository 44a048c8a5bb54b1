"""What became of a command's requests, for people and programs, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from syncline.client.cli.exits import Exit
from syncline.client.cli.output import Answer, counted, name_text
from syncline.domain.commits import Status
from syncline.messages.api import CommitAnswer, Library, ResultState

GOOD = frozenset({Status.APPLIED, Status.UNCHANGED})


def told(library: Library, answer: CommitAnswer, done: Sequence[str], paths: Sequence[str]) -> Answer:
    """The answer to a commit with one request per path. ``done``: what to say where all went as asked.

    Exit 1 when nothing did, 5 when something did.
    """
    if answer.refused:
        # Of a command that took effect as a whole or not at all, the reason is with the request that could not.
        complaints = [next((result.detail for result in answer.results if result.detail), answer.refused)]
        return Answer(_document(library, answer, paths), exit=Exit.REFUSED, complaints=complaints)
    pairs = list(zip(paths, answer.results, strict=True))
    complaints = [complaint(path, result) for path, result in pairs if result.status not in GOOD]
    took_effect = any(result.status in GOOD or result.status is Status.CONFLICT for _, result in pairs)
    code = Exit.OK if not complaints else Exit.PARTLY if took_effect else Exit.REFUSED
    text = "" if complaints else "\n".join(done)
    return Answer(_document(library, answer, paths), text, code, chatty=True, complaints=complaints)


def complaint(path: str, result: ResultState) -> str:
    """Why a request did not simply take effect: what, why, what to do."""
    shown = name_text(path)
    if result.status is Status.CONFLICT:
        return f"{shown} was changed by someone else meanwhile; yours is kept beside it as {name_text(result.name)}."
    if result.status is Status.KEPT:
        kept = counted(len(result.kept), "thing")
        return f"{shown} is still there: {kept} in it changed meanwhile. Look at it (syncline ls) and remove it again."
    if result.status is Status.LATE:
        return f"{shown} has newer content from this device already; this one is kept in its history."
    reason = result.detail or result.reason.replace("-", " ")
    return f"{shown}: {reason}"


def _document(library: Library, answer: CommitAnswer, paths: Sequence[str]) -> dict[str, object]:
    results = [
        {"path": path, **msgspec.to_builtins(result)} for path, result in zip(paths, answer.results, strict=False)
    ]
    return {"library": library.id, "seq": answer.seq, "results": results, "refused": answer.refused}
