"""The little XML that S3 speaks: errors, part lists, completions. Documents with a DTD are refused unread."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import msgspec

from syncline.domain.errors import Broken


class Part(msgspec.Struct, frozen=True):
    """One part that S3 has. ``checksum`` is its base64 SHA-256."""

    number: int
    etag: str
    checksum: str
    size_bytes: int = 0


def parse(body: bytes) -> ElementTree.Element:
    """The document's root. Raises ``Broken`` for what is no XML, or XML with a DTD (entities)."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Broken("S3 answered XML with a DTD, which it never does.")
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Broken(f"S3 answered what is no XML: {error}") from None


def text(element: ElementTree.Element, name: str) -> str:
    """The text of the first child called ``name``, in whatever namespace; "" without one."""
    found = next((child for child in element if _local(child.tag) == name), None)
    return (found.text or "").strip() if found is not None else ""


def error_code(body: bytes) -> tuple[str, str]:
    """(code, message) of an error document; ("", "") when the body is none."""
    if not body.strip():
        return "", ""
    try:
        root = parse(body)
    except Broken:
        return "", ""
    return (text(root, "Code"), text(root, "Message")) if _local(root.tag) == "Error" else ("", "")


def parts(body: bytes) -> tuple[list[Part], str]:
    """(the parts of one ListParts page, the marker of the next page or "")."""
    root = parse(body)
    found = [
        Part(int(text(p, "PartNumber") or 0), text(p, "ETag"), text(p, "ChecksumSHA256"), int(text(p, "Size") or 0))
        for p in root
        if _local(p.tag) == "Part"
    ]
    more = text(root, "IsTruncated").lower() == "true"
    return found, text(root, "NextPartNumberMarker") if more else ""


def completion(all_parts: Iterable[Part]) -> bytes:
    """The body of CompleteMultipartUpload."""
    inner = "".join(
        f"<Part><PartNumber>{p.number}</PartNumber><ETag>{escape(p.etag)}</ETag>"
        f"<ChecksumSHA256>{escape(p.checksum)}</ChecksumSHA256></Part>"
        for p in sorted(all_parts, key=lambda p: p.number)
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{inner}</CompleteMultipartUpload>'.encode()


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]
