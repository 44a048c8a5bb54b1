"""The bodies of the HTTP interface ``/v1``, as JSON or msgpack maps, shared by gateway, syncer and client.

Names are the design's words; times ending in ``_ms`` are Unix milliseconds, ``_ns`` nanoseconds, ``_at`` Unix seconds.
Unknown members are ignored on both sides, so either may be newer. The OpenAPI document is made from these types.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.commits import Effect, Status
from syncline.domain.digests import Happened
from syncline.domain.ids import ID_LENGTH
from syncline.domain.nodes import Kind
from syncline.domain.preferences import Every
from syncline.domain.rights import Role
from syncline.domain.webhooks import URL_CHARACTERS_MAX
from syncline.messages.records import AccountUse as AccountUse
from syncline.messages.records import AuditEntry as AuditEntry
from syncline.messages.records import AuditPage as AuditPage
from syncline.messages.records import LibraryUse as LibraryUse

Id = Annotated[str, Meta(min_length=ID_LENGTH, max_length=ID_LENGTH, pattern="^[a-z2-7]+$")]
IdOrEmpty = Annotated[str, Meta(max_length=ID_LENGTH, pattern="^[a-z2-7]*$")]
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Password = Annotated[str, Meta(min_length=8, max_length=1024)]
Title = Annotated[str, Meta(min_length=1, max_length=255)]
Language = Literal["en", "de"]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Token = Annotated[str, Meta(max_length=512)]
Checksum = Annotated[str, Meta(min_length=44, max_length=50)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Nanoseconds = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Size = Annotated[int, Meta(ge=0, le=80 * 1024**4)]

MAX_COMPARED_PATHS = 200_000


class Problem(Struct, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details. ``type`` is ``{public url}/problems/{slug}``; ``request`` the request's id."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    request: str = ""


# -- accounts and devices -------------------------------------------------------------------------------------------


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


# -- libraries and members ------------------------------------------------------------------------------------------


class NewLibrary(Struct, kw_only=True):
    name: Title


class Library(Struct, kw_only=True):
    """``id`` is also the id of its root folder. ``role`` is the asker's."""

    id: str
    name: str
    role: Role
    seq: int
    cursor: str
    created_at_ms: int


class Libraries(Struct, kw_only=True):
    libraries: list[Library]


class NewMember(Struct, kw_only=True):
    """Adds a member, or gives a member another role."""

    email: Email
    role: Role


class Member(Struct, kw_only=True):
    """``role`` is the highest of the member's own and of its groups'. ``direct``: it has one of its own; ``groups``
    names those it is a member through. ``invited``: no member yet, a mail is on its way (``account`` is "")."""

    account: str
    email: str
    name: str
    role: Role
    direct: bool = True
    groups: list[str] = []
    invited: bool = False


class LibraryGroup(Struct, kw_only=True):
    group: str
    name: str
    role: Role


class Members(Struct, kw_only=True):
    members: list[Member]
    groups: list[LibraryGroup] = []


class Transfer(Struct, kw_only=True):
    """``email`` becomes an owner; the asker gets the role ``keep``, or leaves when it is null."""

    email: Email
    keep: Role | None = Role.EDITOR


class Invitation(Struct, kw_only=True):
    """``inviter`` is an account."""

    id: str
    email: str
    role: Role
    inviter: str
    created_at_ms: int
    ends_at: int


class Invitations(Struct, kw_only=True):
    invitations: list[Invitation]


class Accepted(Struct, kw_only=True):
    """The libraries joined."""

    libraries: list[str]


# -- groups ---------------------------------------------------------------------------------------------------------


class NewGroup(Struct, kw_only=True):
    name: Title


class Group(Struct, kw_only=True):
    """``owned``: by the asker. ``members`` is how many it has."""

    id: str
    name: str
    owner: str
    owned: bool
    members: int
    created_at_ms: int


class Groups(Struct, kw_only=True):
    groups: list[Group]


class GroupMember(Struct, kw_only=True):
    account: str
    email: str
    name: str


class GroupDetail(Struct, kw_only=True):
    group: Group
    members: list[GroupMember]


class NewGroupMember(Struct, kw_only=True):
    email: Email


