"""The gateway's routes about accounts, devices, invitations and groups; ``table`` has the others."""

from __future__ import annotations

from typing import Any

from services.gateway.pages import LINK_QUERY
from syncline.messages import api as m
from syncline.serving.routes import SMALL_BODY_BYTES, Nothing, Route

LIBRARY = "/v1/libraries/{library}"
PAGE = ((200, "An HTML page."),)
LINK = ("bad-link", "link-expired")
GOVERNS = ("no-such-library", "not-allowed")
IN_GROUP = ("no-such-group",)
OWNS_GROUP = ("no-such-group", "not-allowed")
ONCE_MORE = ("wrong-password", "too-many-requests")

# -- devices

DEVICES = Route("GET", "/v1/devices", "The devices on which the asker is signed in.", Nothing, m.Devices)
REVOKE_DEVICE = Route(
    "DELETE",
    "/v1/devices/{device}",
    "Sign one of the asker's devices out, from its next request on.",
    Nothing,
    Nothing,
    status=204,
    problems=("no-such-device",),
)

# -- passwords

ASK_RESET = Route(
    "POST",
    "/v1/password-resets",
    "Ask for a mail with a link to set a new password; the answer is the same for every address.",
    m.ResetRequest,
    Nothing,
    status=202,
    problems=("too-many-requests",),
    signed_in=False,
    body_bytes_max=SMALL_BODY_BYTES,
)
USE_RESET = Route(
    "POST",
    "/v1/password-resets/use",
    "Set a new password by the link in a mail; signs out every device.",
    m.NewPassword,
    Nothing,
    status=204,
    problems=(*LINK, "link-used", "not-signed-in", "token-expired", "device-revoked"),
    signed_in=False,
    body_bytes_max=SMALL_BODY_BYTES,
)
CHANGE_PASSWORD = Route(
    "POST",
    "/v1/me/password",
    "Set a new password by the old one; signs out the other devices.",
    m.PasswordChange,
    Nothing,
    status=204,
    problems=ONCE_MORE,
    body_bytes_max=SMALL_BODY_BYTES,
)

# -- the address, and the end of an account

ASK_ADDRESS = Route(
    "POST",
    "/v1/me/address",
    "Ask for another e-mail address; both the old and the new one get a link to confirm it.",
    m.AddressRequest,
    Nothing,
    status=202,
    problems=ONCE_MORE,
    body_bytes_max=SMALL_BODY_BYTES,
)
CONFIRM_ADDRESS = Route(
    "POST",
    "/v1/address-changes/confirm",
    "Confirm a change of address by the link in a mail.",
    m.LinkToken,
    m.AddressConfirmed,
    problems=(*LINK, "link-used", "email-taken"),
    signed_in=False,
    body_bytes_max=SMALL_BODY_BYTES,
)
REMOVE_ACCOUNT = Route(
    "POST",
    "/v1/me/removal",
    "Remove the asker's account; what only it owns is handed to another account.",
    m.AccountRemoval,
    Nothing,
    status=204,
    problems=(*ONCE_MORE, "still-owns", "no-such-account", "last-owner"),
    body_bytes_max=SMALL_BODY_BYTES,
)

# -- invitations and ownership

INVITATIONS = Route(
    "GET",
    f"{LIBRARY}/invitations",
    "Who is invited to a library and has not come yet (owners).",
    Nothing,
    m.Invitations,
    problems=GOVERNS,
)
REVOKE_INVITATION = Route(
    "DELETE",
    f"{LIBRARY}/invitations/{{invitation}}",
    "Revoke an invitation: its link works no more (owners).",
    Nothing,
    Nothing,
    status=204,
    problems=(*GOVERNS, "no-such-invitation"),
)
ACCEPT_INVITATION = Route(
    "POST",
    "/v1/invitations/accept",
    "Accept an invitation with an account that exists already.",
    m.LinkToken,
    m.Accepted,
    problems=(*LINK, "invitation-gone", "invitation-for-another"),
    body_bytes_max=SMALL_BODY_BYTES,
)
TRANSFER = Route(
    "POST",
    f"{LIBRARY}/transfer",
    "Make somebody else an owner and step back (owners).",
    m.Transfer,
    m.Member,
    problems=(*GOVERNS, "no-such-account"),
    body_bytes_max=SMALL_BODY_BYTES,
)

# -- groups

CREATE_GROUP = Route(
    "POST",
    "/v1/groups",
    "Make a group, owned by the asker.",
    m.NewGroup,
    m.Group,
    status=201,
    problems=("too-many-groups",),
    body_bytes_max=SMALL_BODY_BYTES,
)
GROUPS = Route("GET", "/v1/groups", "The groups the asker owns or is in.", Nothing, m.Groups)
GET_GROUP = Route("GET", "/v1/groups/{group}", "A group and its members.", Nothing, m.GroupDetail, problems=IN_GROUP)
DELETE_GROUP = Route(
    "DELETE",
    "/v1/groups/{group}",
    "Delete a group; its members lose what they had through it (the group's owner).",
    Nothing,
    Nothing,
    status=204,
    problems=OWNS_GROUP,
)
ADD_TO_GROUP = Route(
    "POST",
    "/v1/groups/{group}/members",
    "Take an account into a group (the group's owner).",
    m.NewGroupMember,
    m.GroupMember,
    problems=(*OWNS_GROUP, "no-such-account", "group-full"),
    body_bytes_max=SMALL_BODY_BYTES,
)
REMOVE_FROM_GROUP = Route(
    "DELETE",
    "/v1/groups/{group}/members/{account}",
    "Take an account out of a group (the group's owner), or leave (anyone).",
    Nothing,
    Nothing,
    status=204,
    problems=(*OWNS_GROUP, "no-such-member"),
)
SHARE_WITH_GROUP = Route(
    "PUT",
    f"{LIBRARY}/groups/{{group}}",
    "Share a library with a group, or give the group another role (owners).",
    m.GroupRole,
    m.LibraryGroup,
    problems=(*GOVERNS, "no-such-group", "too-many-groups"),
    body_bytes_max=SMALL_BODY_BYTES,
)
UNSHARE_WITH_GROUP = Route(
    "DELETE",
    f"{LIBRARY}/groups/{{group}}",
    "Take a group out of a library (owners).",
    Nothing,
    Nothing,
    status=204,
    problems=(*GOVERNS, "no-such-group"),
)

# -- what links in letters lead to


def _page(method: str, path: str, summary: str, *problems: str) -> Route[Nothing, Nothing]:
    return Route(
        method,
        path,
        summary,
        Nothing,
        Nothing,
        problems=(*LINK, *problems),
        also=PAGE,
        query=LINK_QUERY,
        signed_in=False,
    )


RESET_PAGE = _page("GET", "/v1/reset", "A page to set a new password.", "link-used")
RESET = _page("POST", "/v1/reset", "Set a new password from that page.", "link-used")
ADDRESS_PAGE = _page("GET", "/v1/address", "A page to confirm a change of address.", "link-used")
ADDRESS = _page("POST", "/v1/address", "Confirm a change of address from that page.", "link-used", "email-taken")
INVITATION_PAGE = _page("GET", "/v1/invitation", "A page to accept an invitation.", "invitation-gone")
INVITATION = _page(
    "POST",
    "/v1/invitation",
    "Accept an invitation from that page, registering if need be.",
    "invitation-gone",
    "sign-in-failed",
    "registration-closed",
    "too-many-requests",
)

ROUTES: tuple[Route[Any, Any], ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Route))
"""All of the above, in this order."""
