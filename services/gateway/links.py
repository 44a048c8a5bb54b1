"""Links in mail: ending mail, and opening a file; and the pages that explain problems."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import web

from services.gateway.auditing import concerns
from services.gateway.files import Files, live_node
from services.gateway.pages import page, refusal_page
from services.gateway.wording import ENGLISH, Words, words_for
from syncline.domain.capabilities import (
    Capability,
    FileCapability,
    SigningKey,
    UnsubscribeCapability,
    open_capability,
)
from syncline.domain.errors import Refused
from syncline.domain.nodes import Node
from syncline.ports.clock import Clock
from syncline.serving.auth import Access, no_such_library
from syncline.serving.bodies import read_bytes
from syncline.serving.problems import PROBLEMS
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from syncline.store.outsiders import Outsiders, State
from syncline.store.snapshot import Snapshot
from syncline.store.tree import TreeReader

FORM_BYTES_MAX = 4_096


class Links:
    def __init__(
        self,
        directory: Directory,
        follows: Follows,
        outsiders: Outsiders,
        tree: TreeReader,
        files: Files,
        access: Access,
        clock: Clock,
        link_keys: Sequence[SigningKey],
    ) -> None:
        self._directory = directory
        self._follows = follows
        self._outsiders = outsiders
        self._tree = tree
        self._files = files
        self._access = access
        self._clock = clock
        self._link_keys = link_keys

    async def unsubscribe_page(self, call: Call, _body: Nothing) -> web.Response:
        """Only asks: mail scanners follow every link, and must not end anything."""
        words = words_for(call.request)
        try:
            capability = self._unsubscribe(call.text("token"))
        except Refused as error:
            return refusal_page(words, error)
        text = words.say("unsubscribe-text", library=await self._named(words, capability.library))
        return page(words, words.say("unsubscribe-title"), text, button=words.say("unsubscribe-button"))

    async def unsubscribe(self, call: Call, _body: Nothing) -> web.Response:
        await read_bytes(call.request, bytes_max=FORM_BYTES_MAX)
        words = words_for(call.request)
        try:
            capability = self._unsubscribe(call.text("token"))
        except Refused as error:
            return refusal_page(words, error)
        record = await self._outsiders.get(capability.library, capability.account)
        if record is None:
            concerns(account=capability.account, library=capability.library)
        else:
            concerns(email=record.email, library=capability.library)
        await self._follows.drop_all(capability.account, capability.library)
        if record is not None:
            await self._outsiders.put(msgspec.structs.replace(record, state=State.LEFT))
        text = words.say("unsubscribed-text", library=await self._named(words, capability.library))
        return page(words, words.say("unsubscribed-title"), text)

    async def file(self, call: Call, _body: Nothing) -> web.Response:
        try:
            capability = self._open(call.request.match_info["token"])
            if not isinstance(capability, FileCapability):
                raise _bad_link()
            # A link outlives nobody's rights.
            outside = await self._outside(capability)
            if not outside:
                await self._access.require_read(capability.library, capability.account)
            snapshot = await self._tree.at_head(capability.library)
            node = await live_node(snapshot, capability.node)
            if outside and not await self._follows_it(capability.account, snapshot, node):
                raise no_such_library()
            return await self._files.redirect(node)
        except Refused as error:
            return refusal_page(words_for(call.request), error)

    async def problem(self, call: Call, _body: Nothing) -> web.Response:
        slug = call.request.match_info["slug"]
        kind = PROBLEMS.get(slug)
        if kind is None:
            raise Refused("not-found", "There is no problem of this name.", status=404)
        return page(ENGLISH, kind.title, kind.meaning, f"HTTP status {kind.status}, type {slug}.")

    async def _outside(self, capability: FileCapability) -> bool:
        """Whether the link was sent to an outside follower, and the library lets such links open files."""
        record = await self._outsiders.get(capability.library, capability.account)
        if record is None or not record.hears(self._clock.now_ms() // 1000):
            return False
        return (await self._outsiders.rules(capability.library)).links

    async def _follows_it(self, follower: str, snapshot: Snapshot, node: Node) -> bool:
        """Whether the node is one that a follower follows, or below one."""
        follows = await self._follows.of_account(follower)
        above = await snapshot.ancestors(node)
        return not {node.id, *(folder.id for folder in above)}.isdisjoint(follow.node for follow in follows)

    def _open(self, token: str) -> Capability:
        return open_capability(token, self._link_keys, now_s=self._clock.now_ms() // 1000)

    def _unsubscribe(self, token: str) -> UnsubscribeCapability:
        capability = self._open(token)
        if not isinstance(capability, UnsubscribeCapability):
            raise _bad_link()
        return capability

    async def _named(self, words: Words, library: str) -> str:
        record = await self._directory.library(library)
        return words.named(record.name if record else None)


def _bad_link() -> Refused:
    return Refused("bad-link", "This link is for something else; open it from the mail again.", status=404)
