"""Removing an account: what only it owns is handed to somebody else first, so that nothing is lost with it."""

from __future__ import annotations

from services.gateway.letters import Letters, language_of
from services.gateway.proving import Proving
from services.gateway.wakes import Wakes
from syncline.domain.errors import Refused
from syncline.messages import api as m
from syncline.messages.send_letter import Letter
from syncline.ports.clock import Clock
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import AccountRecord, Directory
from syncline.store.leaving import Leaving
from syncline.store.titles import clean_email

NAMED_MAX = 20
"""So many libraries and groups are named when a removal is refused for them."""


class Removal:
    """Every step may be repeated: a removal that was cut short goes on when it is asked for again."""

    def __init__(
        self,
        directory: Directory,
        leaving: Leaving,
        proving: Proving,
        letters: Letters,
        wakes: Wakes,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._leaving = leaving
        self._proving = proving
        self._letters = letters
        self._wakes = wakes
        self._clock = clock

    async def remove(self, call: Call, body: m.AccountRemoval) -> Nothing:
        account = await self._proving.once_more(call.request, call.caller.account, body.password)
        heir = await self._heir(account, body.hand_to)
        if not heir:
            await self._refuse_to_orphan(account)
        await self._leaving.remove(account, heir=heir, at_ms=self._clock.now_ms())
        get_logger().info("account-removed", account=account.id)
        await self._wakes.touch_all([account.id, heir] if heir else [account.id])
        await self._letters.send(Letter.ACCOUNT_REMOVED, to=account.email, language=language_of(call.request))
        return Nothing()

    async def _heir(self, account: AccountRecord, hand_to: str) -> str:
        if not hand_to:
            return ""
        heir = await self._directory.account_by_email(clean_email(hand_to))
        if heir is None or heir.id == account.id:
            raise Refused("no-such-account", "Nobody else has registered with this e-mail address.", status=404)
        return heir.id

    async def _refuse_to_orphan(self, account: AccountRecord) -> None:
        libraries, groups = await self._leaving.alone(account.id)
        if not libraries and not groups:
            return
        named = {library: await self._directory.library(library) for library in libraries[:NAMED_MAX]}
        detail = (
            f"{len(libraries)} libraries and {len(groups)} groups are yours alone. Name somebody to hand them to, "
            "or make others owners of the libraries and delete the groups."
        )
        raise Refused(
            "still-owns",
            detail,
            status=409,
            libraries=[{"id": library, "name": record.name if record else ""} for library, record in named.items()],
            groups=[{"id": group.id, "name": group.name} for group in groups[:NAMED_MAX]],
        )