class GroupRole(Struct, kw_only=True):
    role: Role


# -- uploads --------------------------------------------------------------------------------------------------------


class Intent(Struct, kw_only=True):
    """A version that a device is about to upload.

    For an existing file: ``node`` and ``base_version`` (the version id it was edited from). For a new file: ``parent``
    and ``name``; the gateway answers the id it will get. ``counter`` is the device's own, ever growing. ``symlink``: a
    symbolic link, whose bytes are its target (UTF-8, names parted by "/", at most 4,095 bytes).
    """

    node: IdOrEmpty = ""
    parent: IdOrEmpty = ""
    name: Annotated[str, Meta(max_length=255)] = ""
    base_version: IdOrEmpty = ""
    size_bytes: Size
    checksum: Checksum
    mtime_ns: Nanoseconds
    executable: bool = False
    counter: Count = 0
    symlink: bool = False


class UploadRequest(Struct, kw_only=True):
    """``direct``: permits for clients that only PUT (scripts, forms); they commit by themselves.

    ``grant`` asks for permits under a grant this device already holds, and renews its credential; without intents it
    does only that.
    """

    intents: Annotated[list[Intent], Meta(max_length=MAX_REQUESTS)] = []
    direct: bool = False
    grant: IdOrEmpty = ""


class S3Credential(Struct, kw_only=True):
    """A short-lived credential for S3. ``endpoint`` is "" for AWS's own."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: int
    bucket: str
    region: str
    endpoint: str


class Permitted(Struct, kw_only=True):
    """The answer to one intent, in order: PUT the bytes to ``key`` with ``permit`` as ``x-amz-meta-permit``."""

    node: str
    version: str
    key: str
    permit: str


class UploadAnswer(Struct, kw_only=True):
    grant: str
    credential: S3Credential
    permits: list[Permitted]


class DownloadRequest(Struct, kw_only=True):
    """Asks for a credential that reads this library's objects."""


class DownloadAnswer(Struct, kw_only=True):
    credential: S3Credential


# -- commits --------------------------------------------------------------------------------------------------------


class AddVersion(Struct, kw_only=True, tag="add", tag_field="op"):
    permit: Annotated[str, Meta(max_length=2048)]


class CopyVersion(Struct, kw_only=True, tag="copy", tag_field="op"):
    """Makes an existing version's content (``source``) a new version of ``node`` or of a new file at parent/name."""

    source: Id
    node: IdOrEmpty = ""
    parent: IdOrEmpty = ""
    name: Annotated[str, Meta(max_length=255)] = ""
    base_version: IdOrEmpty = ""
    size_bytes: Size
    checksum: Checksum
    mtime_ns: Nanoseconds
    executable: bool = False
    symlink: bool = False


class MakeFolder(Struct, kw_only=True, tag="folder", tag_field="op"):
    """``node`` is an id the client made (20 characters of a–z2–7), so that later requests can name the folder."""

    node: Id
    parent: Id
    name: Name


class Move(Struct, kw_only=True, tag="move", tag_field="op"):
    node: Id
    base_seq: Count
    parent: Id
    name: Name


class Remove(Struct, kw_only=True, tag="remove", tag_field="op"):
    """``held_all``: the client had everything below this folder as of ``base_seq``."""

    node: Id
    base_seq: Count
    held_all: bool = False


class Withdraw(Struct, kw_only=True, tag="withdraw", tag_field="op"):
    permit: Annotated[str, Meta(max_length=2048)]


CommitRequest = AddVersion | CopyVersion | MakeFolder | Move | Remove | Withdraw


class CommitBody(Struct, kw_only=True):
    """Changes in order. ``counter`` is the device's for those that carry no permit. ``cursor`` is one from which the
    asker's base seqs are known: when the library was restored since it was handed out, the answer is 410.

    The header ``Idempotency-Key`` names the command: the same key with the same body gets the first answer.
    """

    requests: Annotated[list[CommitRequest], Meta(min_length=1, max_length=MAX_REQUESTS)]
    counter: Count = 0
    all_or_nothing: bool = False
    cursor: str = ""


