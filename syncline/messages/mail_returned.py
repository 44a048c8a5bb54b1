"""``MailReturned``: SES → topic ``mail-events`` → queue ``bounces`` → notifier. Mail came back, or was called spam.

Wire form: SES's JSON, as event publishing (``eventType``) or as feedback notification (``notificationType``)::

    {"eventType": "Bounce", "mail": {"messageId": "…", …}, "bounce": {"bounceType": "Permanent",
      "bounceSubType": "General", "bouncedRecipients": [{"emailAddress": "a@example.org", "diagnosticCode": "…"}]}}
    {"notificationType": "Complaint", "complaint": {"complaintFeedbackType": "abuse",
      "complainedRecipients": [{"emailAddress": "a@example.org"}]}, …}

Events of other types, and bounces that may pass (a full mailbox, a server away), return nothing.
Source: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

import msgspec

from syncline.messages.envelope import Unreadable

REASON_CHARACTERS_MAX = 300


class MailReturned(msgspec.Struct, frozen=True):
    """Nothing more should go to ``address``; why, in SES's words and the mail server's."""

    address: str
    reason: str


class _Recipient(msgspec.Struct):
    emailAddress: str
    diagnosticCode: str = ""


class _Bounce(msgspec.Struct):
    bounceType: str = ""
    bounceSubType: str = ""
    bouncedRecipients: list[_Recipient] = []


class _Complaint(msgspec.Struct):
    complaintFeedbackType: str | None = None
    complainedRecipients: list[_Recipient] = []


class _Event(msgspec.Struct):
    eventType: str = ""
    notificationType: str = ""
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None


_decoder = msgspec.json.Decoder(_Event)


def decode(wire: bytes) -> list[MailReturned]:
    """The addresses that an event says nothing more should go to. Raises ``Unreadable``."""
    try:
        event = _decoder.decode(wire)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not an event of SES: {error}") from None
    kind = event.eventType or event.notificationType
    if not kind:
        raise Unreadable("an event of SES without a type")
    if kind == "Bounce" and event.bounce is not None:
        return _bounced(event.bounce)
    if kind == "Complaint" and event.complaint is not None:
        why = f"complaint: {event.complaint.complaintFeedbackType or 'called spam'}"
        return [MailReturned(one.emailAddress, why) for one in event.complaint.complainedRecipients]
    return []


def _bounced(bounce: _Bounce) -> list[MailReturned]:
    if bounce.bounceType != "Permanent":
        return []
    return [
        MailReturned(one.emailAddress, f"bounce: {bounce.bounceSubType} {one.diagnosticCode}"[:REASON_CHARACTERS_MAX])
        for one in bounce.bouncedRecipients
    ]
