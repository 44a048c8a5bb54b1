"""Accounts over the whole stack: letters really sent, links really opened, rights gone at the next request."""

from __future__ import annotations

import asyncio
import re
import secrets
from email.message import EmailMessage
from pathlib import Path

import pytest

from syncline.client.api import Api
from syncline.client.home import Home, SessionFile
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.people import PASSWORD, eventually, person

_TOKEN = re.compile(r"[?&]token=([\w-]+)")


async def letter(stack: EmbeddedStack, email: str, about: str) -> EmailMessage:
    """The letter to this address with this in its subject."""

    async def come() -> list[EmailMessage]:
        return [mail for mail in stack.mails() if mail["To"] == email and about in str(mail["Subject"])]

    return (await eventually(come, until=bool))[-1]


async def token(stack: EmbeddedStack, email: str, about: str) -> str:
    body = (await letter(stack, email, about)).get_body(("plain",))
    assert body is not None
    found = _TOKEN.search(body.get_content())
    assert found is not None
    return found[1]


async def test_an_invitation_by_mail_makes_a_member(stack: EmbeddedStack, tmp_path: Path) -> None:
    guest = f"guest-{secrets.token_hex(4)}@example.org"
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library(name="Invited")
        member = await alice.api.set_member(library, m.NewMember(email=guest, role=Role.EDITOR))
        assert member.invited
        invited = await token(stack, guest, "invites you")
        async with Api(stack.url, SessionFile(Home(tmp_path / "guest"))) as api:
            await api.sign_up(guest, PASSWORD, "Guest", invitation=invited)
            await api.sign_in(guest, PASSWORD, "desk")
            assert [(one.id, one.role) for one in await api.libraries()] == [(library, Role.EDITOR)]


async def test_a_new_password_by_mail_ends_every_session_and_every_wait(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with person(stack.url, tmp_path, "alice") as alice:
        await alice.library()
        heads = await alice.api.heads()
        waiting = asyncio.create_task(alice.api.heads(heads.token, wait_s=50))
        await alice.api.governing.ask_reset(alice.email)
        reset = await token(stack, alice.email, "new password")
        assert not waiting.done()
        await alice.api.governing.use_reset(reset, "a wholly new password", keep_this_device=False)
        with pytest.raises(Refused) as refused:
            await waiting
        assert refused.value.status == 401
        with pytest.raises(Refused) as refused:
            await alice.api.governing.use_reset(reset, "and another one", keep_this_device=False)
        assert refused.value.kind == "link-used"
        await letter(stack, alice.email, "was changed")


async def test_a_group_s_rights_come_and_go_at_once_on_every_service(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library(name="Grouped")
        group = await alice.api.governing.create_group("Designers")
        await alice.api.governing.share_with_group(library, group.id, m.GroupRole(role=Role.EDITOR))
        before = await bob.api.heads()
        waiting = asyncio.create_task(bob.api.heads(before.token, wait_s=50))
        await asyncio.sleep(0.5)
        member = await alice.api.governing.add_to_group(group.id, bob.email)
        assert library in {head.library for head in (await asyncio.wait_for(waiting, 8)).heads}
        # Metadata asks for the role as well: the bytes of a member by group become a file.
        await bob.add(library, "by-bob.txt", b"bob was here")
        await alice.api.governing.remove_from_group(group.id, member.account)
        for ask in (bob.api.library(library), bob.api.changes(library)):
            with pytest.raises(Refused) as refused:
                await ask
            assert refused.value.kind == "no-such-library"


async def test_a_removed_account_leaves_its_library_to_its_heir(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library(name="Inherited")
        await alice.add(library, "by-alice.txt", b"alice was here")
        await alice.api.governing.remove_account(PASSWORD, bob.email)
        with pytest.raises(Refused):
            await alice.api.me()
        assert (await bob.api.library(library)).role is Role.OWNER
        node = await bob.api.find(library, "by-alice.txt")
        assert node.version is not None
        assert node.version.account == alice.session.account.id
        await letter(stack, alice.email, "was removed")


async def test_both_addresses_confirm_a_new_one(stack: EmbeddedStack, tmp_path: Path) -> None:
    new = f"new-{secrets.token_hex(4)}@example.org"
    async with person(stack.url, tmp_path, "alice") as alice:
        await alice.api.governing.ask_address(new, PASSWORD)
        old_token = await token(stack, alice.email, "Change your address")
        new_token = await token(stack, new, "Confirm your new address")
        assert not (await alice.api.governing.confirm_address(new_token)).done
        assert (await alice.api.governing.confirm_address(old_token)).done
        assert (await alice.api.me()).account.email == new
