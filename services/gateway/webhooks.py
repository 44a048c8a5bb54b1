"""Webhooks of a library: its owners add them, see how they fare, enable them again, and remove them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from syncline.domain.errors import ConditionFailed, Temporary
from syncline.domain.ids import NewId
from syncline.domain.webhooks import SECRET_BYTES, check_address, secret_from_bytes
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.journal import Head
from syncline.store.webhooks import Webhook, Webhooks, no_such_webhook

TRIES = 8
"""A webhook that the notifier is changing is tried again at most so often."""


class Hooking:
    def __init__(
        self, webhooks: Webhooks, access: Access, clock: Clock, new_id: NewId, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._webhooks = webhooks
        self._access = access
        self._clock = clock
        self._new_id = new_id
        self._random_bytes = random_bytes

    async def all(self, call: Call, _body: Nothing) -> m.Webhooks:
        await self._access.require_govern(call.library, call.caller.account)
        return m.Webhooks(webhooks=[_shown(hook) for hook in await self._webhooks.of_library(call.library)])

    async def add(self, call: Call, body: m.NewWebhook) -> m.WebhookMade:
        """It is told of what comes after this."""
        head = (await self._access.require_govern(call.library, call.caller.account)).head
        check_address(body.url)
        hook = Webhook(
            id=self._new_id(),
            library=call.library,
            url=body.url,
            secret=secret_from_bytes(self._random_bytes(SECRET_BYTES)),
            made_by=call.caller.account,
            made_at_ms=self._clock.now_ms(),
            incarnation=head.incarnation,
            delivered=head.seq,
            known=head.seq,
        )
        await self._webhooks.add(hook)
        return m.WebhookMade(webhook=_shown(hook), secret=hook.secret)

    async def enable(self, call: Call, _body: Nothing) -> m.Webhook:
        """It is told again, first of what it missed, as long as the caller is an owner. Harmless when it is told."""
        head = (await self._access.require_govern(call.library, call.caller.account)).head
        id = call.id("webhook", "no-such-webhook")
        for _ in range(TRIES):
            found = await self._webhooks.get(call.library, id)
            if found is None:
                raise no_such_webhook()
            hook, rev = found
            if not hook.disabled_at_ms:
                return _shown(hook)
            enabled = _enabled(hook, head, by=call.caller.account, now_ms=self._clock.now_ms())
            try:
                await self._webhooks.change(hook, enabled, rev)
            except ConditionFailed:
                continue
            return _shown(enabled)
        raise Temporary(f"The webhook {id} keeps changing; try again")

    async def remove(self, call: Call, _body: Nothing) -> Nothing:
        await self._access.require_govern(call.library, call.caller.account)
        await self._webhooks.remove(call.library, call.id("webhook", "no-such-webhook"))
        return Nothing()


def _enabled(hook: Webhook, head: Head, *, by: str, now_ms: int) -> Webhook:
    # Of a journal that was made again the notifier finds out with the next commit how far the webhook had come.
    known = head.seq if hook.incarnation == head.incarnation else hook.known
    return msgspec.structs.replace(
        hook,
        made_by=by,
        known=known,
        due_at_ms=now_ms if known > hook.delivered else 0,
        attempts=0,
        failing_since_ms=0,
        problem="",
        disabled_at_ms=0,
    )


def _shown(hook: Webhook) -> m.Webhook:
    return m.Webhook(
        id=hook.id,
        url=hook.url,
        made_by=hook.made_by,
        made_at_ms=hook.made_at_ms,
        delivered_seq=hook.delivered,
        failing_since_ms=hook.failing_since_ms,
        problem=hook.problem,
        disabled_at_ms=hook.disabled_at_ms,
    )
