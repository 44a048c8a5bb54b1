"""What the links in letters about accounts lead to in a browser. A visit alone changes nothing: mail scanners visit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from services.gateway.accounts import Accounts
from services.gateway.invitations import Inviting
from services.gateway.new_addresses import NewAddresses
from services.gateway.new_passwords import NewPasswords
from services.gateway.pages import NAME, NEW_PASSWORD, PASSWORD, form_page, page, read_form, refusal_page
from services.gateway.proving import Proving
from services.gateway.wording import Words, words_for
from syncline.domain.errors import Refused
from syncline.messages import api as m
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import Directory
from syncline.store.invitations import InvitationRecord

T = TypeVar("T")

_AGAIN = frozenset({"invalid-body", "sign-in-failed", "too-many-requests", "temporarily-unavailable"})
"""What can be mended by filling in the form again."""


class AccountPages:
    def __init__(
        self,
        directory: Directory,
        accounts: Accounts,
        inviting: Inviting,
        new_passwords: NewPasswords,
        new_addresses: NewAddresses,
        proving: Proving,
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._inviting = inviting
        self._new_passwords = new_passwords
        self._new_addresses = new_addresses
        self._proving = proving

    # -- a new password -----------------------------------------------------------------------------------------

    async def reset_page(self, call: Call, _body: Nothing) -> web.Response:
        return await _shown(call, lambda: self._reset_form(call))

    async def reset(self, call: Call, _body: Nothing) -> web.Response:
        async def work() -> web.Response:
            body = _filled({"token": call.text("token"), **await read_form(call.request)}, m.NewPassword)
            account = await self._new_passwords.set_by_link(call, body.token, body.password)
            words = words_for(call.request)
            return page(words, words.say("reset-done-title"), words.say("reset-done-text", email=account.email))

        return await _shown(call, work, lambda wrong: self._reset_form(call, wrong))

    async def _reset_form(self, call: Call, wrong: str = "") -> web.Response:
        account = await self._new_passwords.account_of(call.text("token"))
        words = words_for(call.request)
        text = words.say("reset-text", email=account.email)
        return form_page(
            words, words.say("reset-title"), text, fields=[NEW_PASSWORD], button=words.say("reset-button"), wrong=wrong
        )

    # -- a new address ------------------------------------------------------------------------------------------

    async def address_page(self, call: Call, _body: Nothing) -> web.Response:
        async def work() -> web.Response:
            change, _ = await self._new_addresses.by_link(call.text("token"))
            words = words_for(call.request)
            text = words.say("address-text", old=change.old, new=change.new)
            return page(words, words.say("address-title"), text, button=words.say("address-button"))

        return await _shown(call, work)

    async def address(self, call: Call, _body: Nothing) -> web.Response:
        async def work() -> web.Response:
            await read_form(call.request)
            what = "done" if await self._new_addresses.confirm_by_link(call.text("token")) else "half"
            words = words_for(call.request)
            return page(words, words.say(f"address-{what}-title"), words.say(f"address-{what}-text"))

        return await _shown(call, work)

    # -- an invitation ------------------------------------------------------------------------------------------

    async def invitation_page(self, call: Call, _body: Nothing) -> web.Response:
        return await _shown(call, lambda: self._invitation_form(call))

    async def invitation(self, call: Call, _body: Nothing) -> web.Response:
        async def work() -> web.Response:
            token = call.text("token")
            invitation = await self._inviting.by_link(token)
            form = await read_form(call.request)
            if await self._directory.account_by_email(invitation.email) is None:
                body = _filled({**form, "email": invitation.email, "invitation": token}, m.NewAccount)
                await self._accounts.register(call, body)
            else:
                await self._join(call, invitation, form.get("password", ""))
            words = words_for(call.request)
            what = await self._library(words, invitation)
            text = words.say("invitation-done-text", email=invitation.email, what=what)
            return page(words, words.say("invitation-done-title"), text)

        return await _shown(call, work, lambda wrong: self._invitation_form(call, wrong))

    async def _join(self, call: Call, invitation: InvitationRecord, password: str) -> None:
        """The link proves to read the address, the password to own the account: whoever registered with an address
        that is not theirs gets no further by its owner's invitation."""
        account = await self._proving.by_email(call.request, invitation.email, password)
        if account is None:
            detail = "The password is wrong. If it is not you who made this account, set a new password first."
            raise Refused("sign-in-failed", detail, status=401)
        await self._inviting.accept_all(account, invitation)

    async def _invitation_form(self, call: Call, wrong: str = "") -> web.Response:
        invitation = await self._inviting.by_link(call.text("token"))
        inviter = await self._directory.account(invitation.inviter)
        words = words_for(call.request)
        who = (inviter.name if inviter is not None else "") or words.say("somebody")
        title, what = words.say("invitation-title"), await self._library(words, invitation)
        text = words.say("invitation-text", who=who, email=invitation.email, what=what)
        if await self._directory.account_by_email(invitation.email) is None:
            register = words.say("invitation-register")
            return form_page(words, title, text, fields=[NAME, NEW_PASSWORD], button=register, wrong=wrong)
        known, accept = words.say("invitation-known"), words.say("invitation-accept")
        return form_page(words, title, text, known, fields=[PASSWORD], button=accept, wrong=wrong)

    async def _library(self, words: Words, invitation: InvitationRecord) -> str:
        record = await self._directory.library(invitation.library) if invitation.library else None
        return words.named(record.name) if record is not None else "Syncline"


async def _shown(
    call: Call,
    work: Callable[[], Awaitable[web.Response]],
    again: Callable[[str], Awaitable[web.Response]] | None = None,
) -> web.Response:
    """A page in any case: the form again for what can be mended, or why the link does not work."""
    words = words_for(call.request)
    try:
        return await work()
    except Refused as error:
        if again is None or error.kind not in _AGAIN:
            return refusal_page(words, error)
        wrong = error
    try:
        form = await again(words.problem(wrong))
    except Refused as error:
        return refusal_page(words, error)
    form.set_status(wrong.status)
    if "retry_after_s" in wrong.facts:
        form.headers["Retry-After"] = str(wrong.facts["retry_after_s"])
    return form


def _filled(form: object, body: type[T]) -> T:
    """A form as the body that programs would send. Raises ``Refused("invalid-body")``."""
    try:
        return msgspec.convert(form, body)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        field = at.rstrip("`") or "form"
        raise Refused("invalid-body", f"The {field} is not as it should be: {message}.", status=422) from None
