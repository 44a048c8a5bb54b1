"""Mail that the local SES accepted, as `.eml` files: what the recipient would have got."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

RECIPIENT_CHARACTERS_MAX = 80
_NEWLINE = re.compile(rb"\r\n|\r|\n")
# A header with its folded continuation lines.
_MESSAGE_ID = re.compile(rb"(?im)^message-id:.*\r\n(?:[ \t].*\r\n)*")
_DATE = re.compile(rb"(?im)^date:")


@dataclass(frozen=True, slots=True)
class SentMail:
    """One mail that SES accepted: `content` holds the whole message, headers first."""

    message_id: str
    recipients: tuple[str, ...]
    content: bytes


def sent_mail(request: dict[str, Any], message_id: str, now: datetime) -> SentMail:
    """The mail that a SESv2 `SendEmail` request sends.

    Like SES it gives the message an id of its own and a date if it has none; every other header stays
    as sent. Raises ValueError for content that is neither raw nor simple.
    """
    destination = request.get("Destination") or {}
    recipients = [
        address for kind in ("ToAddresses", "CcAddresses", "BccAddresses") for address in destination.get(kind) or ()
    ]
    content = request.get("Content") or {}
    if "Raw" in content:
        raw = base64.b64decode(content["Raw"]["Data"])
    elif "Simple" in content:
        raw = _composed(request, content["Simple"])
    else:
        raise ValueError("mail content is neither raw nor simple")
    return SentMail(message_id, tuple(recipients), _stamped(raw, message_id, now))


def write_mail(folder: Path, mail: SentMail, now: datetime) -> Path:
    """Write `mail` into `folder` once, whole or not at all; named by time and first recipient."""
    recipient = mail.recipients[0] if mail.recipients else "unknown"
    recipient = re.sub(r"[^A-Za-z0-9@._+-]", "_", recipient)[:RECIPIENT_CHARACTERS_MAX]
    unique = re.sub(r"[^A-Za-z0-9]", "", mail.message_id)[:8]
    path = folder / f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z-{recipient}-{unique}.eml"
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(mail.content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path


def _stamped(raw: bytes, message_id: str, now: datetime) -> bytes:
    text = _NEWLINE.sub(b"\r\n", raw)
    headers, blank, body = text.partition(b"\r\n\r\n")
    headers = _MESSAGE_ID.sub(b"", headers + b"\r\n")
    stamps = f"Message-ID: <{message_id}>\r\n"
    if not _DATE.search(headers):
        stamps += f"Date: {format_datetime(now)}\r\n"
    return stamps.encode() + headers + b"\r\n" + (body if blank else b"")


def _composed(request: dict[str, Any], simple: dict[str, Any]) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = request.get("FromEmailAddress", "")
    destination = request.get("Destination") or {}
    for header, kind in (("To", "ToAddresses"), ("Cc", "CcAddresses")):
        if destination.get(kind):
            message[header] = ", ".join(destination[kind])
    message["Subject"] = simple.get("Subject", {}).get("Data", "")
    for header in simple.get("Headers") or ():
        message[header["Name"]] = header["Value"]
    body = simple.get("Body", {})
    message.set_content(body.get("Text", {}).get("Data", ""))
    if "Html" in body:
        message.add_alternative(body["Html"].get("Data", ""), subtype="html")
    return message.as_bytes()
