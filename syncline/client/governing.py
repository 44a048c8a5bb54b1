"""The service's routes about accounts, devices, invitations, webhooks and groups as typed methods; others: ``api``."""

from __future__ import annotations

from syncline.client.http import Transport
from syncline.messages import api as m


class GoverningApi:
    """Errors and retries are those of ``http``."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    # -- devices, passwords, addresses, accounts

    async def devices(self) -> list[m.Device]:
        return (await self._call("GET", "/v1/devices", m.Devices)).devices

    async def revoke_device(self, device: str) -> None:
        await self._call("DELETE", f"/v1/devices/{device}", type(None))

    async def ask_reset(self, email: str) -> None:
        """Have a link to set a new password sent, if there is an account with this address; that is not told."""
        body = m.ResetRequest(email=email)
        await self._call("POST", "/v1/password-resets", type(None), body=body, open_to_all=True, repeatable=False)

    async def use_reset(self, token: str, password: str, *, keep_this_device: bool) -> None:
        """``keep_this_device`` needs somebody signed in; it is not signed out by the new password then."""
        body = m.NewPassword(token=token, password=password, keep_this_device=keep_this_device)
        await self._call(
            "POST",
            "/v1/password-resets/use",
            type(None),
            body=body,
            open_to_all=not keep_this_device,
            repeatable=False,
        )

    async def change_password(self, password: str, new_password: str, *, keep_this_device: bool = True) -> None:
        body = m.PasswordChange(password=password, new_password=new_password, keep_this_device=keep_this_device)
        await self._call("POST", "/v1/me/password", type(None), body=body, repeatable=False)

    async def ask_address(self, email: str, password: str) -> None:
        body = m.AddressRequest(email=email, password=password)
        await self._call("POST", "/v1/me/address", type(None), body=body, repeatable=False)

    async def confirm_address(self, token: str) -> m.AddressConfirmed:
        body = m.LinkToken(token=token)
        return await self._call(
            "POST", "/v1/address-changes/confirm", m.AddressConfirmed, body=body, open_to_all=True, repeatable=False
        )

    async def remove_account(self, password: str, hand_to: str) -> None:
        body = m.AccountRemoval(password=password, hand_to=hand_to)
        await self._call("POST", "/v1/me/removal", type(None), body=body, repeatable=False)

    # -- invitations and ownership

    async def invitations(self, library: str) -> list[m.Invitation]:
        return (await self._call("GET", f"/v1/libraries/{library}/invitations", m.Invitations)).invitations

    async def revoke_invitation(self, library: str, invitation: str) -> None:
        await self._call("DELETE", f"/v1/libraries/{library}/invitations/{invitation}", type(None))

    async def accept_invitation(self, token: str) -> list[str]:
        """The libraries joined."""
        body = m.LinkToken(token=token)
        return (await self._call("POST", "/v1/invitations/accept", m.Accepted, body=body)).libraries

    async def transfer(self, library: str, transfer: m.Transfer) -> m.Member:
        path = f"/v1/libraries/{library}/transfer"
        return await self._call("POST", path, m.Member, body=transfer, repeatable=False)

    # -- webhooks

    async def webhooks(self, library: str) -> list[m.Webhook]:
        return (await self._call("GET", f"/v1/libraries/{library}/webhooks", m.Webhooks)).webhooks

    async def add_webhook(self, library: str, url: str) -> m.WebhookMade:
        body = m.NewWebhook(url=url)
        return await self._call("POST", f"/v1/libraries/{library}/webhooks", m.WebhookMade, body=body, repeatable=False)

    async def enable_webhook(self, library: str, webhook: str) -> m.Webhook:
        return await self._call("POST", f"/v1/libraries/{library}/webhooks/{webhook}/enable", m.Webhook)

    async def remove_webhook(self, library: str, webhook: str) -> None:
        await self._call("DELETE", f"/v1/libraries/{library}/webhooks/{webhook}", type(None))

    # -- groups

    async def groups(self) -> list[m.Group]:
        return (await self._call("GET", "/v1/groups", m.Groups)).groups

    async def group(self, group: str) -> m.GroupDetail:
        return await self._call("GET", f"/v1/groups/{group}", m.GroupDetail)

    async def create_group(self, name: str) -> m.Group:
        return await self._call("POST", "/v1/groups", m.Group, body=m.NewGroup(name=name), repeatable=False)

    async def delete_group(self, group: str) -> None:
        await self._call("DELETE", f"/v1/groups/{group}", type(None))

    async def add_to_group(self, group: str, email: str) -> m.GroupMember:
        body = m.NewGroupMember(email=email)
        return await self._call("POST", f"/v1/groups/{group}/members", m.GroupMember, body=body)

    async def remove_from_group(self, group: str, account: str) -> None:
        await self._call("DELETE", f"/v1/groups/{group}/members/{account}", type(None))

    async def share_with_group(self, library: str, group: str, body: m.GroupRole) -> m.LibraryGroup:
        return await self._call("PUT", f"/v1/libraries/{library}/groups/{group}", m.LibraryGroup, body=body)

    async def unshare_with_group(self, library: str, group: str) -> None:
        await self._call("DELETE", f"/v1/libraries/{library}/groups/{group}", type(None))
