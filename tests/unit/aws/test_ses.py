"""What SES answers, and what becomes of it, against a server that answers as told."""

import base64
import json
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from syncline.aws import Aws, Settings, connect
from syncline.domain.errors import Broken, Refused, SynclineError, Temporary


class FakeSes:
    def __init__(self) -> None:
        self.error = ""
        self.text = ""
        self.status = 400
        self.requests: list[dict] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(json.loads(await request.read()))
        if self.error:
            headers = {"x-amzn-ErrorType": self.error}
            return web.json_response({"message": self.text}, status=self.status, headers=headers)
        return web.json_response({"MessageId": "id-1"})


@pytest.fixture
def ses() -> FakeSes:
    return FakeSes()


@pytest.fixture
async def aws(ses, monkeypatch) -> AsyncIterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    app = web.Application()
    app.router.add_post("/v2/email/outbound-emails", ses.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        settings = Settings.from_environ(
            {
                "AWS_ENDPOINT_URL": str(server.make_url("/")).rstrip("/"),
                "AWS_DEFAULT_REGION": "us-east-1",
                "SYNCLINE_STACK": "s",
                "SYNCLINE_MAIL_FROM": "syncline@example.org",
            }
        )
        async with connect(settings) as aws:
            yield aws


def a_mail() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Syncline <syncline@example.org>"
    message["To"] = "Ünal <u@example.org>"
    message["List-Unsubscribe"] = "<https://example.org/" + "u" * 200 + ">"
    message.set_content("Grüße")
    return message


async def test_the_whole_message_is_sent_raw_to_one_address(aws, ses):
    message = a_mail()
    assert await aws.mailer.send(message, to="u@example.org") == "id-1"
    (request,) = ses.requests
    assert request["Destination"] == {"ToAddresses": ["u@example.org"]}
    assert request["FromEmailAddress"] == "syncline@example.org"
    raw = base64.b64decode(request["Content"]["Raw"]["Data"])
    sent = message_from_bytes(raw, policy=policy.default)
    assert {name: sent[name] for name in message} == {name: message[name] for name in message}
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("error", "text", "status", "wanted"),
    [
        ("MessageRejected", "Email address is on the suppression list", 400, Refused),
        ("BadRequestException", "Local address contains control or whitespace", 400, Refused),
        ("MessageRejected", "Email address is not verified. …", 400, Broken),
        ("AccessDeniedException", "", 403, Broken),
        ("TooManyRequestsException", "", 429, Temporary),
        ("LimitExceededException", "", 400, Temporary),
        ("InternalFailure", "", 500, Temporary),
    ],
)
async def test_its_errors_and_that_no_mail_is_sent_twice(aws, ses, error, text, status, wanted):
    ses.error, ses.text, ses.status = error, text, status
    with pytest.raises(SynclineError) as raised:
        await aws.mailer.send(a_mail(), to="u@example.org")
    assert type(raised.value) is wanted
    if isinstance(raised.value, Refused):
        assert raised.value.kind == "mail-rejected"
    assert len(ses.requests) == 1
