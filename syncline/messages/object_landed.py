"""``ObjectLanded``: S3's own event ``s3:ObjectCreated:*`` → queues ``uploads`` and ``direct`` → intake.

Wire form: S3's JSON (event structure 2.x), for example::

    {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"},
      "object": {"key": "objects/lib/grant/id", "size": 5, "versionId": "v1", "sequencer": "0055AED6DCD90281E5"}}}]}

Keys come URL-encoded. When a notification is set up, S3 sends ``{"Event": "s3:TestEvent", …}``: no records.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

from urllib.parse import unquote_plus

import msgspec

from syncline.messages.envelope import Unreadable


class ObjectLanded(msgspec.Struct, frozen=True):
    key: str
    s3_version: str
    size_bytes: int


class _Object(msgspec.Struct):
    key: str
    size: int = 0
    versionId: str = ""


class _S3(msgspec.Struct):
    object: _Object


class _Record(msgspec.Struct):
    s3: _S3
    eventName: str = ""


class _Notification(msgspec.Struct):
    Records: list[_Record] = []
    Event: str = ""


_decoder = msgspec.json.Decoder(_Notification)


def decode(wire: bytes) -> list[ObjectLanded]:
    """The objects that a notification reports; empty for S3's test event. Raises ``Unreadable``."""
    try:
        notification = _decoder.decode(wire)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not an S3 event: {error}") from None
    if not notification.Records and notification.Event != "s3:TestEvent":
        raise Unreadable("an S3 event without records")
    return [
        ObjectLanded(unquote_plus(r.s3.object.key), r.s3.object.versionId, r.s3.object.size)
        for r in notification.Records
        if r.eventName.removeprefix("s3:").startswith("ObjectCreated:")
    ]
