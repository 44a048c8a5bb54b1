"""Deciding: what becomes of a command, given the library at head. The rules are numbered in docs/sync.md.

Pure: the same facts, command and arguments give the same decision. Rights are judged by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncline.domain.adding import add_version, copy_version
from syncline.domain.attempt import Attempt, Verdict, departures
from syncline.domain.commands import (
    AddVersion,
    Command,
    CopyVersion,
    MakeFolder,
    Move,
    Purge,
    Remove,
    Request,
    Revive,
    Withdraw,
)
from syncline.domain.commits import Commit, Outcome, Result, Status
from syncline.domain.draft import Draft
from syncline.domain.errors import Broken, Refused
from syncline.domain.facts import Facts, ancestors
from syncline.domain.nodes import Author, Location
from syncline.domain.placing import drop_unused_stand_ins, make_folder, move
from syncline.domain.removing import is_plain_folder_removal, remove
from syncline.domain.reviving import purge, revive

MAX_ATTEMPTS = 8
"""After so many, the last one assumes that no name becomes free by a later request."""

ALL_OR_NOTHING = "all-or-nothing"

Landed = Mapping[str, Location | str]
"""For each permit id: where its bytes are, or the slug of why they are refused."""


@dataclass(frozen=True)
class Decision:
    """``commit`` is None when nothing took effect."""

    commit: Commit | None
    outcome: Outcome


def decide(facts: Facts, command: Command, landed: Landed, *, seq: int, now_ms: int, device_name: str) -> Decision:
    """The commit a command makes as ``seq`` (head + 1) of its library, if any, and what its asker is told.

    ``now_ms`` is the service's clock (Unix ms), ``device_name`` what conflict copies are called after. Raises
    ``MissingFacts`` when ``facts`` must learn more first; ``Broken`` when they are of another library or seq.
    """
    if (facts.library, facts.seq) != (command.library, seq - 1):
        raise Broken(f"Command {command.id} of {command.library} at {seq} met {facts.library} at {facts.seq}.")
    draft, verdicts = _work_through(facts, command, landed, seq, now_ms, device_name)
    if command.all_or_nothing and any(verdict.status in _FAILED for verdict in verdicts):
        results = tuple(_all_or_nothing(verdict) for verdict in verdicts)
        return Decision(None, _outcome(command, facts.seq, results, ALL_OR_NOTHING))
    changes, withdrawn = draft.changes(), tuple(draft.withdrawn)
    restored, purged = draft.restored(), tuple(draft.purged)
    results = tuple(_result(draft, verdict) for verdict in verdicts)
    if not (changes or withdrawn or restored or purged):
        return Decision(None, _outcome(command, facts.seq, results))
    commit = Commit(
        command.library, seq, command.id, command.account, command.device, now_ms, changes, withdrawn,
        restored, purged,
    )  # fmt: skip
    return Decision(commit, _outcome(command, seq, results))


def refusal(command: Command, seq: int, kind: str) -> Decision:
    """The whole command has no effect; ``seq`` is the head."""
    results = tuple(Result(Status.REFUSED, reason=kind) for _ in command.requests)
    return Decision(None, _outcome(command, seq, results, kind))


def _outcome(command: Command, seq: int, results: tuple[Result, ...], refused: str = "") -> Outcome:
    return Outcome(command.id, command.library, seq, results, refused, command.incarnation)


def _work_through(
    facts: Facts, command: Command, landed: Landed, seq: int, now_ms: int, device_name: str
) -> tuple[Draft, list[Verdict]]:
    """Rule 8: attempts until every name that was taken to become free has become so."""
    author = Author(command.account, command.device, command.counter, now_ms)
    leaving = departures(command)
    stays: frozenset[str] = frozenset()
    for attempts_left in reversed(range(MAX_ATTEMPTS)):
        attempt = Attempt(Draft(facts, seq), author, device_name, stays, leaving)
        verdicts = _judge_all(attempt, command, landed)
        if not any(attempt.draft.shared_places()):
            drop_unused_stand_ins(attempt, verdicts)
            return attempt.draft, verdicts
        stays = stays | attempt.overstayers() if attempts_left > 1 else frozenset(leaving)
    raise Broken(f"Command {command.id} leaves two nodes in one place.")


def _judge_all(attempt: Attempt, command: Command, landed: Landed) -> list[Verdict]:
    """Every request in order, but plain folder removals last and from the deepest up."""
    verdicts: dict[int, Verdict] = {}
    postponed: list[tuple[int, Remove]] = []
    for index, request in enumerate(command.requests):
        attempt.index = index
        if isinstance(request, Remove) and is_plain_folder_removal(attempt, request):
            postponed.append((index, request))
        else:
            verdicts[index] = _judge(attempt, request, landed)
            if isinstance(request, Move) and verdicts[index].status is Status.REFUSED:
                attempt.unmoved.add(attempt.meant(request.node))
    for index, request in sorted(postponed, key=lambda item: -_depth(attempt, item[1].node)):
        verdicts[index] = _judge(attempt, request, landed)
    return [verdicts[index] for index in range(len(command.requests))]


def _judge(attempt: Attempt, request: Request, landed: Landed) -> Verdict:
    """Rule 10: every request has its own answer; one that is refused does not refuse its neighbours."""
    try:
        match request:
            case AddVersion(permit):
                return add_version(attempt, permit, landed)
            case CopyVersion():
                return copy_version(attempt, request)
            case MakeFolder():
                return make_folder(attempt, request)
            case Move():
                return move(attempt, request)
            case Remove():
                return remove(attempt, request)
            case Withdraw(permit_id):
                return _withdraw(attempt, permit_id)
            case Revive():
                return revive(attempt, request)
            case Purge():
                return purge(attempt, request)
    except Refused as refused:
        return Verdict(Status.REFUSED, reason=refused.kind, detail=refused.detail)


def _withdraw(attempt: Attempt, permit_id: str) -> Verdict:
    """Rule 4: a permit that is withdrawn before its bytes became a version makes none."""
    record = attempt.draft.version(permit_id)
    if record is not None:
        return Verdict(Status.UNCHANGED, record.node, "" if record.withdrawn else permit_id)
    attempt.draft.withdraw(permit_id)
    return Verdict(Status.APPLIED)


def _depth(attempt: Attempt, node_id: str) -> int:
    node = attempt.draft.known(attempt.meant(node_id))
    return sum(1 for _ in ancestors(attempt.draft, node))


_FAILED = (Status.REFUSED, Status.KEPT, Status.CONFLICT)


def _all_or_nothing(verdict: Verdict) -> Result:
    """The answer to one request of a command that was refused whole; the detail tells the ones that were the reason."""
    failed = verdict.status in _FAILED
    told = verdict.detail or f"This request alone would have been answered {verdict.status.value}."
    return Result(Status.REFUSED, reason=ALL_OR_NOTHING, detail=told if failed else "")


def _result(draft: Draft, verdict: Verdict) -> Result:
    """The answer to one request: the state of its node after the whole command."""
    if not verdict.node:
        return Result(verdict.status, reason=verdict.reason, detail=verdict.detail)
    node = draft.settled(verdict.node)
    current = "" if node.version is None else node.version.id
    return Result(
        verdict.status, node.id, node.seq, verdict.version or current, node.parent, node.name,
        verdict.reason, verdict.detail, verdict.kept,
    )  # fmt: skip
