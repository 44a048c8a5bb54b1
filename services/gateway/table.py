"""The gateway's routes, one constant each: the app serves them, the OpenAPI document lists them."""

from __future__ import annotations

from typing import Any

from services.gateway import account_table, history_table, mail_table, records_table
from services.gateway.pages import LANG, LINK_QUERY
from syncline.messages import api as m
from syncline.serving.routes import SMALL_BODY_BYTES, Nothing, Query, Route

LIBRARY = "/v1/libraries/{library}"
PAGE_MAX = 1_000
AT = history_table.AT
VERSIONS_MAX = 100
COMMIT_BODY_BYTES = 4 * 1024 * 1024
LIMIT = Query("limit", "At most so many on a page.", "integer", 1, PAGE_MAX)
NO_LIBRARY = ("no-such-library",)
WRITES = ("no-such-library", "not-allowed")
IDEMPOTENCY_KEY = "Idempotency-Key"
DECIDED_LATER = (202, "Not decided yet: ask the URL in `Location` again.")
REDIRECT = "Redirects to a URL that anyone can GET for 300 s."

# -- accounts and devices

CREATE_ACCOUNT = Route(
    "POST",
    "/v1/accounts",
    "Make an account.",
    m.NewAccount,
    m.Account,
    status=201,
    problems=("email-taken", "too-many-requests"),
    signed_in=False,
    body_bytes_max=SMALL_BODY_BYTES,
)
SIGN_IN = Route(
    "POST",
    "/v1/sessions",
    "Sign in: makes a device.",
    m.SignIn,
    m.Session,
    status=201,
    problems=("sign-in-failed", "too-many-requests"),
    signed_in=False,
    body_bytes_max=SMALL_BODY_BYTES,
)
REFRESH = Route(
    "POST",
    "/v1/sessions/refresh",
    "Exchange a refresh token for new tokens.",
    m.Refresh,
    m.Session,
    problems=("refresh-failed", "device-revoked"),
    signed_in=False,
    body_bytes_max=SMALL_BODY_BYTES,
)
SIGN_OUT = Route("DELETE", "/v1/sessions/current", "Sign this device out.", Nothing, Nothing, status=204)
ME = Route("GET", "/v1/me", "Who is signed in here.", Nothing, m.Me)

# -- libraries and members

CREATE_LIBRARY = Route(
    "POST",
    "/v1/libraries",
    "Make a library, owned by the asker.",
    m.NewLibrary,
    m.Library,
    status=201,
    body_bytes_max=SMALL_BODY_BYTES,
)
LIBRARIES = Route("GET", "/v1/libraries", "The libraries the asker is a member of.", Nothing, m.Libraries)
GET_LIBRARY = Route("GET", LIBRARY, "One library.", Nothing, m.Library, problems=NO_LIBRARY)
MEMBERS = Route("GET", f"{LIBRARY}/members", "Who shares a library.", Nothing, m.Members, problems=NO_LIBRARY)
SET_MEMBER = Route(
    "POST",
    f"{LIBRARY}/members",
    "Add a member by e-mail, or give a member another role (owners).",
    m.NewMember,
    m.Member,
    problems=(*WRITES, "no-such-account", "last-owner"),
    body_bytes_max=SMALL_BODY_BYTES,
)
REMOVE_MEMBER = Route(
    "DELETE",
    f"{LIBRARY}/members/{{account}}",
    "Remove a member (owners), or leave (anyone).",
    Nothing,
    Nothing,
    status=204,
    problems=(*WRITES, "no-such-member", "last-owner"),
)

# -- content

