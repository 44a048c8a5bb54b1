"""Problem documents (RFC 9457): every error over HTTP, and what each kind means.

A problem's ``type`` is ``{public url}/problems/{slug}``; that page shows ``meaning``. Slugs never change.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from aiohttp import web

from syncline.domain.errors import Broken, ConditionFailed, NotFound, Refused, Temporary
from syncline.messages.api import Problem

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 2


class ProblemKind(NamedTuple):
    """``status`` is the usual one; ``meaning`` says what happened and what to do."""

    status: int
    title: str
    meaning: str


PROBLEMS: dict[str, ProblemKind] = {
    # -- any request
    "internal": ProblemKind(
        500,
        "Something is broken here",
        "A fault of the service. It is logged under the request's id; quote it when reporting.",
    ),
    "temporarily-unavailable": ProblemKind(
        503,
        "Temporarily unavailable",
        "Something the service needs is away or overloaded. Try again after the pause in Retry-After.",
    ),
    "not-found": ProblemKind(
        404,
        "Not found",
        "There is nothing at this address.",
    ),
    "method-not-allowed": ProblemKind(
        405,
        "Method not allowed",
        "This address takes other methods; see the header Allow.",
    ),
    "malformed-request": ProblemKind(
        400,
        "Malformed request",
        "The request could not be read as HTTP with the declared encoding.",
    ),
    "malformed-body": ProblemKind(
        400,
        "Malformed body",
        "The body is not valid JSON or msgpack.",
    ),
    "invalid-body": ProblemKind(
        422,
        "Invalid body",
        "The body does not have the documented form; `at` names the member.",
    ),
    "invalid-query": ProblemKind(
        422,
        "Invalid query",
        "A query parameter does not have the documented form; `at` names it.",
    ),
    "invalid-header": ProblemKind(
        422,
        "Invalid header",
        "A header does not have the documented form; `at` names it.",
    ),
    "body-too-large": ProblemKind(
        413,
        "Body too large",
        "The body, after inflating, is longer than `limit_bytes`. Split the request.",
    ),
    "unsupported-media-type": ProblemKind(
        415,
        "Unsupported media type",
        "Bodies are application/json or application/msgpack.",
    ),
    "too-many-requests": ProblemKind(
        429,
        "Too many requests",
        "Wait as long as Retry-After says, then try again.",
    ),
    "draining": ProblemKind(
        503,
        "Shutting down",
        "This instance is being replaced. Try again.",
    ),
    # -- sign-in
    "not-signed-in": ProblemKind(
        401,
        "Not signed in",
        "The request needs a valid access token in `Authorization: Bearer`. Sign in, or refresh the session.",
    ),
    "token-expired": ProblemKind(
        401,
        "Access token expired",
        "Refresh the session and repeat the request.",
    ),
    "device-revoked": ProblemKind(
        401,
        "Device signed out",
        "This device was signed out. Sign in again.",
    ),
    "sign-in-failed": ProblemKind(
        401,
        "Sign-in failed",
        "The e-mail address or the password is wrong.",
    ),
    "refresh-failed": ProblemKind(
        401,
        "Refresh failed",
        "The refresh token is unknown or was used before; when it was used before, its device"
        " is signed out. Sign in again.",
    ),
    "email-taken": ProblemKind(
        409,
        "E-mail address taken",
        "There is an account with this e-mail address. Sign in instead.",
    ),
    "wrong-password": ProblemKind(
        403,
        "Wrong password",
        "This needs your password once more, and it was wrong.",
    ),
    "registration-closed": ProblemKind(
        403,
        "Registration closed",
        "Accounts are made by invitation only, or by the operators.",
    ),
    "invitation-for-another": ProblemKind(
        403,
        "Invitation for another address",
        "An invitation is good for the address it was sent to.",
    ),
    "invitation-gone": ProblemKind(
        410,
        "Invitation gone",
        "The invitation was accepted or revoked. Ask for another one.",
    ),
    "link-used": ProblemKind(
        410,
        "Link used",
        "The link worked once already, or a newer one takes its place. Ask again.",
    ),
    "no-such-device": ProblemKind(
        404,
        "No such device",
        "Your account has no device of this id.",
    ),
    "still-owns": ProblemKind(
        409,
        "Still owns something",
        "The account is the only owner of `libraries` and `groups`. Name somebody to hand them to.",
    ),
    # -- libraries and members
    "no-such-library": ProblemKind(
        404,
        "No such library",
        "There is no such library, or you are not a member of it.",
    ),
    "no-such-account": ProblemKind(
        404,
        "No such account",
        "No account has this e-mail address or id.",
    ),
    "no-such-member": ProblemKind(
        404,
        "No such member",
        "This account is not a member of the library.",
    ),
    "not-allowed": ProblemKind(
        403,
        "Not allowed",
        "Your role in this library does not permit this.",
    ),
    "last-owner": ProblemKind(
        409,
        "Last owner",
        "A library keeps at least one owner. Make another member an owner first.",
    ),
    "member-by-group": ProblemKind(
        409,
        "Member through a group",
        "Take the account out of the group, or the group out of the library.",
    ),
    "no-such-invitation": ProblemKind(
        404,
        "No such invitation",
        "The library has no open invitation of this id.",
    ),
    "too-many-invitations": ProblemKind(
        409,
        "Too many invitations",
        "So many people are invited to this library already. Revoke some first.",
    ),
    "no-such-group": ProblemKind(
        404,
        "No such group",
        "There is no such group, or you neither own it nor are in it.",
    ),
    "group-full": ProblemKind(
        409,
        "Group full",
        "The group has as many members as a group can have.",
    ),
    "too-many-groups": ProblemKind(
        409,
        "Too many groups",
        "An account owns, and a library is shared with, so many groups at most; a group shares so many libraries.",
    ),
    # -- files
    "no-such-node": ProblemKind(
        404,
        "No such file or folder",
        "There is no such file or folder in this library.",
    ),
    "no-such-version": ProblemKind(
        404,
        "No such version",
        "The file has no such version.",
    ),
    "version-purged": ProblemKind(
        410,
        "Content given up",
        "This content was superseded or removed, kept for as long as the library's owners want, and then given up.",
    ),
    "not-removed": ProblemKind(
        409,
        "Not in the trash",
        "This file or folder has not been removed, or has been restored already.",
    ),
    "bad-time": ProblemKind(
        422,
        "Not a time of this library",
        "`at` is a time as in 2026-11-23T18:00:00Z, with its offset from UTC, or a seq that the library has come to.",
    ),
    "under-hold": ProblemKind(
        409,
        "Under a legal hold",
        "An owner has put the library on hold: nothing is given up until the hold ends.",
    ),
    "too-many-changes": ProblemKind(
        409,
        "Too many changes for one commit",
        "Going back takes `changes` changes, and one commit holds `limit_changes`. Go back folder by folder.",
    ),
    "no-such-command": ProblemKind(
        404,
        "No such command",
        "No command of this id has been decided (yet), or its outcome is older than 30 days.",
    ),
    "not-a-file": ProblemKind(
        409,
        "Not a file",
        "This needs a file, and the node is a folder.",
    ),
    "not-a-folder": ProblemKind(
        409,
        "Not a folder",
        "This needs a folder, and the node is a file.",
    ),
    "bad-name": ProblemKind(
        422,
        "Bad name",
        "A name is 1 to 255 bytes of UTF-8 without `/` and NUL, and neither `.` nor `..`.",
    ),
    "bad-path": ProblemKind(
        422,
        "Bad path",
        "A path is at most 1,024 bytes of good names between slashes.",
    ),
    "bad-intent": ProblemKind(
        422,
        "Bad intent",
        "An intent names either a file with its base version or a parent and a name, with a "
        "checksum of the form its size asks for.",
    ),
    "bad-permit": ProblemKind(
        422,
        "Bad permit",
        "The permit was not made here, was altered, or is of another library or device.",
    ),
    "bad-cursor": ProblemKind(
        422,
        "Bad cursor",
        "The cursor is none of ours; start without one.",
    ),
    "cursor-gone": ProblemKind(
        410,
        "Cursor gone",
        "The library was restored since, or the cursor is too old. Start again from `snapshot` (or `start` where there"
        " is none), and do with what you hold as `resync` says.",
    ),
    "no-snapshot": ProblemKind(
        404,
        "No snapshot",
        "The library is too small or too young to have one. List its changes without a cursor instead.",
    ),
    "grant-gone": ProblemKind(
        409,
        "Grant gone",
        "The grant is unknown, older than 24 hours, or of another device or library. Ask "
        "without `grant` for a new one.",
    ),
    "idempotency-key-reused": ProblemKind(
        422,
        "Idempotency key reused",
        "The same Idempotency-Key came with another body. Use a fresh key for another request.",
    ),
    "quota-exceeded": ProblemKind(
        507,
        "Quota exceeded",
        "The library has no room for this upload.",
    ),
    # -- mail
    "bad-zone": ProblemKind(
        422,
        "No such time zone",
        "Time zones are named as in the IANA database: Europe/Berlin, America/New_York, UTC.",
    ),
    "already-member": ProblemKind(
        409,
        "A member already",
        "Members of a library follow it by themselves, with their own account.",
    ),
    "invitation-declined": ProblemKind(
        409,
        "Invitation declined",
        "This person ended mail about the library, and is not asked again for a month.",
    ),
    "too-many-followers": ProblemKind(
        409,
        "Too many outside followers",
        "Remove some, or make people members.",
    ),
    "no-such-follower": ProblemKind(
        404,
        "No such follower",
        "Nobody outside follows this library under this id.",
    ),
    "bad-webhook": ProblemKind(
        422,
        "No address for a webhook",
        "A webhook is an https address of the open internet, without user, password and fragment.",
    ),
    "too-many-webhooks": ProblemKind(
        409,
        "Too many webhooks",
        "The library has as many webhooks as it may; remove one.",
    ),
    "no-such-webhook": ProblemKind(
        404,
        "No such webhook",
        "The library has no webhook with this id.",
    ),
    "lifted-too-often": ProblemKind(
        409,
        "Lifted too often",
        "Mail to this address came back each time it was tried again. Whoever runs the server can look into it.",
    ),
    # -- links in mail
    "bad-link": ProblemKind(
        404,
        "Link not valid",
        "The link is damaged or was not made here.",
    ),
    "link-expired": ProblemKind(
        410,
        "Link expired",
        "The link is too old. Open the library instead.",
    ),
}


def problem_of(error: Exception) -> tuple[str, int, str, dict[str, object]]:
    """(kind, status, detail, further members) of an error; anything unforeseen is "internal"."""
    if isinstance(error, Refused):
        return error.kind, error.status, error.detail, error.facts
    if isinstance(error, Temporary | ConditionFailed):
        detail = "Something this service needs is away or busy; try again."
        return "temporarily-unavailable", 503, detail, {"retry_after_s": RETRY_AFTER_S}
    if isinstance(error, NotFound):
        return "not-found", 404, "There is nothing of that name.", {}
    if isinstance(error, Broken):
        return "internal", 500, "The service met something it cannot handle.", {}
    return "internal", 500, "The service failed unexpectedly.", {}


def of_http_status(status: int) -> tuple[str, str]:
    """(kind, detail) for a status that aiohttp itself answers with."""
    kinds = {
        404: "not-found",
        405: "method-not-allowed",
        413: "body-too-large",
        415: "unsupported-media-type",
    }
    kind = kinds.get(status, "malformed-request" if status < 500 else "internal")
    return kind, PROBLEMS[kind].meaning


def problem_response(
    kind: str, status: int, detail: str, *, public_url: str, request: str, facts: dict[str, object]
) -> web.Response:
    """The problem document. ``retry_after_s`` among the facts becomes the header Retry-After as well."""
    known = PROBLEMS.get(kind)
    title = known.title if known else kind.replace("-", " ").capitalize()
    problem = Problem(type=f"{public_url}/problems/{kind}", title=title, status=status, detail=detail, request=request)
    members = {**facts, **msgspec.to_builtins(problem)}
    headers = {"Cache-Control": "no-store"}
    if "retry_after_s" in facts:
        headers["Retry-After"] = str(facts["retry_after_s"])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(members, enc_hook=str)
    return web.Response(status=status, body=body, content_type=CONTENT_TYPE, headers=headers)
