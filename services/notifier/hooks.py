"""The life of a webhook, every arrow a function below. Pure; the rows are ``syncline.store.webhooks``'s::

    idle ──tell──► due ──claim──► in hand ──delivered──► idle, or due when more came meanwhile
                    ▲                │ │
                    └─failed,put_off─┘ └──failed for 24 h, or disable──► disabled ──noticed──► for good

A claim puts ``due_at_ms`` off to the end of its lease: whoever dies with a delivery in hand leaves it due then. One
that dies between the receiver's answer and ``delivered`` leaves a delivery that is made twice; its seqs tell.
"""

from __future__ import annotations

from msgspec.structs import replace

from services.notifier.due import pause_ms
from syncline.store.webhooks import Webhook

LEASE_MS = 60_000
"""How long a claim holds; a delivery is given less (``delivering.DELIVER_S_MAX``)."""
GIVE_UP_MS = 24 * 3600 * 1000
"""A webhook that took nothing for so long is disabled."""
PROBLEM_CHARACTERS_MAX = 200


def tell(hook: Webhook, upto: int, *, now_ms: int) -> Webhook:
    """The library has come to ``upto``."""
    if hook.disabled_at_ms or upto <= hook.known:
        return hook
    return replace(hook, known=upto, due_at_ms=hook.due_at_ms or now_ms)


def rebuilt(hook: Webhook, incarnation: str, kept: int) -> Webhook:
    """The journal was made again as ``incarnation``, with what the old one had up to ``kept``."""
    delivered = min(hook.delivered, kept)
    return replace(hook, incarnation=incarnation, delivered=delivered, known=min(hook.known, kept))


def claim(hook: Webhook, *, now_ms: int) -> Webhook | None:
    """Take what is due; None when it is not, or in other hands."""
    if not hook.due_at_ms or hook.due_at_ms > now_ms:
        return None
    return replace(hook, due_at_ms=now_ms + LEASE_MS, attempts=hook.attempts + 1)


def holds(hook: Webhook, mine: Webhook) -> bool:
    """Whether the claim that ``mine`` is the result of still stands in ``hook``."""
    return (hook.due_at_ms, hook.attempts, hook.incarnation) == (mine.due_at_ms, mine.attempts, mine.incarnation)


def delivered(hook: Webhook, upto: int, *, now_ms: int) -> Webhook:
    due_at_ms = now_ms if hook.known > upto else 0
    return replace(hook, delivered=upto, due_at_ms=due_at_ms, attempts=0, failing_since_ms=0, problem="")


def failed(hook: Webhook, problem: str, *, now_ms: int) -> Webhook:
    """The receiver did not take it. The last attempt is made when the 24 h are over."""
    since_ms = hook.failing_since_ms or now_ms
    hook = replace(hook, failing_since_ms=since_ms, problem=problem[:PROBLEM_CHARACTERS_MAX])
    if now_ms - since_ms >= GIVE_UP_MS:
        return disable(hook, hook.problem, now_ms=now_ms)
    return put_off(hook, min(now_ms + pause_ms(hook.attempts), since_ms + GIVE_UP_MS))


def put_off(hook: Webhook, until_ms: int) -> Webhook:
    """Not its fault: again at ``until_ms``."""
    return replace(hook, due_at_ms=until_ms)


def disable(hook: Webhook, problem: str, *, now_ms: int) -> Webhook:
    """It is told nothing more; the notice is due."""
    return replace(hook, disabled_at_ms=now_ms, due_at_ms=now_ms, attempts=0, problem=problem)


def noticed(hook: Webhook) -> Webhook:
    return replace(hook, due_at_ms=0)
