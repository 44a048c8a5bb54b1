"""Accounts, sessions and devices."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from syncline.messages.api.words import Email, Password, Title, Token


class NewAccount(Struct, kw_only=True):
    """``invitation`` is the token of the link in an invitation, where registering needs one."""

    email: Email
    password: Password
    name: Title
    invitation: Token = ""


class Account(Struct, kw_only=True):
    id: str
    email: str
    name: str


class SignIn(Struct, kw_only=True):
    """Signing in makes a device."""

    email: Email
    password: Password
    device_name: Title


class Refresh(Struct, kw_only=True):
    refresh_token: Annotated[str, Meta(max_length=512)]


class Session(Struct, kw_only=True):
    """``access_token`` is a bearer token good for ``expires_in_s``; each refresh answers a new ``refresh_token``."""

    account: Account
    device: str
    device_name: str
    access_token: str
    expires_in_s: int
    refresh_token: str


class Me(Struct, kw_only=True):
    account: Account
    device: str
    device_name: str


class Device(Struct, kw_only=True):
    """``refreshed_at_ms``: its session's last refresh, every 15 minutes while in use. ``this``: the asker's own."""

    id: str
    name: str
    signed_in_at_ms: int
    refreshed_at_ms: int
    this: bool = False


class Devices(Struct, kw_only=True):
    devices: list[Device]


class ResetRequest(Struct, kw_only=True):
    """Asks for a mail with a link to set a new password."""

    email: Email


class NewPassword(Struct, kw_only=True):
    """``token`` is that of the link. ``keep_this_device``: the one whose access token the request carries stays."""

    token: Token
    password: Password
    keep_this_device: bool = False


class PasswordChange(Struct, kw_only=True):
    password: Annotated[str, Meta(max_length=1024)]
    new_password: Password
    keep_this_device: bool = True


class AddressRequest(Struct, kw_only=True):
    email: Email
    password: Annotated[str, Meta(max_length=1024)]


class LinkToken(Struct, kw_only=True):
    """The token of a link in a mail."""

    token: Token


class AddressConfirmed(Struct, kw_only=True):
    """``done``: both addresses have confirmed, the new one holds. Else the other one is waited for."""

    done: bool


class AccountRemoval(Struct, kw_only=True):
    """``hand_to`` is the e-mail address of the account that gets what only this one owns."""

    password: Annotated[str, Meta(max_length=1024)]
    hand_to: Annotated[str, Meta(max_length=254)] = ""
