"""Who knew what: a device's counter orders all it did, so a state of its own making is one it has seen."""

from __future__ import annotations

from syncline.domain.nodes import Author, Node, Version

SERVICE = Author(account="", device="", counter=0, at_ms=0)
"""The placer of a node whose place nobody chose (a stand-in, a conflict copy where the file had been moved to). No
device is it, so nobody passes for having known that place before having applied the commit."""


def knew(asker: Author, author: Author) -> bool:
    """Whether what ``author`` made was made by the asker's own device, then or before."""
    return author.device == asker.device and author.counter <= asker.counter


def came_later(author: Author, asker: Author) -> bool:
    """Whether what ``author`` made was made by the asker's own device after what it asks now (rule 4)."""
    return author.device == asker.device and author.counter > asker.counter


def unseen(node: Node, base_seq: int, asker: Author) -> bool:
    """Whether the node got a content or a place after ``base_seq`` that the asker cannot have known (rule 5)."""
    content_unseen = node.version is not None and node.content_seq > base_seq and not knew(asker, node.version.author)
    return content_unseen or place_unseen(node, base_seq, asker)


def place_unseen(node: Node, base_seq: int, asker: Author) -> bool:
    """Whether the node got its place after ``base_seq`` from anyone but the asker's device, then or before."""
    return node.placed_seq > base_seq and not knew(asker, node.placer)


def same_bytes(one: Version | None, other: Version) -> bool:
    """The same bytes in the same kind of file: a symbolic link is none that holds its target as text."""
    return one is not None and (one.size_bytes, one.checksum, one.symlink) == (
        other.size_bytes,
        other.checksum,
        other.symlink,
    )


def same_content(one: Version | None, other: Version) -> bool:
    """The same bytes, executable alike. The time of modification is no content."""
    return one is not None and same_bytes(one, other) and one.executable == other.executable