class ResultState(Struct, kw_only=True):
    """What became of one request; see domain/commits.py ``Result``."""

    status: Status
    node: str = ""
    seq: int = 0
    version: str = ""
    parent: str = ""
    name: str = ""
    reason: str = ""
    detail: str = ""
    kept: list[str] = []


class CommitAnswer(Struct, kw_only=True):
    """``done`` false (HTTP 202): not decided yet, ask ``GET`` the URL in ``Location`` again."""

    command: str
    done: bool
    seq: int = 0
    cursor: str = ""
    results: list[ResultState] = []
    refused: str = ""


# -- nodes and versions ---------------------------------------------------------------------------------------------


class VersionState(Struct, kw_only=True):
    """One version. ``key``, ``s3_version``, ``offset`` and ``length`` say where its bytes are. ``symlink``: a symbolic
    link, whose bytes are its target."""

    id: str
    size_bytes: int
    checksum: str
    mtime_ns: int
    executable: bool
    account: str
    device: str
    at_ms: int
    key: str
    s3_version: str
    offset: int
    length: int
    symlink: bool = False


class NodeState(Struct, kw_only=True):
    """The state of a node as of ``seq``. ``path`` only where a single node was asked for."""

    id: str
    parent: str
    name: str
    kind: Kind
    seq: int
    removed: bool = False
    conflict_of: str = ""
    path: str = ""
    version: VersionState | None = None


class Children(Struct, kw_only=True):
    """One page of a folder by name; ``after`` is the name to ask on from, "" at the end."""

    children: list[NodeState]
    after: str = ""


class Versions(Struct, kw_only=True):
    """Versions of a file, newest first; ``before`` is the seq to ask on from, 0 at the end."""

    versions: list[VersionState]
    before: int = 0


# -- sync -----------------------------------------------------------------------------------------------------------


class Head(Struct, kw_only=True):
    library: str
    seq: int
    cursor: str


class Heads(Struct, kw_only=True):
    """The heads of all libraries the asker is a member of. ``token`` goes into the next ``since``."""

    heads: list[Head]
    token: str


class ChangeState(Struct, kw_only=True):
    """The newest state of one node in this page; ``effect`` and authorship are those of its last change."""

    effect: Effect
    node: NodeState
    account: str
    device: str
    at_ms: int


class Changes(Struct, kw_only=True):
    """The changes after a cursor. ``cursor`` is where this page ends (a commit's boundary); ``more``: ask again."""

    changes: list[ChangeState]
    cursor: str
    seq: int
    more: bool


class Snapshot(Struct, kw_only=True):
    """The tree as of ``seq``: GET ``url`` (good for ``expires_in_s``), compare its SHA-256 (base64) with ``checksum``,
    go on with the changes after ``cursor``. Form: docs/api.md."""

    seq: int
    cursor: str
    url: str
    expires_in_s: int
    size_bytes: int
    checksum: str
    nodes: int
    at_ms: int


class Held(Struct, kw_only=True):
    """One path a client holds. ``checksum`` is "" for a folder; a symbolic link's has ``link:`` before it."""

    path: Annotated[str, Meta(max_length=1024)]
    checksum: Annotated[str, Meta(max_length=55)] = ""
    size_bytes: Size = 0


class CompareRequest(Struct, kw_only=True):
    """First ask with ``digest`` alone; when it differs, ask again with ``held``."""

    digest: Annotated[str, Meta(max_length=64)]
    held: Annotated[list[Held], Meta(max_length=MAX_COMPARED_PATHS)] | None = None


class DifferenceState(Struct, kw_only=True):
    """``state``: ``newer`` (the server has a later version of what the client has), ``missing`` (the client lacks it),
    ``extra`` (the server lacks it), ``different`` (other content). ``node`` is the server's state, if it has one."""

    path: str
    state: str
    node: NodeState | None = None


class CompareAnswer(Struct, kw_only=True):
    """``differences`` is null when nothing was compared: equal digests, or ``held`` was not sent."""

    seq: int
    equal: bool
    digest: str
    differences: list[DifferenceState] | None = None


# -- following ------------------------------------------------------------------------------------------------------


