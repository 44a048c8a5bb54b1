"""How long a library keeps versions and trash."""

from __future__ import annotations

from syncline.messages import history as h
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.retentions import Retentions, Rules


class Keeping:
    def __init__(self, retentions: Retentions, access: Access) -> None:
        self._retentions = retentions
        self._access = access

    async def get(self, call: Call, _body: Nothing) -> h.Retention:
        await self._access.require_read(call.library, call.caller.account)
        rules = await self._retentions.rules(call.library)
        return h.Retention(
            versions_days=rules.versions_days,
            versions_max=rules.versions_max,
            trash_days=rules.trash_days,
            hold=rules.hold,
        )

    async def set(self, call: Call, body: h.Retention) -> h.Retention:
        """Owners alone: what is given up is gone for everybody."""
        await self._access.require_govern(call.library, call.caller.account)
        rules = Rules(body.versions_days, body.versions_max, body.trash_days, body.hold)
        await self._retentions.set_rules(call.library, rules)
        return body
