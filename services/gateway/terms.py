"""Mail terms between the HTTP interface and the domain."""

from __future__ import annotations

from collections.abc import Iterable

from syncline.domain.digests import Happened
from syncline.domain.preferences import Terms, Wishes, time_zone
from syncline.messages import api as m
from syncline.store.suppressions import Suppression


def wishes_of(terms: m.MailTerms) -> Wishes:
    """What was asked for. Raises ``Refused("bad-zone")`` (422)."""
    if terms.zone is not None:
        time_zone(terms.zone)
    kinds = None if terms.kinds is None else frozenset(terms.kinds)
    return Wishes(window=terms.window, hour=terms.hour, zone=terms.zone, kinds=kinds)


def shown(wishes: Wishes | Terms) -> m.MailTerms:
    return m.MailTerms(
        window=wishes.window,
        hour=wishes.hour,
        zone=wishes.zone,
        kinds=None if wishes.kinds is None else in_order(wishes.kinds),
    )


def in_order(kinds: Iterable[Happened]) -> list[Happened]:
    return [kind for kind in Happened if kind in set(kinds)]


def suppressed(address: str, found: Suppression | None) -> m.Suppressed | None:
    return None if found is None else m.Suppressed(address=address, reason=found.reason, since_ms=found.at_ms)
