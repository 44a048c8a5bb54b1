"""What callers of the mailer may rely on (syncline/ports/mail.py)."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from deploy.local.provision import MAIL_FROM
from syncline.domain.errors import Broken, Refused
from syncline.memory import MemoryMailer
from tests.conformance.local_aws import TESTER


def a_mail(to: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Syncline <{MAIL_FROM}>"
    message["To"] = to
    message["Subject"] = "Grüße: 3 Änderungen in „Fotos“"
    message["List-Unsubscribe"] = "<https://example.org/u/abc>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["X-Syncline-Library"] = "abc"
    message.set_content("Text ü")
    message.add_alternative("<p>HTML ü</p>", subtype="html")
    return message


async def test_a_mail_goes_out_with_all_its_headers(subject, stack, unique):
    to = f"{unique}@example.org"
    message = a_mail(to)
    first = await subject.mailer.send(message, to=to)
    second = await subject.mailer.send(a_mail(f"other-{to}"), to=f"other-{to}")
    assert first
    assert first != second
    if stack is None:
        sent = subject.mailer.sent[0].message
    else:
        (file,) = [path for path in stack.place.mail.glob("*.eml") if f"Z-{unique}" in path.name]
        sent = message_from_bytes(file.read_bytes(), policy=policy.default)
    for header in ("From", "To", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post", "X-Syncline-Library"):
        assert sent[header] == message[header]
    assert sent.get_body(("plain",)).get_content().strip() == "Text ü"
    assert sent.get_body(("html",)).get_content().strip() == "<p>HTML ü</p>"


@pytest.mark.aws
async def test_a_sender_that_nobody_verified_is_our_fault(aws_stack):
    async with aws_stack.connect(TESTER, SYNCLINE_MAIL_FROM="stranger@example.org") as aws:
        with pytest.raises(Broken):
            await aws.mailer.send(a_mail("someone@example.org"), to="someone@example.org")


async def test_the_provider_says_how_much_may_be_sent(subject, stack):
    rate = await subject.mailer.rate()
    assert rate.per_second > 0
    assert rate.left_today > 0
    if stack is not None:
        await subject.mailer.send(a_mail("counted@example.org"), to="counted@example.org")
        assert (await subject.mailer.rate()).left_today < rate.left_today


async def test_what_can_never_be_sent_is_refused():
    mailer = MemoryMailer(rejected=["nobody"])
    with pytest.raises(Refused) as refused:
        await mailer.send(a_mail("nobody"), to="nobody")
    assert refused.value.kind == "mail-rejected"
