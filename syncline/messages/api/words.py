"""What the bodies of the HTTP interface are made of, and the problem that every error is."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from syncline.domain.ids import ID_LENGTH

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
