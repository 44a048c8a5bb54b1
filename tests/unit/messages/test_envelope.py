"""What a reader accepts, and what it sets aside."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, strategies as st

from syncline.messages import commit_changes, library_moved, object_landed, outcome_ready
from syncline.messages.envelope import Unreadable
from syncline.messages.library_moved import LibraryMoved

READERS = [commit_changes.decode, library_moved.decode, outcome_ready.decode, object_landed.decode]


def frame(name: str, major: int, minor: int, body: object) -> bytes:
    return msgspec.msgpack.encode([name, major, minor, body])


def test_a_newer_minor_version_is_read_without_its_news():
    wire = frame("LibraryMoved", 1, 9, ["l", 3, "i", 0, "", {"from": "the future"}])
    assert library_moved.decode(wire) == LibraryMoved("l", 3, "i")


def test_a_missing_field_with_a_default_is_filled_in():
    wire = frame("CommitChanges", 1, 0, [None])
    assert commit_changes.decode(wire).body_key == ""


@pytest.mark.parametrize(
    "wire",
    [
        frame("LibraryMoved", 2, 0, ["l", 3, "i"]),
        frame("CommitChanges", 1, 0, ["l", 3, "i"]),
        frame("LibraryMoved", 1, 0, ["l", "three", "i"]),
        frame("LibraryMoved", 1, 0, ["l"]),
        b"",
        b'{"json": true}',
    ],
)
def test_other_majors_names_shapes_and_garbage_are_unreadable(wire: bytes):
    with pytest.raises(Unreadable):
        library_moved.decode(wire)


@pytest.mark.parametrize("decode", READERS)
@given(wire=st.binary(max_size=300))
def test_garbage_never_raises_anything_else(decode, wire: bytes):
    with contextlib.suppress(Unreadable):
        decode(wire)


def s3_event(**record: object) -> bytes:
    return msgspec.json.encode({"Records": [record]})


def test_s3_keys_come_url_encoded():
    wire = s3_event(
        eventName="ObjectCreated:CompleteMultipartUpload",
        s3={"object": {"key": "direct/a+b/%C3%A9", "size": 3, "versionId": "v", "sequencer": "00"}},
    )
    assert object_landed.decode(wire) == [object_landed.ObjectLanded("direct/a b/é", "v", 3)]


def test_other_s3_events_and_the_test_event_report_nothing():
    assert object_landed.decode(b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}') == []
    removed = s3_event(eventName="ObjectRemoved:Delete", s3={"object": {"key": "objects/x"}})
    assert object_landed.decode(removed) == []


def test_a_notification_that_reports_nothing_at_all_is_unreadable():
    with pytest.raises(Unreadable):
        object_landed.decode(b"{}")
