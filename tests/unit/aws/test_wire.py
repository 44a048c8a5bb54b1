"""The small pure parts: names, bodies, rows, policies, headers."""

import json

import pytest
from aiohttp import parse_content_disposition
from hypothesis import example, given, strategies as st

from syncline.aws.bodies import from_text, to_text
from syncline.aws.credentials import MAX_POLICY_CHARACTERS, session_policy
from syncline.aws.names import dead_queue_name, queue_name, table_name
from syncline.aws.objects import as_attachment
from syncline.aws.rows import from_item, to_item
from syncline.domain.errors import Broken
from syncline.ports.queues import Queue
from syncline.ports.tables import Table


@given(st.binary())
def test_our_bodies_come_back_as_they_were(body):
    text = to_text(body)
    assert from_text(text) == body
    assert text.isascii()
    assert text  # SQS takes no empty message


@given(st.text().filter(lambda text: not text.startswith("base64:")))
def test_the_text_of_others_comes_as_its_bytes(text):
    assert from_text(text.encode("utf-8", "replace").decode()) == text.encode("utf-8", "replace")


@pytest.mark.parametrize("text", ["base64:!", "base64:AAA", "base64:ä"])
def test_what_only_looks_like_ours_is_left_as_it_is(text):
    assert from_text(text) == text.encode()


VALUES = st.one_of(st.text(), st.booleans(), st.integers(min_value=-(10**37), max_value=10**37), st.binary())


@given(st.dictionaries(st.text(min_size=1), VALUES))
def test_rows_come_back_as_they_were(row):
    back = from_item(to_item(row))
    assert back == row
    assert {name: type(value) for name, value in back.items()} == {name: type(value) for name, value in row.items()}


def test_names_begin_with_the_stack():
    assert table_name("s", Table.JOURNAL) == "s-journal"
    assert queue_name("s", Queue.UPLOADS) == "s-uploads"
    assert queue_name("s", Queue.COMMITS) == "s-commits.fifo"
    assert dead_queue_name("s", Queue.UPLOADS) == "s-uploads-dead"
    assert dead_queue_name("s", Queue.COMMITS) == "s-commits-dead.fifo"


def test_a_session_policy_says_what_is_allowed_and_no_more():
    policy = json.loads(session_policy("b", ("objects/l/g/",), ("objects/l/",)))
    write, read = policy["Statement"]
    assert write["Resource"] == ["arn:aws:s3:::b/objects/l/g/*"]
    assert set(write["Action"]) == {"s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
    assert read["Resource"] == ["arn:aws:s3:::b/objects/l/*"]
    assert set(read["Action"]) == {"s3:GetObject", "s3:GetObjectVersion"}
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
    assert len(json.loads(session_policy("b", (), ("objects/l/",)))["Statement"]) == 1


def test_a_session_policy_is_short_enough_for_aws():
    longest_bucket, longest_id = "b" * 63, "i" * 64
    write = (f"objects/{longest_id}/{longest_id}/", f"direct/{longest_id}/{longest_id}/")
    read = (f"objects/{longest_id}/", f"direct/{longest_id}/")
    assert len(session_policy(longest_bucket, write, read)) < MAX_POLICY_CHARACTERS
    with pytest.raises(Broken):
        session_policy(longest_bucket, write * 10, read)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60))
@example(";;")
def test_any_filename_can_be_saved(filename):
    header = as_attachment(filename)
    assert header.isascii()
    assert header.isprintable()
    kind, parameters = parse_content_disposition(header)
    assert kind == "attachment"
    assert parameters["filename*"] == filename
