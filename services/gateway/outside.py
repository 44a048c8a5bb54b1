"""Outside followers: inviting people without an account to mail, their confirming, and their leaving."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import web

from services.gateway.auditing import concerns
from services.gateway.files import live_node
from services.gateway.letters import Letters, language_of
from services.gateway.pages import page, refusal_page
from services.gateway.terms import suppressed, wishes_of
from services.gateway.wording import Words, words_for
from syncline.domain.capabilities import CONFIRM_LIFE_S, FollowCapability, SigningKey, open_capability
from syncline.domain.errors import Refused
from syncline.domain.preferences import OUTSIDE, Wishes, settle
from syncline.messages import api as m
from syncline.messages.send_letter import Letter
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.bodies import read_bytes
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from syncline.store.outsiders import (
    OUTSIDE_LIFE_S,
    OUTSIDERS_MAX,
    OutsiderRecord,
    Outsiders,
    OutsideRules,
    State,
    outsider_id,
)
from syncline.store.suppressions import Suppression, Suppressions
from syncline.store.titles import clean_email
from syncline.store.tree import TreeReader

DAY_MS = 24 * 3_600_000
ASK_AGAIN_MS = DAY_MS
"""The same question is sent to the same address at most so often."""
LEFT_ASK_AGAIN_MS = 30 * DAY_MS
"""Who left, or did not answer for as long as a link lives, is not asked again before this."""
ASKED_PER_DAY_MAX = 100
"""Of one library: nobody can use it to send mail to the world."""
FORM_BYTES_MAX = 4_096


class OutsideFollowing:
    def __init__(
        self,
        outsiders: Outsiders,
        follows: Follows,
        directory: Directory,
        suppressions: Suppressions,
        letters: Letters,
        tree: TreeReader,
        access: Access,
        clock: Clock,
        link_keys: Sequence[SigningKey],
    ) -> None:
        self._outsiders = outsiders
        self._follows = follows
        self._directory = directory
        self._suppressions = suppressions
        self._letters = letters
        self._tree = tree
        self._access = access
        self._clock = clock
        self._link_keys = link_keys

    # -- what members do ----------------------------------------------------------------------------------------

    async def invite(self, call: Call, body: m.NewOutsideFollower) -> m.OutsideFollower:
        """Ask an address whether it wants mail. Asking twice sends one letter a day."""
        await self._access.require_write(call.library, call.caller.account)
        email = clean_email(body.email)
        node = await live_node(await self._tree.at_head(call.library), body.node)
        await self._refuse_members(call.library, email)
        now_ms = self._clock.now_ms()
        known = {record.id: record for record in await self._outsiders.of_library(call.library)}
        id = outsider_id(call.library, email)
        before = known.get(id)
        if before is not None and await self._needs_no_letter(before, node.id, now_ms):
            return await self._one(before)
        _refuse_too_many(list(known.values()), before, now_ms)
        record = OutsiderRecord(
            id,
            call.library,
            email,
            State.CONFIRMED if before is not None and before.hears(now_ms // 1000) else State.INVITED,
            body.language or language_of(call.request),
            call.caller.account,
            now_ms,
            node.id,
            wishes_of(body),
            before.confirmed_at_ms if before else 0,
            before.ends_at_s if before else 0,
        )
        await self._outsiders.put(record)
        about = {"library": call.library, "follower": id, "node": node.id}
        await self._letters.send(Letter.FOLLOW, language=record.language, about=about, life_s=CONFIRM_LIFE_S)
        return await self._one(record)

    async def all(self, call: Call, _body: Nothing) -> m.OutsideFollowers:
        await self._access.require_write(call.library, call.caller.account)
        records = await self._outsiders.of_library(call.library)
        failing = await self._suppressions.among([record.email for record in records])
        nodes: dict[str, list[str]] = {}
        for follow in await self._follows.of_library(call.library):
            if follow.outside:
                nodes.setdefault(follow.account, []).append(follow.node)
        rules = await self._outsiders.rules(call.library)
        return m.OutsideFollowers(
            followers=[_shown(record, nodes.get(record.id, []), failing.get(record.email)) for record in records],
            rules=m.OutsideRules(links=rules.links),
        )

    async def remove(self, call: Call, _body: Nothing) -> Nothing:
        await self._access.require_write(call.library, call.caller.account)
        follower = call.id("follower", "no-such-follower")
        if await self._outsiders.get(call.library, follower) is None:
            raise Refused("no-such-follower", "Nobody outside follows this library under this id.", status=404)
        await self._follows.drop_all(follower, call.library)
        await self._outsiders.remove(call.library, follower)
        return Nothing()

    async def set_rules(self, call: Call, body: m.OutsideRules) -> m.OutsideRules:
        await self._access.require_govern(call.library, call.caller.account)
        await self._outsiders.set_rules(call.library, OutsideRules(links=body.links))
        return body

    async def _one(self, record: OutsiderRecord) -> m.OutsideFollower:
        nodes = [follow.node for follow in await self._follows.of_account(record.id)]
        return _shown(record, nodes, await self._suppressions.get(record.email))

    async def _refuse_members(self, library: str, email: str) -> None:
        account = await self._directory.account_by_email(email)
        if account is not None and await self._access.role(library, account.id) is not None:
            raise Refused("already-member", "Members follow by themselves: syncline follow.", status=409)

    async def _needs_no_letter(self, before: OutsiderRecord, node: str, now_ms: int) -> bool:
        if before.hears(now_ms // 1000):
            follows = await self._follows.of_account(before.id)
            if any(follow.node == node for follow in follows):
                return True
        asked_ms_ago = now_ms - before.invited_at_ms
        if before.state is State.LEFT and asked_ms_ago < LEFT_ASK_AGAIN_MS:
            raise Refused("invitation-declined", "This person wants no mail about the library.", status=409)
        return before.node == node and asked_ms_ago < ASK_AGAIN_MS

    # -- what the person outside does ---------------------------------------------------------------------------

    async def confirm_page(self, call: Call, _body: Nothing) -> web.Response:
        """Only asks: mail scanners follow every link, and must not agree to anything."""
        words = words_for(call.request)
        try:
            _, record = await self._confirming(call)
        except Refused as error:
            return refusal_page(words, error)
        text = words.say("confirm-text", email=record.email, library=await self._named(words, record.library))
        return page(words, words.say("confirm-title"), text, button=words.say("confirm-button"))

    async def confirm(self, call: Call, _body: Nothing) -> web.Response:
        await read_bytes(call.request, bytes_max=FORM_BYTES_MAX)
        words = words_for(call.request)
        try:
            capability, record = await self._confirming(call)
        except Refused as error:
            return refusal_page(words, error)
        now_ms = self._clock.now_ms()
        follows = await self._follows.of_account(record.id)
        if all(follow.node != capability.node for follow in follows):
            wishes = record.wishes if record.node == capability.node else Wishes()
            await self._follows.follow(
                record.library, capability.node, record.id, at_ms=now_ms, wishes=wishes, outside=True
            )
        confirmed = msgspec.structs.replace(
            record, state=State.CONFIRMED, confirmed_at_ms=now_ms, ends_at_s=now_ms // 1000 + OUTSIDE_LIFE_S
        )
        await self._outsiders.put(confirmed)
        every = settle([record.wishes, OUTSIDE]).window.value
        library = await self._named(words, record.library)
        text = words.say(f"confirmed-{every}", library=library, email=record.email)
        return page(words, words.say("confirmed-title"), text)

    async def _confirming(self, call: Call) -> tuple[FollowCapability, OutsiderRecord]:
        capability = open_capability(call.text("token"), self._link_keys, now_s=self._clock.now_ms() // 1000)
        if not isinstance(capability, FollowCapability):
            raise Refused("bad-link", "This link is for something else; open it from the mail again.", status=404)
        record = await self._outsiders.get(capability.library, capability.follower)
        if record is None:
            raise Refused("bad-link", "This invitation was taken back.", status=404)
        concerns(email=record.email, library=record.library)
        return capability, record

    async def _named(self, words: Words, library: str) -> str:
        found = await self._directory.library(library)
        return words.named(found.name if found else None)


def _refuse_too_many(known: Sequence[OutsiderRecord], before: OutsiderRecord | None, now_ms: int) -> None:
    if before is None and len(known) >= OUTSIDERS_MAX:
        raise Refused("too-many-followers", f"A library has at most {OUTSIDERS_MAX} outside followers.", status=409)
    if sum(now_ms - record.invited_at_ms < DAY_MS for record in known) >= ASKED_PER_DAY_MAX:
        detail = f"At most {ASKED_PER_DAY_MAX} people are invited in a day; go on tomorrow."
        raise Refused("too-many-requests", detail, status=429, retry_after_s=3_600)


def _shown(record: OutsiderRecord, nodes: list[str], failing: Suppression | None) -> m.OutsideFollower:
    return m.OutsideFollower(
        id=record.id,
        email=record.email,
        state=record.state.value,
        nodes=nodes if record.state is State.CONFIRMED else [record.node],
        invited_by=record.invited_by,
        invited_at_ms=record.invited_at_ms,
        ends_at=record.ends_at_s,
        suppressed=suppressed(record.email, failing),
    )
