"""The values of ``put``: what is to be sent where, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from syncline.client.cli.outcomes import GOOD
from syncline.domain.paths import join_path
from syncline.messages.api import NodeState, ResultState


@dataclass(frozen=True)
class Parcel:
    """One local file and where it goes: ``folder`` is a path in the library, "" the root."""

    source: Path
    folder: str
    name: str
    size_bytes: int

    @property
    def path(self) -> str:
        return join_path(self.folder, self.name)


@dataclass
class Gathered:
    """Everything one ``put`` is about. ``folders`` come before what is in them; ``left`` is (path, why)."""

    parcels: list[Parcel] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Order:
    """A parcel with the id of its folder, and the file that has its name there already."""

    parcel: Parcel
    parent: str
    replaces: NodeState | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of one parcel: a result, or an error. ``sent``: its bytes were, though S3's event may have brought
    them into the library before we did."""

    parcel: Parcel
    result: ResultState | None = None
    error: Exception | None = None
    sent: bool = False

    @property
    def good(self) -> bool:
        return self.result is not None and self.result.status in GOOD
