"""The gateway's rooms about mail, and what serves their routes."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway import mail_table
from services.gateway.follows import Following
from services.gateway.outside import OutsideFollowing
from services.gateway.webhooks import Hooking
from syncline.serving.routes import Endpoint, bind


@dataclass(frozen=True)
class Mailing:
    following: Following
    outside: OutsideFollowing
    hooking: Hooking


def endpoints(rooms: Mailing) -> list[Endpoint]:
    """Every route of ``mail_table`` with what serves it."""
    return [
        bind(mail_table.MAIL_SETTINGS, rooms.following.settings),
        bind(mail_table.PREFER, rooms.following.prefer),
        bind(mail_table.LIFT, rooms.following.lift),
        bind(mail_table.OUTSIDE_FOLLOWERS, rooms.outside.all),
        bind(mail_table.INVITE_FOLLOWER, rooms.outside.invite),
        bind(mail_table.REMOVE_FOLLOWER, rooms.outside.remove),
        bind(mail_table.SET_OUTSIDE_RULES, rooms.outside.set_rules),
        bind(mail_table.WEBHOOKS, rooms.hooking.all),
        bind(mail_table.ADD_WEBHOOK, rooms.hooking.add),
        bind(mail_table.ENABLE_WEBHOOK, rooms.hooking.enable),
        bind(mail_table.REMOVE_WEBHOOK, rooms.hooking.remove),
        bind(mail_table.CONFIRM_PAGE, rooms.outside.confirm_page),
        bind(mail_table.CONFIRM, rooms.outside.confirm),
    ]
