"""queues, dead-letters: what waits, and what was set aside."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence

import click
import msgspec

from syncline.admin.calling import Answer, Call, command, group, require_yes, yes_option
from syncline.admin.recording import record
from syncline.client.cli.output import columns, counted, name_text, size_text, time_text
from syncline.ports.queues import MAX_RECEIVE, DeadLetter, Queue
from syncline.store.aside import Aside, AsideRow

ASIDE_MAX = 1_000
LETTERS_DEFAULT = 1_000
LETTERS_MAX = 100_000
REASON_KEPT = 500
"""Characters of a reason that the audit log keeps."""

queue_argument = click.argument("queue", type=click.Choice([queue.value for queue in Queue]))
limit_option = click.option(
    "--limit", type=click.IntRange(1, LETTERS_MAX), default=LETTERS_DEFAULT, show_default=True, help="At most so many."
)


@command("queues", examples=["syncline-admin queues", "syncline-admin queues --json"])
async def queues(call: Call) -> Answer:
    """Say how many messages wait on each queue, and how many dead letters. SQS counts about, not exactly.

    Says too how many rows the notifier has set aside, as it could not read them.
    """
    async with call.ports() as ports:
        found = [(queue, await ports.queues.depth(queue), await ports.queues.dead_depth(queue)) for queue in Queue]
        aside = len(await Aside(ports.tables).all(ASIDE_MAX))
    document = [{"queue": queue, "waiting": waiting, "dead_letters": dead} for queue, waiting, dead in found]
    rows = [(queue.value, str(waiting), str(dead)) for queue, waiting, dead in found]
    text = columns(rows, header=("queue", "waiting", "dead letters"), right=frozenset({1, 2}))
    if aside:
        text += f"\n{counted(aside, 'row')} set aside; see: syncline-admin set-aside list"
    return Answer({"queues": document, "set_aside": aside}, text)


@command("list", examples=["syncline-admin dead-letters list commits", "syncline-admin dead-letters list sync --json"])
@queue_argument
async def list_(call: Call, queue: str) -> Answer:
    """Look at up to 10 dead letters of a queue, with their reasons; the --json document has their bodies.

    A letter without a reason was received again and again without success: the services' logs say why.
    """
    async with call.ports() as ports:
        letters = await ports.queues.dead_letters(Queue(queue), limit=MAX_RECEIVE)
        waiting = await ports.queues.dead_depth(Queue(queue))
    return Answer({"queue": queue, "dead_letters": waiting, "letters": list(map(_letter, letters))}, _told(letters))


@command("redrive", examples=["syncline-admin dead-letters redrive commits"])
@queue_argument
@limit_option
async def redrive(call: Call, queue: str, limit: int) -> Answer:
    """Send dead letters to their queue again: mend first what they died of. Doing it twice does no harm.

    What is there at the beginning is sent, so that letters that die again at once are not sent for ever.
    """
    async with call.ports() as ports:
        most = min(limit, await ports.queues.dead_depth(Queue(queue)))
        # Written down first: an operator's act is never without its record.
        await record(ports, "dead-letters.redrive", details={"queue": queue, "letters_max": most})
        letters = await _take(ports.queues.redrive, Queue(queue), most)
        left = await ports.queues.dead_depth(Queue(queue))
    document = {"queue": queue, "redriven": len(letters), "left": left, "letters": list(map(_letter, letters))}
    return Answer(document, f"{counted(len(letters), 'letter')} sent again, {left} left.")


@command("purge", examples=["syncline-admin dead-letters purge bounces --yes"])
@queue_argument
@limit_option
@yes_option
async def purge(call: Call, queue: str, limit: int, yes: bool) -> Answer:
    """Delete dead letters for ever; the audit log keeps their reasons."""
    async with call.ports() as ports:
        most = min(limit, await ports.queues.dead_depth(Queue(queue)))
        if not most:
            return Answer({"queue": queue, "purged": 0, "letters": []}, "There are no dead letters.")
        require_yes(yes, f"About {counted(most, 'dead letter')} of {queue} would be lost for ever.")
        await record(ports, "dead-letters.purge", details={"queue": queue, "letters_max": most})
        letters = await _take(ports.queues.discard_dead, Queue(queue), most)
        reasons = "; ".join(sorted({reason for _, reason in letters if reason}))[:REASON_KEPT]
        purged: dict[str, str | int] = {"queue": queue, "letters": len(letters), "reasons": reasons}
        await record(ports, "dead-letters.purged", details=purged)
    document = {"queue": queue, "purged": len(letters), "letters": list(map(_letter, letters))}
    return Answer(document, f"{counted(len(letters), 'letter')} deleted.")


@command("list", examples=["syncline-admin set-aside list", "syncline-admin set-aside list --json"])
async def list_aside(call: Call) -> Answer:
    """Look at the rows that the notifier could not read or do anything with; the --json document has what is in them.

    They hold up nothing. What they would have told people has not been told.
    """
    async with call.ports() as ports:
        found = await Aside(ports.tables).all(ASIDE_MAX)
    rows = [
        (
            time_text(one.at_ms / 1000),
            one.part,
            one.table.value,
            name_text(" ".join((str(one.row["pk"]), str(one.row["sk"])))),
            one.reason,
        )
        for one in found
    ]
    text = columns(rows, header=("when", "part", "table", "row", "reason"))
    return Answer({"rows": list(map(_row_aside, found))}, text or "Nothing is set aside.")


@command("retry", examples=["syncline-admin set-aside retry"])
async def retry_aside(call: Call) -> Answer:
    """Put the rows back where they were, once what was wrong is mended; what is still unreadable is set aside again.

    A row in whose place another one has come stays aside.
    """
    async with call.ports() as ports:
        aside = Aside(ports.tables)
        found = await aside.all(ASIDE_MAX)
        # Written down first: an operator's act is never without its record.
        await record(ports, "set-aside.retry", details={"rows": len(found)})
        back = sum([await aside.put_back(one) for one in found])
    document = {"put_back": back, "left": len(found) - back}
    return Answer(document, f"{counted(back, 'row')} put back, {len(found) - back} left.")


def _row_aside(one: AsideRow) -> dict[str, object]:
    row = {name: _readable(value) if isinstance(value, bytes) else value for name, value in one.row.items()}
    return {"table": one.table, "part": one.part, "reason": one.reason, "at_ms": one.at_ms, "row": row}


async def _take(some: Callable[..., Awaitable[Sequence[DeadLetter]]], queue: Queue, most: int) -> list[DeadLetter]:
    taken: list[DeadLetter] = []
    while len(taken) < most:
        letters = await some(queue, limit=min(MAX_RECEIVE, most - len(taken)))
        if not letters:
            break
        taken.extend(letters)
    return taken


def _letter(letter: DeadLetter) -> dict[str, object]:
    message, reason = letter
    told = {"sent_at_ms": message.sent_at_ms, "reason": reason, "group": message.group}
    return {**told, "size_bytes": len(message.body), "body": _readable(message.body)}


def _readable(body: bytes) -> object:
    """JSON and msgpack as what they say, other text as it is, anything else in base64."""
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            said: object = decode(body)
            msgspec.json.encode(said)  # msgpack knows maps that JSON does not
        except (msgspec.MsgspecError, TypeError, ValueError):
            continue
        if isinstance(said, dict | list):
            return said
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _told(letters: Sequence[DeadLetter]) -> str:
    rows = [
        (
            time_text(message.sent_at_ms / 1000),
            message.group,
            size_text(len(message.body)),
            name_text(reason) or "received too often",
        )
        for message, reason in letters
    ]
    return columns(rows, header=("sent", "group", "size", "reason")) or "There are no dead letters."


dead_letters = group("dead-letters", "List, redrive and purge dead letters.", [list_, redrive, purge])
set_aside = group(
    "set-aside", "List rows that the notifier has set aside, and put them back.", [list_aside, retry_aside]
)
