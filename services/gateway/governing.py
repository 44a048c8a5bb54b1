"""The rooms about accounts, devices, invitations and groups, wired, with the routes that they serve."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway import account_table as table
from services.gateway.account_pages import AccountPages
from services.gateway.devices import Devices
from services.gateway.groups import GroupRoom
from services.gateway.invitations import Inviting
from services.gateway.libraries import Libraries
from services.gateway.new_addresses import NewAddresses
from services.gateway.new_passwords import NewPasswords
from services.gateway.removal import Removal
from syncline.serving.routes import Endpoint, bind


@dataclass(frozen=True)
class Governing:
    devices: Devices
    new_passwords: NewPasswords
    new_addresses: NewAddresses
    removal: Removal
    inviting: Inviting
    groups: GroupRoom
    pages: AccountPages
    libraries: Libraries


def endpoints(rooms: Governing) -> list[Endpoint]:
    return [
        bind(table.DEVICES, rooms.devices.all),
        bind(table.REVOKE_DEVICE, rooms.devices.revoke),
        bind(table.ASK_RESET, rooms.new_passwords.ask),
        bind(table.USE_RESET, rooms.new_passwords.use),
        bind(table.CHANGE_PASSWORD, rooms.new_passwords.change),
        bind(table.ASK_ADDRESS, rooms.new_addresses.ask),
        bind(table.CONFIRM_ADDRESS, rooms.new_addresses.confirm),
        bind(table.REMOVE_ACCOUNT, rooms.removal.remove),
        bind(table.INVITATIONS, rooms.inviting.of_library),
        bind(table.REVOKE_INVITATION, rooms.inviting.revoke),
        bind(table.ACCEPT_INVITATION, rooms.inviting.accept),
        bind(table.TRANSFER, rooms.libraries.transfer),
        bind(table.CREATE_GROUP, rooms.groups.create),
        bind(table.GROUPS, rooms.groups.all),
        bind(table.GET_GROUP, rooms.groups.get),
        bind(table.DELETE_GROUP, rooms.groups.delete),
        bind(table.ADD_TO_GROUP, rooms.groups.add),
        bind(table.REMOVE_FROM_GROUP, rooms.groups.remove),
        bind(table.SHARE_WITH_GROUP, rooms.groups.share),
        bind(table.UNSHARE_WITH_GROUP, rooms.groups.unshare),
        bind(table.RESET_PAGE, rooms.pages.reset_page),
        bind(table.RESET, rooms.pages.reset),
        bind(table.ADDRESS_PAGE, rooms.pages.address_page),
        bind(table.ADDRESS, rooms.pages.address),
        bind(table.INVITATION_PAGE, rooms.pages.invitation_page),
        bind(table.INVITATION, rooms.pages.invitation),
    ]
