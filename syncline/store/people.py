"""Accounts and their devices; the rows are written in ``directory``."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec

from syncline.domain.errors import ConditionFailed, NotFound, Refused
from syncline.ports.tables import Absent, Delete, Equals, Exists, Put, Table, Tables, Update, Value
from syncline.store.codec import text
from syncline.store.directory_rows import (
    AccountRecord,
    DeviceRecord,
    account_key,
    account_of,
    bare_row,
    device_index_key,
    device_key,
    device_of,
    email_key,
    row_of,
)
from syncline.store.together import together

DEVICES_MAX = 500
"""Of one account; signing in on a further one signs out the one that was away longest."""
SIGNED_OUT_KEPT_S = 90 * 24 * 3600
"""A device that was signed out is remembered so long: what it sent before may still arrive, and says its name."""
WRITES_AT_ONCE = 8


def normal_email(address: str) -> str:
    """The one form in which an address is stored and looked up: trimmed, lower case, NFC."""
    return unicodedata.normalize("NFC", address.strip().lower())


class People:
    """Accounts and devices. Reads see every earlier write."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # -- accounts -----------------------------------------------------------------------------------------------

    async def create_account(self, account: AccountRecord) -> AccountRecord:
        """Store a new account, its address in normal form. Raises ``Refused("email-taken")``."""
        email = normal_email(account.email)
        normal = msgspec.structs.replace(account, email=email)
        operations = [
            Put(Table.DIRECTORY, row_of(account_key(normal.id), normal), Absent()),
            Put(Table.DIRECTORY, bare_row(email_key(email), account=normal.id), Absent()),
        ]
        try:
            await self._tables.transact(operations)
        except ConditionFailed:
            raise email_taken(email) from None
        return normal

    async def account(self, account: str) -> AccountRecord | None:
        """None also for one that was removed."""
        row = await self._tables.get(Table.DIRECTORY, account_key(account))
        return None if row is None else _unless_removed(account_of(row))

    async def accounts(self, accounts: Sequence[str]) -> dict[str, AccountRecord]:
        """Those that exist, by id."""
        keys = [account_key(account) for account in accounts]
        rows = await self._tables.get_many(Table.DIRECTORY, keys)
        return {record.id: record for record in map(account_of, rows.values()) if not record.removed_at_ms}

    async def account_by_email(self, email: str) -> AccountRecord | None:
        row = await self._tables.get(Table.DIRECTORY, email_key(normal_email(email)))
        return None if row is None else await self.account(text(row, "account"))

    async def set_password_hash(self, account: str, expected_hash: str, new_hash: str) -> None:
        """Store the same password under newer parameters. Raises ``ConditionFailed`` when it was changed meanwhile."""
        same = Equals({"password_hash": expected_hash})
        change: dict[str, Value] = {"password_hash": new_hash}
        await self._tables.write(Update(Table.DIRECTORY, account_key(account), set=change, when=same))

    async def change_password(
        self, account: AccountRecord, new_hash: str, *, keep_device: str = "", confirmed_at_ms: int = 0
    ) -> None:
        """Another password: with it, and in the same moment, all devices but ``keep_device`` are signed out.

        ``confirmed_at_ms`` when a link sent to the address was used. Raises ``ConditionFailed`` when password or
        address have changed since ``account`` was read, or the device to keep was signed out.
        """
        same = Equals({"password_hash": account.password_hash, "email": account.email})
        changed: dict[str, Value] = {"password_hash": new_hash}
        if confirmed_at_ms:
            changed["confirmed_at_ms"] = confirmed_at_ms
        key = account_key(account.id)
        operations = [Update(Table.DIRECTORY, key, set=changed, add={"epoch": 1}, when=same)]
        if keep_device:
            kept = Equals({"account": account.id, "revoked": False})
            epoch: dict[str, Value] = {"epoch": account.epoch + 1}
            operations.append(Update(Table.DIRECTORY, device_key(keep_device), set=epoch, when=kept))
        await self._tables.transact(operations)

    async def change_email(self, account: AccountRecord, email: str, *, at_ms: int) -> None:
        """Another address, confirmed at ``at_ms``; the old one is free at once.

        Raises ``Refused("email-taken")``, ``ConditionFailed`` when the account has changed since it was read.
        """
        same = Equals({"email": account.email, "password_hash": account.password_hash})
        operations: list[Put | Update | Delete] = [
            Update(
                Table.DIRECTORY,
                account_key(account.id),
                set={"email": email, "confirmed_at_ms": at_ms},
                when=same,
            ),
            Put(Table.DIRECTORY, bare_row(email_key(email), account=account.id), Absent()),
            Delete(Table.DIRECTORY, email_key(account.email), Equals({"account": account.id})),
        ]
        try:
            await self._tables.transact(operations)
        except ConditionFailed as failed:
            if failed.index == 1:
                raise email_taken(email) from None
            raise

    async def remove_account(self, account: AccountRecord, *, at_ms: int) -> None:
        """Nobody is this account any more, its devices are signed out and its address is free. What else it has
        (memberships, groups, follows) is taken away before. Raises ``ConditionFailed`` when it has changed."""
        same = Equals({"email": account.email, "password_hash": account.password_hash})
        left = msgspec.structs.replace(account, email="", name="", password_hash="", removed_at_ms=at_ms)
        operations: list[Put | Delete] = [
            Put(Table.DIRECTORY, row_of(account_key(account.id), left), same),
            Delete(Table.DIRECTORY, email_key(account.email), Equals({"account": account.id})),
        ]
        await self._tables.transact(operations)

    # -- devices ------------------------------------------------------------------------------------------------

    async def create_device(self, device: DeviceRecord) -> None:
        """Raises ``ConditionFailed`` when the id is taken."""
        operations = [
            Put(Table.DIRECTORY, row_of(device_key(device.id), device), Absent()),
            Put(Table.DIRECTORY, bare_row(device_index_key(device.account, device.id))),
        ]
        await self._tables.transact(operations)

    async def device(self, device: str) -> DeviceRecord | None:
        row = await self._tables.get(Table.DIRECTORY, device_key(device))
        return None if row is None else device_of(row)

    async def signed_in(self, account: str, device: str) -> tuple[AccountRecord, DeviceRecord] | None:
        """The account and its device as they are now, None when the device was signed out. Two read units."""
        keys = (account_key(account), device_key(device))
        rows = await self._tables.get_many(Table.DIRECTORY, keys)
        if len(rows) < len(keys):
            return None
        found, on = account_of(rows[keys[0]]), device_of(rows[keys[1]])
        return (found, on) if is_signed_in(found, on) else None

    async def devices_of(self, account: AccountRecord) -> list[DeviceRecord]:
        """The devices that are signed in, oldest first."""
        devices = [device for device in await self._indexed_devices(account.id) if is_signed_in(account, device)]
        return sorted(devices, key=lambda device: (device.created_at_ms, device.id))

    async def forget_devices(self, account: str, *, at_ms: int) -> None:
        """Take the devices that were signed out off an account's list (``devices_of`` does not show them anyway); those
        of a removed account altogether."""
        record = await self.account(account)
        devices = await self._indexed_devices(account)
        gone = [device for device in devices if record is None or not is_signed_in(record, device)]

        async def forget(device: DeviceRecord) -> None:
            if record is None:
                await self._tables.write(Delete(Table.DIRECTORY, device_key(device.id)))
            else:
                await self._remember_for_a_while(device.id, {}, at_ms)
            await self._tables.write(Delete(Table.DIRECTORY, device_index_key(account, device.id)))

        await together(gone, forget, at_once=WRITES_AT_ONCE)

    async def _remember_for_a_while(self, device: str, changed: dict[str, Value], at_ms: int) -> None:
        """Raises ``NotFound``."""
        values = {**changed, "expires_at": at_ms // 1000 + SIGNED_OUT_KEPT_S}
        try:
            await self._tables.write(Update(Table.DIRECTORY, device_key(device), set=values, when=Exists()))
        except ConditionFailed:
            raise NotFound(f"There is no device {device}") from None

    async def _indexed_devices(self, account: str) -> list[DeviceRecord]:
        rows = self._tables.query(
            Table.DIRECTORY, f"account#{account}", first="device#", last="device#~", limit=2 * DEVICES_MAX
        )
        keys = [device_key(str(row["sk"]).removeprefix("device#")) async for row in rows]
        found = await self._tables.get_many(Table.DIRECTORY, keys) if keys else {}
        return [device_of(row) for row in found.values()]

    async def rotate_refresh(
        self, device: str, expected_hash: str, new_hash: str, *, previous_hash: str, at_ms: int
    ) -> None:
        """Replace the refresh token's hash. Raises ``ConditionFailed`` unless it is ``expected_hash``, unrevoked.

        ``previous_hash`` is the token that was replaced at ``at_ms`` (on a repeat after a lost answer, the older one).
        """
        changed: dict[str, Value] = {
            "refresh_hash": new_hash,
            "previous_refresh_hash": previous_hash,
            "rotated_at_ms": at_ms,
        }
        unchanged = Equals({"refresh_hash": expected_hash, "revoked": False})
        await self._tables.write(Update(Table.DIRECTORY, device_key(device), set=changed, when=unchanged))

    async def revoke_device(self, device: str, *, at_ms: int) -> None:
        """Nobody gets in with this device any more, from the next request on. Raises ``NotFound``."""
        await self._remember_for_a_while(device, {"revoked": True}, at_ms)
        row = await self._tables.get(Table.DIRECTORY, device_key(device))
        if row is not None:
            await self._tables.write(Delete(Table.DIRECTORY, device_index_key(text(row, "account"), device)))


def is_signed_in(account: AccountRecord, device: DeviceRecord) -> bool:
    """Whether requests of this device are those of this account."""
    own = device.account == account.id and not device.revoked
    return own and device.epoch >= account.epoch and not account.removed_at_ms


def email_taken(email: str) -> Refused:
    return Refused("email-taken", f"There is an account with the address {email}.", status=409)


def _unless_removed(account: AccountRecord) -> AccountRecord | None:
    return None if account.removed_at_ms else account
