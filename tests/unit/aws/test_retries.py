"""What is tried again, and what must not be, against a server that fails as told."""

import json
from collections import Counter, deque
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from syncline.aws import Aws, Settings, connect, tables
from syncline.domain.errors import ConditionFailed, Temporary
from syncline.ports.tables import Absent, Check, Key, Put, Table, Update

KEY = Key("a", "b")
ROW = {"pk": "a", "sk": "b"}
OK: tuple[int, dict] = (200, {})
CONDITION_FAILED = (400, {"__type": "ConditionalCheckFailedException"})
THROTTLED = (400, {"__type": "ThrottlingException"})
UNAVAILABLE = (500, {"__type": "InternalServerError"})


class FakeDynamo:
    """Answers what is in ``answers`` in order, then ``last``; None breaks the connection off."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, dict] | None] = deque()
        self.last: tuple[int, dict] | None = OK
        self.calls: Counter[str] = Counter()
        self.bodies: list[dict] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls[request.headers["X-Amz-Target"].partition(".")[2]] += 1
        self.bodies.append(json.loads(await request.read()))
        answer = self.answers.popleft() if self.answers else self.last
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.json_response(answer[1], status=answer[0], content_type="application/x-amz-json-1.0")


@pytest.fixture
def dynamo() -> FakeDynamo:
    return FakeDynamo()


@pytest.fixture
async def aws(dynamo, monkeypatch) -> AsyncIterator[Aws]:
    monkeypatch.setattr(tables, "PAUSE_S", 0.001)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    app = web.Application()
    app.router.add_post("/", dynamo.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        settings = Settings.from_environ(
            {
                "AWS_ENDPOINT_URL": str(server.make_url("/")).rstrip("/"),
                "AWS_DEFAULT_REGION": "us-east-1",
                "SYNCLINE_STACK": "s",
            }
        )
        async with connect(settings) as aws:
            yield aws


@pytest.mark.parametrize("failure", [None, UNAVAILABLE, THROTTLED])
async def test_reads_and_repeatable_writes_are_tried_again(aws, dynamo, failure):
    dynamo.answers.extend([failure])
    assert await aws.tables.get(Table.VIEWS, KEY) is None
    dynamo.answers.extend([failure])
    await aws.tables.write(Put(Table.VIEWS, ROW))
    dynamo.answers.extend([failure])
    await aws.tables.write(Update(Table.VIEWS, KEY, set={"n": 1}))
    assert dynamo.calls == {"GetItem": 2, "PutItem": 2, "UpdateItem": 2}


@pytest.mark.parametrize("failure", [None, UNAVAILABLE])
@pytest.mark.parametrize(
    "write",
    [
        Put(Table.VIEWS, ROW, Absent()),
        Update(Table.VIEWS, KEY, add={"n": 1}),
        Update(Table.VIEWS, KEY, set={"n": 1}, when=Absent()),
    ],
)
async def test_a_write_whose_answer_is_lost_is_not_judged_by_its_own_effect(aws, dynamo, failure, write):
    # It may have taken effect: tried again it would fail its condition, or add twice.
    dynamo.answers.extend([failure])
    dynamo.last = CONDITION_FAILED
    with pytest.raises(Temporary):
        await aws.tables.write(write)
    assert dynamo.calls.total() == 1


async def test_a_throttled_conditional_write_is_tried_again(aws, dynamo):
    dynamo.answers.extend([THROTTLED, THROTTLED])
    await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    assert dynamo.calls == {"PutItem": 3}


async def test_throttled_for_too_long_is_temporary(aws, dynamo):
    dynamo.last = THROTTLED
    with pytest.raises(Temporary):
        await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    assert dynamo.calls == {"PutItem": tables.MAX_ATTEMPTS}


async def test_a_transaction_is_tried_again_under_the_same_token(aws, dynamo):
    dynamo.answers.extend([None, UNAVAILABLE])
    await aws.tables.transact([Put(Table.VIEWS, ROW), Check(Table.JOURNAL, KEY, Absent())])
    assert dynamo.calls == {"TransactWriteItems": 3}
    assert len({body["ClientRequestToken"] for body in dynamo.bodies}) == 1


async def test_a_failed_condition_is_not_tried_again(aws, dynamo):
    dynamo.last = CONDITION_FAILED
    with pytest.raises(ConditionFailed):
        await aws.tables.write(Put(Table.VIEWS, ROW, Absent()))
    assert dynamo.calls == {"PutItem": 1}


async def test_a_service_that_stays_away_is_temporary(aws, dynamo):
    dynamo.last = None
    with pytest.raises(Temporary):
        await aws.tables.get(Table.VIEWS, KEY)
    assert dynamo.calls == {"GetItem": 4}


def written(n: int) -> dict:
    return {"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"S": str(n)}}}}


async def test_the_unprocessed_rest_of_a_batch_is_sent_again(aws, dynamo):
    rest = [written(1), written(2)]
    dynamo.answers.extend(
        [(200, {"UnprocessedItems": {"s-views": rest}}), (200, {"UnprocessedItems": {"s-views": rest[:1]}})]
    )
    await aws.tables.put_many(Table.VIEWS, [{"pk": "a", "sk": str(n)} for n in range(3)])
    sent = [len(body["RequestItems"]["s-views"]) for body in dynamo.bodies]
    assert sent == [3, 2, 1]


async def test_the_unprocessed_rest_of_a_read_is_asked_for_again(aws, dynamo):
    keys = [Key("a", str(n)) for n in range(3)]
    items = [{"pk": {"S": "a"}, "sk": {"S": str(n)}} for n in range(3)]
    dynamo.answers.extend(
        [
            (200, {"Responses": {"s-views": items[:1]}, "UnprocessedKeys": {"s-views": {"Keys": items[1:]}}}),
            (200, {"Responses": {"s-views": items[1:]}}),
        ]
    )
    assert set(await aws.tables.get_many(Table.VIEWS, keys)) == set(keys)
    assert dynamo.calls == {"BatchGetItem": 2}


async def test_a_batch_that_makes_no_progress_is_temporary(aws, dynamo):
    dynamo.last = (200, {"UnprocessedItems": {"s-views": [written(0)]}})
    with pytest.raises(Temporary):
        await aws.tables.put_many(Table.VIEWS, [{"pk": "a", "sk": "0"}])
    assert dynamo.calls == {"BatchWriteItem": tables.MAX_ATTEMPTS}


async def test_large_batches_are_cut(aws, dynamo):
    await aws.tables.put_many(Table.VIEWS, [{"pk": "a", "sk": str(n)} for n in range(60)])
    assert sorted(len(body["RequestItems"]["s-views"]) for body in dynamo.bodies) == [10, 25, 25]
