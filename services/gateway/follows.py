"""Following: who wants mail about what, how often, and why there may be none."""

from __future__ import annotations

from services.gateway.files import live_node
from services.gateway.terms import shown, suppressed, wishes_of
from syncline.domain.errors import NotFound
from syncline.domain.preferences import language_of, settle
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access, not_signed_in
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import AccountRecord, Directory
from syncline.store.follows import FollowRecord, Follows, MailPreferences, terms_of
from syncline.store.snapshot import Snapshot
from syncline.store.suppressions import Suppressions
from syncline.store.tree import TreeReader


class Following:
    def __init__(
        self,
        follows: Follows,
        directory: Directory,
        suppressions: Suppressions,
        tree: TreeReader,
        access: Access,
        clock: Clock,
    ) -> None:
        self._follows = follows
        self._directory = directory
        self._suppressions = suppressions
        self._tree = tree
        self._access = access
        self._clock = clock

    async def all(self, call: Call, _body: Nothing) -> m.Follows:
        """What the asker follows, as far as it is there and may be read."""
        account = await self._account(call)
        preferences = await self._follows.preferences(account.id)
        snapshots: dict[str, Snapshot | None] = {}
        found: list[m.Follow] = []
        for record in await self._follows.of_account(account.id):
            if record.library not in snapshots:
                snapshots[record.library] = await self._readable(record.library, account.id)
            snapshot = snapshots[record.library]
            if snapshot is not None and (follow := await _shown(snapshot, record, preferences)) is not None:
                found.append(follow)
        return m.Follows(follows=found, suppressed=await self._suppressed(account))

    async def follow(self, call: Call, body: m.MailTerms) -> m.Follow:
        account = call.caller.account
        await self._access.require_read(call.library, account)
        snapshot = await self._tree.at_head(call.library)
        node = await live_node(snapshot, call.id("node", "no-such-node"))
        wishes = wishes_of(body)
        record = await self._follows.follow(call.library, node.id, account, at_ms=self._clock.now_ms(), wishes=wishes)
        return _follow(record, await snapshot.path(node), await self._follows.preferences(account))

    async def unfollow(self, call: Call, _body: Nothing) -> Nothing:
        await self._access.require_read(call.library, call.caller.account)
        await self._follows.unfollow(call.library, call.id("node", "no-such-node"), call.caller.account)
        return Nothing()

    async def settings(self, call: Call, _body: Nothing) -> m.MailSettings:
        account = await self._account(call)
        return await self._settings(account, await self._follows.preferences(account.id))

    async def prefer(self, call: Call, body: m.MailPreferences) -> m.MailSettings:
        account = await self._account(call)
        preferences = MailPreferences(wishes_of(body), body.language or "", self._clock.now_ms())
        await self._follows.prefer(account.id, preferences)
        return await self._settings(account, preferences)

    async def lift(self, call: Call, _body: Nothing) -> m.MailSettings:
        """Try the asker's address again."""
        account = await self._account(call)
        await self._suppressions.lift(account.email)
        return await self._settings(account, await self._follows.preferences(account.id))

    async def _settings(self, account: AccountRecord, preferences: MailPreferences) -> m.MailSettings:
        said, terms = shown(preferences.wishes), shown(settle([preferences.wishes]))
        return m.MailSettings(
            address=account.email,
            said=_with_language(said, preferences.language or None),
            terms=_with_language(terms, language_of(preferences.language)),
            suppressed=await self._suppressed(account),
        )

    async def _suppressed(self, account: AccountRecord) -> m.Suppressed | None:
        return suppressed(account.email, await self._suppressions.get(account.email))

    async def _account(self, call: Call) -> AccountRecord:
        account = await self._directory.account(call.caller.account)
        if account is None:
            raise not_signed_in("This account is no more.")
        return account

    async def _readable(self, library: str, account: str) -> Snapshot | None:
        if await self._access.role(library, account) is None:
            return None
        try:
            return await self._tree.at_head(library)
        except NotFound:
            return None


async def _shown(snapshot: Snapshot, record: FollowRecord, preferences: MailPreferences) -> m.Follow | None:
    node = await snapshot.node(record.node)
    if node is None or not await snapshot.is_live(node):
        return None
    return _follow(record, await snapshot.path(node), preferences)


def _follow(record: FollowRecord, path: str, preferences: MailPreferences) -> m.Follow:
    return m.Follow(
        library=record.library,
        node=record.node,
        path=path,
        said=shown(record.wishes),
        terms=shown(terms_of(record, preferences)),
    )


def _with_language(terms: m.MailTerms, language: str | None) -> m.MailPreferences:
    return m.MailPreferences(
        window=terms.window,
        hour=terms.hour,
        zone=terms.zone,
        kinds=terms.kinds,
        language=language,  # type: ignore[arg-type]
    )
