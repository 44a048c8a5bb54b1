"""The bodies of the HTTP interface ``/v1``, as JSON or msgpack maps, shared by gateway, syncer and client.

Names are the design's words; times ending in ``_ms`` are Unix milliseconds, ``_ns`` nanoseconds, ``_at`` Unix seconds.
Unknown members are ignored on both sides, so either may be newer. The OpenAPI document is made from these types.
"""

from __future__ import annotations

from syncline.messages.api.accounts import (
    Account as Account,
    AccountRemoval as AccountRemoval,
    AddressConfirmed as AddressConfirmed,
    AddressRequest as AddressRequest,
    Device as Device,
    Devices as Devices,
    LinkToken as LinkToken,
    Me as Me,
    NewAccount as NewAccount,
    NewPassword as NewPassword,
    PasswordChange as PasswordChange,
    Refresh as Refresh,
    ResetRequest as ResetRequest,
    Session as Session,
    SignIn as SignIn,
)
from syncline.messages.api.commits import (
    AddVersion as AddVersion,
    CommitAnswer as CommitAnswer,
    CommitBody as CommitBody,
    CommitRequest as CommitRequest,
    CopyVersion as CopyVersion,
    MakeFolder as MakeFolder,
    Move as Move,
    Remove as Remove,
    ResultState as ResultState,
    Withdraw as Withdraw,
)
from syncline.messages.api.libraries import (
    Accepted as Accepted,
    Group as Group,
    GroupDetail as GroupDetail,
    GroupMember as GroupMember,
    GroupRole as GroupRole,
    Groups as Groups,
    Invitation as Invitation,
    Invitations as Invitations,
    Libraries as Libraries,
    Library as Library,
    LibraryGroup as LibraryGroup,
    Member as Member,
    Members as Members,
    NewGroup as NewGroup,
    NewGroupMember as NewGroupMember,
    NewLibrary as NewLibrary,
    NewMember as NewMember,
    Transfer as Transfer,
)
from syncline.messages.api.mail import (
    Follow as Follow,
    Follows as Follows,
    MailPreferences as MailPreferences,
    MailSettings as MailSettings,
    MailTerms as MailTerms,
    NewOutsideFollower as NewOutsideFollower,
    NewWebhook as NewWebhook,
    OutsideFollower as OutsideFollower,
    OutsideFollowers as OutsideFollowers,
    OutsideRules as OutsideRules,
    Suppressed as Suppressed,
    Webhook as Webhook,
    WebhookMade as WebhookMade,
    Webhooks as Webhooks,
)
from syncline.messages.api.nodes import (
    Changes as Changes,
    ChangeState as ChangeState,
    Children as Children,
    CompareAnswer as CompareAnswer,
    CompareRequest as CompareRequest,
    DifferenceState as DifferenceState,
    Head as Head,
    Heads as Heads,
    Held as Held,
    NodeState as NodeState,
    Snapshot as Snapshot,
    Versions as Versions,
    VersionState as VersionState,
)
from syncline.messages.api.transfers import (
    DownloadAnswer as DownloadAnswer,
    DownloadRequest as DownloadRequest,
    Intent as Intent,
    Permitted as Permitted,
    S3Credential as S3Credential,
    UploadAnswer as UploadAnswer,
    UploadRequest as UploadRequest,
)
from syncline.messages.api.words import (
    MAX_COMPARED_PATHS as MAX_COMPARED_PATHS,
    Checksum as Checksum,
    Count as Count,
    Email as Email,
    Id as Id,
    IdOrEmpty as IdOrEmpty,
    Language as Language,
    Name as Name,
    Nanoseconds as Nanoseconds,
    Password as Password,
    Problem as Problem,
    Size as Size,
    Title as Title,
    Token as Token,
)
from syncline.messages.records import (
    AccountUse as AccountUse,
    AuditEntry as AuditEntry,
    AuditPage as AuditPage,
    LibraryUse as LibraryUse,
)
