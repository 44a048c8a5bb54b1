"""The gateway's routes about mail and webhooks: preferences, outside followers, and their confirming."""

from __future__ import annotations

from typing import Any

from services.gateway.pages import LINK_QUERY
from syncline.messages import api as m
from syncline.serving.routes import SMALL_BODY_BYTES, Nothing, Route

FOLLOWERS = "/v1/libraries/{library}/followers"
HOOKS = "/v1/libraries/{library}/webhooks"
MY_MAIL = "/v1/me/mail"
WRITES = ("no-such-library", "not-allowed")

MAIL_SETTINGS = Route("GET", MY_MAIL, "How often and of what the asker wants mail.", Nothing, m.MailSettings)
PREFER = Route(
    "PUT",
    MY_MAIL,
    "Say what holds for all mail to the asker where a follow says nothing else.",
    m.MailPreferences,
    m.MailSettings,
    problems=("bad-zone",),
    body_bytes_max=SMALL_BODY_BYTES,
)
LIFT = Route(
    "POST",
    f"{MY_MAIL}/lift",
    "Send mail again to the asker's address, after it came back.",
    Nothing,
    m.MailSettings,
    problems=("lifted-too-often",),
)
OUTSIDE_FOLLOWERS = Route(
    "GET",
    FOLLOWERS,
    "Who outside follows a library, or was asked (editors and owners).",
    Nothing,
    m.OutsideFollowers,
    problems=WRITES,
)
INVITE_FOLLOWER = Route(
    "POST",
    FOLLOWERS,
    "Ask someone without an account whether they want mail (editors and owners).",
    m.NewOutsideFollower,
    m.OutsideFollower,
    problems=(
        *WRITES,
        "no-such-node",
        "bad-zone",
        "already-member",
        "invitation-declined",
        "too-many-followers",
        "too-many-requests",
    ),
    body_bytes_max=SMALL_BODY_BYTES,
)
REMOVE_FOLLOWER = Route(
    "DELETE",
    f"{FOLLOWERS}/{{follower}}",
    "No more mail to an outside follower, and no more links (editors and owners).",
    Nothing,
    Nothing,
    status=204,
    problems=(*WRITES, "no-such-follower"),
)
SET_OUTSIDE_RULES = Route(
    "PUT",
    "/v1/libraries/{library}/outside",
    "Say what outside followers may do (owners).",
    m.OutsideRules,
    m.OutsideRules,
    problems=WRITES,
    body_bytes_max=SMALL_BODY_BYTES,
)
WEBHOOKS = Route(
    "GET", HOOKS, "The webhooks of a library, and how they fare (owners).", Nothing, m.Webhooks, problems=WRITES
)
ADD_WEBHOOK = Route(
    "POST",
    HOOKS,
    "Have an address told over HTTPS what changes in a library (owners).",
    m.NewWebhook,
    m.WebhookMade,
    status=201,
    problems=(*WRITES, "bad-webhook", "too-many-webhooks"),
    body_bytes_max=SMALL_BODY_BYTES,
)
ENABLE_WEBHOOK = Route(
    "POST",
    f"{HOOKS}/{{webhook}}/enable",
    "Tell a webhook that was disabled again, first of what it missed (owners).",
    Nothing,
    m.Webhook,
    problems=(*WRITES, "no-such-webhook"),
)
REMOVE_WEBHOOK = Route(
    "DELETE",
    f"{HOOKS}/{{webhook}}",
    "Tell a webhook nothing more (owners).",
    Nothing,
    Nothing,
    status=204,
    problems=(*WRITES, "no-such-webhook"),
)
CONFIRM_PAGE = Route(
    "GET",
    "/v1/confirm",
    "A page with one button that agrees to mail about a library.",
    Nothing,
    Nothing,
    problems=("bad-link", "link-expired"),
    also=((200, "An HTML page."),),
    query=LINK_QUERY,
    signed_in=False,
)
CONFIRM = Route(
    "POST",
    "/v1/confirm",
    "Agree to mail about a library, for a year, or for another.",
    Nothing,
    Nothing,
    problems=("bad-link", "link-expired"),
    also=((200, "An HTML page."),),
    query=LINK_QUERY,
    signed_in=False,
)

ROUTES: tuple[Route[Any, Any], ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Route))
"""All of the above, in this order."""