UPLOADS = Route(
    "POST",
    f"{LIBRARY}/uploads",
    "Permits and one credential for uploading to S3.",
    m.UploadRequest,
    m.UploadAnswer,
    problems=(*WRITES, "no-such-node", "bad-intent", "bad-name", "grant-gone", "too-many-requests"),
)
DOWNLOADS = Route(
    "POST",
    f"{LIBRARY}/downloads",
    "A credential that reads this library's objects in S3.",
    m.DownloadRequest,
    m.DownloadAnswer,
    problems=("no-such-library", "too-many-requests"),
    body_bytes_max=SMALL_BODY_BYTES,
)
COMMIT = Route(
    "POST",
    f"{LIBRARY}/commits",
    "Make changes; waits up to 25 s for what became of them.",
    m.CommitBody,
    m.CommitAnswer,
    problems=(
        *WRITES,
        "bad-permit",
        "bad-name",
        "bad-intent",
        "idempotency-key-reused",
        "invalid-header",
        "bad-cursor",
        "cursor-gone",
    ),
    also=(DECIDED_LATER,),
    headers=(
        (IDEMPOTENCY_KEY, "Names the command, 1 to 255 visible ASCII characters: repeating it gets the first answer."),
    ),
    body_bytes_max=COMMIT_BODY_BYTES,
)
OUTCOME = Route(
    "GET",
    f"{LIBRARY}/commits/{{command}}",
    "What became of a command; `done` is false while it is not decided.",
    Nothing,
    m.CommitAnswer,
    problems=("no-such-library", "no-such-command"),
    also=((202, "Not decided yet."),),
)
CONTENT = Route(
    "GET",
    f"{LIBRARY}/files/{{node}}/content",
    "Download a file.",
    Nothing,
    Nothing,
    status=302,
    problems=("no-such-library", "no-such-node", "no-such-version", "not-a-file", "version-purged", "bad-time"),
    also=((302, REDIRECT),),
    query=(Query("version", "A version's id; the current one when left out."), AT),
)
CHILDREN = Route(
    "GET",
    f"{LIBRARY}/folders/{{node}}/children",
    "What lies in a folder, by name.",
    Nothing,
    m.Children,
    problems=("no-such-library", "no-such-node", "not-a-folder", "bad-time"),
    query=(Query("after", "Names after this one."), LIMIT, AT),
)
NODE = Route(
    "GET",
    f"{LIBRARY}/nodes/{{node}}",
    "A file or folder by its id, a removed one too.",
    Nothing,
    m.NodeState,
    problems=("no-such-library", "no-such-node", "bad-time"),
    query=(AT,),
)
NODE_BY_PATH = Route(
    "GET",
    f"{LIBRARY}/nodes",
    "A file or folder by its path.",
    Nothing,
    m.NodeState,
    problems=("no-such-library", "no-such-node", "bad-name", "bad-path", "bad-time"),
    query=(Query("path", "Names between slashes; the root when left out."), AT),
)
VERSIONS = Route(
    "GET",
    f"{LIBRARY}/files/{{node}}/versions",
    "The versions of a file, newest first.",
    Nothing,
    m.Versions,
    problems=("no-such-library", "no-such-node", "not-a-file", "bad-time"),
    query=(
        AT,
        Query("before", "Versions from before this seq.", "integer", 1),
        Query("limit", "At most so many on a page.", "integer", 1, VERSIONS_MAX),
    ),
)
RESTORE = Route(
    "POST",
    f"{LIBRARY}/files/{{node}}/versions/{{version}}/restore",
    "Make an older version the current one again.",
    Nothing,
    m.CommitAnswer,
    problems=(*WRITES, "no-such-node", "no-such-version", "not-a-file"),
    also=(DECIDED_LATER,),
)

# -- following

FOLLOWS = Route("GET", "/v1/follows", "What the asker follows.", Nothing, m.Follows)
FOLLOW = Route(
    "PUT",
    f"{LIBRARY}/follows/{{node}}",
    "Get mail about a file, a folder or (by the library's id) everything, on these terms.",
    m.MailTerms,
    m.Follow,
    problems=("no-such-library", "no-such-node", "bad-zone"),
    body_bytes_max=SMALL_BODY_BYTES,
    body_optional=True,
)
UNFOLLOW = Route(
    "DELETE",
    f"{LIBRARY}/follows/{{node}}",
    "No more mail about this.",
    Nothing,
    Nothing,
    status=204,
    problems=NO_LIBRARY,
)

# -- links in mail, and pages

UNSUBSCRIBE_PAGE = Route(
    "GET",
    "/v1/unsubscribe",
    "A page with one button that ends mail about a library.",
    Nothing,
    Nothing,
    problems=("bad-link", "link-expired"),
    also=((200, "An HTML page."),),
    query=LINK_QUERY,
    signed_in=False,
)
UNSUBSCRIBE = Route(
    "POST",
    "/v1/unsubscribe",
    "End mail about a library (one-click, RFC 8058).",
    Nothing,
    Nothing,
    problems=("bad-link", "link-expired"),
    also=((200, "An HTML page."),),
    query=LINK_QUERY,
    signed_in=False,
)
FILE_LINK = Route(
    "GET",
    "/v1/links/{token}",
    "A file from a link in a mail, if its recipient may still read it.",
    Nothing,
    Nothing,
    status=302,
    problems=("bad-link", "link-expired"),
    also=((302, REDIRECT),),
    query=(LANG,),
    signed_in=False,
)
OPENAPI = Route(
    "GET",
    "/v1/openapi.json",
    "This document.",
    Nothing,
    Nothing,
    also=((200, "OpenAPI 3.1 as JSON."),),
    signed_in=False,
)
PROBLEM_PAGE = Route(
    "GET",
    "/problems/{slug}",
    "What a problem means.",
    Nothing,
    Nothing,
    problems=("not-found",),
    also=((200, "An HTML page."),),
    signed_in=False,
)

ROUTES: tuple[Route[Any, Any], ...] = (
    *(value for value in tuple(globals().values()) if isinstance(value, Route)),
    *account_table.ROUTES,
    *mail_table.ROUTES,
    *records_table.ROUTES,
    *history_table.ROUTES,
)
"""All of the above, in this order, and those about accounts, mail and history."""
