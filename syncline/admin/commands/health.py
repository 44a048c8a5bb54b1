"""health: the whole stack at a glance, and which alarms go off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from syncline.admin.answers import show
from syncline.admin.calling import Answer, Call, Exit, command
from syncline.admin.health import Look, Looking
from syncline.admin.ports import Ports
from syncline.client.cli.output import columns, counted, name_text, one_line
from syncline.domain.figures import CONSUMED, SERVICES
from syncline.domain.health import Firing, Instance

WATCH_S = 5.0


@command("health", examples=["syncline-admin health", "syncline-admin health --watch", "syncline-admin health --json"])
@click.option("--watch", is_flag=True, help=f"Look again every {WATCH_S:.0f} s, until Ctrl-C.")
async def health(call: Call, watch: bool) -> Answer:
    """Say at a glance how the stack is: services, queues, mail, what is behind, and which alarms go off.

    It only reads, needs no way to the instances, and says what it could not see. Counts and percentiles are of the last
    15 minutes. Ends with 5 when an alarm goes off, else with 4 when something could not be seen.
    """
    async with call.ports() as ports:
        while watch:
            await _show_again(ports, json=call.json)
        return answer_of(await Looking(ports).look())


async def _show_again(ports: Ports, *, json: bool) -> None:
    answer = answer_of(await Looking(ports).look())
    if not json:
        click.clear()
    show(answer, json=json)
    await asyncio.sleep(WATCH_S)


def answer_of(look: Look) -> Answer:
    if look.firing:
        code = Exit.DIFFERS
    else:
        code = Exit.TRY_LATER if look.unseen else Exit.OK
    return Answer(_document(look), _text(look), code)


# -- for programs


def _document(look: Look) -> dict[str, object]:
    seen = look.observation
    services = [
        {"service": service, "instances": seen.living(service), "lost": seen.lost(service)}
        for service in SERVICES
        if service in seen.instances
    ]
    queues = [
        {
            "queue": queue,
            "waiting": look.waiting.get(queue),
            "oldest_s": _highest(seen.living(service), f"queue_{queue}_age_s"),
            "dead_letters": seen.dead_letters.get(queue),
        }
        for service, queues in CONSUMED.items()
        for queue in queues
    ]
    return {
        "well": not look.firing and not look.unseen,
        "at_ms": seen.at_ms,
        "alarms": [_alarm(one) for one in look.firing],
        "unseen": look.unseen,
        "services": services,
        "queues": queues,
        "set_aside": seen.rows_aside,
    }


def _alarm(one: Firing) -> dict[str, object]:
    alarm = one.alarm
    told = {name: getattr(alarm, name) for name in ("name", "kind", "severity", "says", "why", "threshold", "unit")}
    return {**told, "below": alarm.below, "figure": one.figure, "runbook": alarm.runbook}


# -- for people


def _text(look: Look) -> str:
    sections = (_verdict(look), _alarms(look.firing), _unseen(look), _services(look), _queues(look), _work(look))
    return "\n\n".join(section for section in sections if section)


def _verdict(look: Look) -> str:
    if look.firing:
        paging = sum(one.alarm.severity == "page" for one in look.firing)
        return f"{counted(len(look.firing), 'alarm')}, {paging} of them urgent."
    return "Not all could be seen." if look.unseen else "All is well."


def _alarms(firing: Sequence[Firing]) -> str:
    return "\n".join(
        f"{one.alarm.severity:<6}  {one.alarm.says}: {_figure(one.figure)} {one.alarm.unit}"
        f" ({'at least' if one.alarm.below else 'at most'} {_figure(one.alarm.threshold)})\n"
        f"        {one.alarm.why}\n"
        f"        What to do: {one.alarm.runbook}"
        for one in firing
    )


def _unseen(look: Look) -> str:
    return "\n".join(f"unseen  {one.what}: {one_line(one.reason)}" for one in look.unseen)


def _services(look: Look) -> str:
    rows = [_service(look, service) for service in SERVICES]
    header = ("service", "instances", "version", "up for", "last pulse", "requests", "errors", "p99")
    return columns(rows, header=header, right=frozenset(range(3, 8)))


def _service(look: Look, service: str) -> tuple[str, ...]:
    seen = look.observation
    if service not in seen.instances:
        return (service, "?", "", "", "", "", "", "")
    living, lost = seen.living(service), seen.lost(service)
    states = [f"{sum(one.state == state for one in living)} {state}" for state in dict.fromkeys(map(_state, living))]
    return (
        service,
        ", ".join([*states, *([f"{len(lost)} lost"] if lost else [])]) or "none",
        ", ".join(sorted({name_text(one.version) for one in living})),
        _longest([seen.at_ms - one.started_at_ms for one in living]),
        _longest([seen.at_ms - one.at_ms for one in living]),
        _number(_sum(living, "requests")),
        _number(_sum(living, "answers_5xx")),
        _seconds(_highest(living, "request_p99_s")),
    )


def _queues(look: Look) -> str:
    seen = look.observation
    rows = [
        (
            queue,
            _number(look.waiting.get(queue)),
            _seconds(_highest(seen.living(service), f"queue_{queue}_age_s")),
            _number(seen.dead_letters.get(queue)),
        )
        for service, queues in CONSUMED.items()
        for queue in queues
    ]
    return columns(rows, header=("queue", "waiting", "oldest", "dead letters"), right=frozenset({1, 2, 3}))


def _work(look: Look) -> str:
    """What the services have done in the window, and how far they are behind."""
    metadata, syncer, notifier = (look.observation.living(one) for one in ("metadata", "syncer", "notifier"))
    figures: list[tuple[str, list[tuple[str, float | None]]]] = [
        ("commits", [("{} in 15 min", _sum(metadata, "commits")), ("p99 {} s", _highest(metadata, "commit_p99_s"))]),
        ("views", [("{} s behind", _highest(metadata, "views_behind_s"))]),
        ("news", [("{} s behind", _highest(metadata, "news_behind_s"))]),
        ("sweep", [("{} rounds ago", _highest(metadata, "sweep_rounds_missed"))]),
        ("archive", [("{} failures in a row", _highest(syncer, "archive_failed_in_a_row"))]),
        ("held", [("{} requests", _sum(syncer, "held_requests"))]),
        (
            "mail",
            [
                ("{} sent in 15 min", _sum(notifier, "mails_sent")),
                ("{} came back", _sum(notifier, "mails_bounced")),
                ("{} complaints", _sum(notifier, "mails_complained")),
                ("{} s late", _highest(notifier, "mail_late_s")),
                ("{} % of the day's used", _highest(notifier, "mail_quota_used_percent")),
            ],
        ),
        ("set aside", [("{} rows", look.observation.rows_aside)]),
    ]
    told = [(name, [text.format(_figure(one)) for text, one in parts if one is not None]) for name, parts in figures]
    return columns([(name, ", ".join(parts) or "?") for name, parts in told])


def _state(instance: Instance) -> str:
    return instance.state.value


def _sum(living: Sequence[Instance], measure: str) -> float | None:
    told = [one.measures[measure] for one in living if measure in one.measures]
    return sum(told) if told else None


def _highest(living: Sequence[Instance], measure: str) -> float | None:
    return max((one.measures[measure] for one in living if measure in one.measures), default=None)


def _figure(figure: float) -> str:
    return f"{figure:,.0f}" if figure == int(figure) or abs(figure) >= 100 else f"{figure:.3g}"


def _number(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}"


def _seconds(figure: float | None) -> str:
    return "" if figure is None else f"{_figure(figure)} s"


def _longest(spans_ms: Sequence[int]) -> str:
    """The longest time span for people, in its largest unit: ``5 s``, ``12 min``, ``3 h``, ``2 d``; "" of none."""
    if not spans_ms:
        return ""
    seconds = max(0, *spans_ms) / 1000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
