"""What is written into the audit log: every request that changes who may do what. Contents are in the journal already.

The record goes into the act's own transaction where it has one (``AuditedTables``), else it is written before the
answer goes out; refusals are written too. Only what ``ACTIONS`` names of a request is kept: no password, no token.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from syncline.domain.errors import Refused, SynclineError
from syncline.domain.ids import NewId, is_id
from syncline.messages.records import AuditEntry
from syncline.ports.clock import Clock
from syncline.serving.http import remote_address
from syncline.serving.problems import problem_of
from syncline.serving.routes import Call
from syncline.store.audit import (
    STACK,
    Audit,
    Pending,
    account_subject,
    acting,
    email_subject,
    library_subject,
    puts_of,
)
from syncline.store.directory import normal_email

DONE = "done"
UNTOLD = ("too-many-requests",)
"""Refusals that are not written: they would let a flood of requests become a flood of rows."""
STRANGERS = ("no-such-library",)
"""Refusals that are no business of the library's owners: there is none, or the asker is no member."""
DETAIL_CHARACTERS_MAX = 300


class Action(NamedTuple):
    """The name of an act, and the members of the request's body that are kept."""

    name: str
    kept: tuple[str, ...] = ()


_LIBRARY = "/v1/libraries/{library}"
ACTIONS: Mapping[tuple[str, str], Action] = {
    ("POST", "/v1/accounts"): Action("account.create", ("email",)),
    ("POST", "/v1/sessions"): Action("session.sign-in", ("email", "device_name")),
    ("DELETE", "/v1/sessions/current"): Action("session.sign-out"),
    ("DELETE", "/v1/devices/{device}"): Action("device.revoke"),
    ("POST", "/v1/password-resets"): Action("password.ask-reset", ("email",)),
    ("POST", "/v1/password-resets/use"): Action("password.reset"),
    ("POST", "/v1/me/password"): Action("password.change"),
    ("POST", "/v1/me/address"): Action("address.ask-change", ("email",)),
    ("POST", "/v1/address-changes/confirm"): Action("address.confirm"),
    ("POST", "/v1/me/removal"): Action("account.remove", ("hand_to",)),
    ("POST", "/v1/libraries"): Action("library.create", ("name",)),
    ("POST", f"{_LIBRARY}/members"): Action("member.set", ("email", "role")),
    ("DELETE", f"{_LIBRARY}/members/{{account}}"): Action("member.remove"),
    ("POST", f"{_LIBRARY}/transfer"): Action("library.transfer", ("email", "keep")),
    ("DELETE", f"{_LIBRARY}/invitations/{{invitation}}"): Action("invitation.revoke"),
    ("POST", "/v1/invitations/accept"): Action("invitation.accept"),
    ("POST", "/v1/groups"): Action("group.create", ("name",)),
    ("DELETE", "/v1/groups/{group}"): Action("group.delete"),
    ("POST", "/v1/groups/{group}/members"): Action("group.add-member", ("email",)),
    ("DELETE", "/v1/groups/{group}/members/{account}"): Action("group.remove-member"),
    ("PUT", f"{_LIBRARY}/groups/{{group}}"): Action("group.share", ("role",)),
    ("DELETE", f"{_LIBRARY}/groups/{{group}}"): Action("group.unshare"),
    ("PUT", f"{_LIBRARY}/follows/{{node}}"): Action("follow.set"),
    ("DELETE", f"{_LIBRARY}/follows/{{node}}"): Action("follow.remove"),
    ("POST", f"{_LIBRARY}/followers"): Action("follower.invite", ("email", "node")),
    ("DELETE", f"{_LIBRARY}/followers/{{follower}}"): Action("follower.remove"),
    ("PUT", f"{_LIBRARY}/outside"): Action("library.outside-rules", ("links",)),
    ("POST", f"{_LIBRARY}/webhooks"): Action("webhook.add", ("host",)),
    ("POST", f"{_LIBRARY}/webhooks/{{webhook}}/enable"): Action("webhook.enable"),
    ("DELETE", f"{_LIBRARY}/webhooks/{{webhook}}"): Action("webhook.remove"),
    ("PUT", f"{_LIBRARY}/retention"): Action(
        "library.retention", ("versions_days", "versions_max", "trash_days", "hold")
    ),
    ("POST", f"{_LIBRARY}/purge"): Action("library.purge", ("node", "versions_before", "upto")),
    ("PUT", "/v1/me/mail"): Action("mail.prefer"),
    ("POST", "/v1/me/mail/lift"): Action("mail.lift"),
    # What the pages' forms ask for; the links in mail say for whom.
    ("POST", "/v1/reset"): Action("password.reset"),
    ("POST", "/v1/address"): Action("address.confirm"),
    ("POST", "/v1/invitation"): Action("invitation.accept"),
    ("POST", "/v1/confirm"): Action("follower.confirm"),
    ("POST", "/v1/unsubscribe"): Action("follower.leave"),
}
"""By method and path. A test holds that every route which changes something is here or in ``UNAUDITED``."""
UNAUDITED = frozenset(
    {
        ("POST", "/v1/sessions/refresh"),
        ("POST", f"{_LIBRARY}/uploads"),
        ("POST", f"{_LIBRARY}/downloads"),
        ("POST", f"{_LIBRARY}/commits"),
        ("POST", f"{_LIBRARY}/files/{{node}}/versions/{{version}}/restore"),
        ("POST", f"{_LIBRARY}/nodes/{{node}}/restore"),
        ("POST", f"{_LIBRARY}/nodes/{{node}}/rewind"),
    }
)
"""Credentials, and changes of content, which the journal tells about."""
KEPT_OF_PATH = ("account", "device", "group", "node", "invitation", "follower", "webhook")