class MailTerms(Struct, kw_only=True):
    """How often and of what mail is wanted; null is not said. ``window``: ``immediate``, ``hourly``, or ``daily`` at
    ``hour`` (0 to 23) in the time zone ``zone`` (IANA, as Europe/Berlin)."""

    window: Every | None = None
    hour: Annotated[int, Meta(ge=0, le=23)] | None = None
    zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    kinds: Annotated[list[Happened], Meta(min_length=1, max_length=16)] | None = None


class Suppressed(Struct, kw_only=True):
    """Nothing is sent to this address any more: mail to it came back, or was called spam. The owner can lift that."""

    address: str
    reason: str
    since_ms: int


class Follow(Struct, kw_only=True):
    """One followed library, folder or file (``node``; the library's id is its root).

    ``said``: the terms of this follow; ``terms``: those that hold, with what the account's preferences add.
    """

    library: str
    node: str
    path: str = ""
    said: MailTerms
    terms: MailTerms


class Follows(Struct, kw_only=True, omit_defaults=True):
    """``suppressed``: there is no mail at all, and why."""

    follows: list[Follow]
    suppressed: Suppressed | None = None


class MailPreferences(MailTerms, kw_only=True):
    """What an account wants where a follow says nothing; null is the default. ``language``: ``en``, ``de``."""

    language: Language | None = None


class MailSettings(Struct, kw_only=True, omit_defaults=True):
    """Mail to the asker: ``said`` as it was put, ``terms`` with the defaults filled in."""

    address: str
    said: MailPreferences
    terms: MailPreferences
    suppressed: Suppressed | None = None


class NewOutsideFollower(MailTerms, kw_only=True):
    """Invite someone without an account to follow ``node``; they are asked first. ``language``: the asker's."""

    email: Email
    node: Id
    language: Language | None = None


class OutsideFollower(Struct, kw_only=True, omit_defaults=True):
    """``state``: ``invited`` (asked, no mail yet), ``confirmed`` (until ``ends_at``), ``left`` (wants no mail).

    ``nodes``: what they follow; while invited, what they were asked about.
    """

    id: str
    email: str
    state: str
    nodes: list[str]
    invited_by: str
    invited_at_ms: int
    ends_at: int = 0
    suppressed: Suppressed | None = None


class OutsideRules(Struct, kw_only=True):
    """``links``: links in mail to outside followers open files. Without it they read names, not content."""

    links: bool


class OutsideFollowers(Struct, kw_only=True):
    followers: list[OutsideFollower]
    rules: OutsideRules


class NewWebhook(Struct, kw_only=True):
    """``url``: an ``https`` address of the open internet, without user, password and fragment."""

    url: Annotated[str, Meta(min_length=9, max_length=URL_CHARACTERS_MAX)]

    @property
    def host(self) -> str:
        """What the audit log keeps: the rest of such an address is often a secret."""
        return urlsplit(self.url).hostname or "" if self.url.isascii() and "[" not in self.url else ""


class Webhook(Struct, kw_only=True, omit_defaults=True):
    """Told up to ``delivered_seq``. ``problem``: why the last attempt failed; since when they do, ``failing_since_ms``.

    After 24 h of that, or when ``made_by`` is no owner any more, it is disabled for good: remove it, and add it again.
    """

    id: str
    url: str
    made_by: str
    made_at_ms: int
    delivered_seq: int
    failing_since_ms: int = 0
    problem: str = ""
    disabled_at_ms: int = 0


class WebhookMade(Struct, kw_only=True):
    """``secret`` is the key of the signatures, shown this once."""

    webhook: Webhook
    secret: str


class Webhooks(Struct, kw_only=True):
    webhooks: list[Webhook]


def json_schema_components(*others: type) -> tuple[dict[str, object], dict[str, object]]:
    """(references, components) of all bodies above and of ``others``, for the OpenAPI document."""
    above = [t for t in globals().values() if isinstance(t, type) and issubclass(t, Struct) and t is not Struct]
    types = list(dict.fromkeys([*above, *others]))
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    references: dict[str, object] = {t.__name__: {"$ref": f"#/components/schemas/{t.__name__}"} for t in types}
    return references, dict(components)
