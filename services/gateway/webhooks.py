"""Webhooks of a library: its owners add them, see how they fare, and remove them. The notifier tells them."""

from __future__ import annotations

from collections.abc import Callable

from syncline.domain.errors import Refused
from syncline.domain.ids import NewId
from syncline.domain.webhooks import SECRET_BYTES, check_address, secret_from_bytes
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.webhooks import WEBHOOKS_MAX, Webhook, Webhooks


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
        if len(await self._webhooks.of_library(call.library)) >= WEBHOOKS_MAX:
            raise Refused("too-many-webhooks", f"A library has {WEBHOOKS_MAX} webhooks; remove one.", status=409)
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

    async def remove(self, call: Call, _body: Nothing) -> Nothing:
        await self._access.require_govern(call.library, call.caller.account)
        await self._webhooks.remove(call.library, call.id("webhook", "no-such-webhook"))
        return Nothing()


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