class _Act:
    """What is being written down, and the rows that the act's transaction will carry."""

    def __init__(self, entry: AuditEntry, pending: Pending) -> None:
        self.entry = entry
        self.pending = pending


_act: ContextVar[_Act | None] = ContextVar("act", default=None)


def concerns(*, account: str = "", email: str = "", library: str = "") -> None:
    """Say whom an act by a mailed link is done for, once the link is known to be good and before anything is done: its
    record belongs to their logs."""
    act = _act.get()
    if act is None:
        return
    about = {name: value for name, value in (("account", account), ("email", email)) if value}
    act.entry = msgspec.structs.replace(
        act.entry, details={**act.entry.details, **about}, library=library or act.entry.library
    )
    act.pending.puts = puts_of(act.entry, _subjects(act.entry))


class Auditor:
    def __init__(self, audit: Audit, clock: Clock, new_id: NewId) -> None:
        self._audit = audit
        self._clock = clock
        self._new_id = new_id

    async def run(self, call: Call, body: Any, handler: Callable[[Call, Any], Awaitable[Any]]) -> Any:
        """The handler's answer, once what was done is written down."""
        action = ACTIONS.get((call.route.method, call.route.path))
        if action is None or getattr(body, "dry_run", False):
            return await handler(call, body)
        entry = self._entry(call, action, body)
        with acting(puts_of(entry, _subjects(entry))) as pending:
            act = _Act(entry, pending)
            token = _act.set(act)
            try:
                answered = await handler(call, body)
            except Exception as error:
                await self._refused(act.entry, error)
                raise
            finally:
                _act.reset(token)
        told = _with_answer(act.entry, answered)
        if not pending.written or told != act.entry:
            await self._audit.write(told, _subjects(told))
        return answered

    def _entry(self, call: Call, action: Action, body: Any) -> AuditEntry:
        path = call.request.match_info
        details: dict[str, str | int] = {name: path[name] for name in KEPT_OF_PATH if is_id(path.get(name, ""))}
        for name in action.kept:
            if (value := getattr(body, name, None)) is not None:
                details[name] = str(value)[:DETAIL_CHARACTERS_MAX]
        library = path.get("library", "")
        return AuditEntry(
            id=self._new_id(),
            at_ms=self._clock.now_ms(),
            action=action.name,
            result=DONE,
            account=call.caller.account if call.route.signed_in else "",
            device=call.caller.device if call.route.signed_in else "",
            address=remote_address(call.request),
            library=library if is_id(library) else "",
            details=details,
        )

    async def _refused(self, entry: AuditEntry, error: Exception) -> None:
        kind = problem_of(error)[0]
        if kind in UNTOLD:
            return
        entry = msgspec.structs.replace(entry, result=kind, library="" if kind in STRANGERS else entry.library)
        subjects = _subjects(entry)
        if isinstance(error, Refused):
            await self._audit.write(entry, subjects)
            return
        # What the request needs is away, and the log most likely with it: the first failure is the one to be told.
        with contextlib.suppress(SynclineError):
            await self._audit.write(entry, subjects)


def _with_answer(entry: AuditEntry, answered: Any) -> AuditEntry:
    """The entry with the ids that only the answer tells."""
    details, account, device, library = dict(entry.details), entry.account, entry.device, entry.library
    if isinstance(answered, web.StreamResponse):
        # Pages say in words what was wrong.
        return entry if answered.status < 400 else msgspec.structs.replace(entry, result="refused")
    of_answer = getattr(answered, "account", None)
    if isinstance(of_answer, str):
        details["account"] = of_answer
    elif entry.action == "session.sign-in":
        account, device = str(answered.account.id), str(answered.device)
    elif entry.action == "account.create":
        account = str(answered.id)
    if entry.action == "library.create":
        library = str(answered.id)
    elif entry.action == "group.create":
        details["group"] = str(answered.id)
    elif entry.action == "library.purge":
        details |= {name: getattr(answered, name) for name in ("files", "folders", "versions", "size_bytes")}
    elif entry.action == "webhook.add":
        details["webhook"] = str(answered.webhook.id)
    return msgspec.structs.replace(entry, details=details, account=account, device=device, library=library)


def _subjects(entry: AuditEntry) -> list[str]:
    """Whose log an entry belongs to: the library's, the actor's, and that of the account it was done to.

    What somebody asks who is not signed in belongs to the e-mail address that they give: looking up whose it is would
    take longer for those that exist.
    """
    subjects = [library_subject(entry.library)] if entry.library else []
    accounts = dict.fromkeys(filter(None, (entry.account, str(entry.details.get("account", "")))))
    subjects += map(account_subject, accounts)
    if not entry.account and "email" in entry.details:
        subjects.append(email_subject(normal_email(str(entry.details["email"]))))
    return subjects or [STACK]
