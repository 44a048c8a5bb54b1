"""Whose fault it is when SES refuses a mail."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError

from syncline.aws.mail import SesMailer
from syncline.domain.errors import Broken, Refused, SynclineError


class RefusingSes:
    def __init__(self, code: str, message: str) -> None:
        self._error = ClientError({"Error": {"Code": code, "Message": message}}, "SendEmail")

    async def send_email(self, **_: Any) -> dict[str, str]:
        raise self._error


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("MessageRejected", "Message contains a virus.", Refused),
        ("BadRequestException", "Illegal address", Refused),
        ("MessageRejected", "Email address is not verified. The following identities failed: us@x.org", Broken),
        ("MailFromDomainNotVerifiedException", "Not verified", Broken),
    ],
)
async def test_only_what_the_recipient_or_content_causes_is_refused(
    code: str, message: str, expected: type[SynclineError]
):
    mailer = SesMailer(RefusingSes(code, message), "us@x.org")
    with pytest.raises(expected):
        await mailer.send(EmailMessage(), to="bob@example.com")
