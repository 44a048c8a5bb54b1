"""What a pass over a link did, for whoever asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncline.client.trees import Skipped


@dataclass
class Summary:
    """Counts of what one ``sync_once`` did. ``seq`` is the library's seq this client now has.

    ``conflicts`` are the paths of conflict copies made in this pass, ``refused`` (path, reason, detail) what the
    service or the disk did not take; those are tried again in the next pass. ``later`` are files that were still
    changing. ``put_apart`` counts what left this disk since it is not to be here. ``complete``: nothing was left to do.
    """

    library: str
    path: str
    seq: int = 0
    uploaded: int = 0
    downloaded: int = 0
    copied: int = 0
    folders_made: int = 0
    moved: int = 0
    removed_here: int = 0
    removed_there: int = 0
    put_apart: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    rounds: int = 0
    complete: bool = False
    conflicts: list[str] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    later: list[str] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return (
            self.uploaded
            + self.downloaded
            + self.copied
            + self.folders_made
            + self.moved
            + self.removed_here
            + self.removed_there
            + self.put_apart
        )
