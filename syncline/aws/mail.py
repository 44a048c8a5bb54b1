"""Mail through SES."""

from __future__ import annotations

import math
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from botocore.exceptions import ClientError

from syncline.aws.errors import code_of, ours
from syncline.domain.errors import Refused
from syncline.ports.mail import SendRate

REJECTED = {"MessageRejected", "BadRequestException"}
UNVERIFIED = "not verified"
"""SES says so in a MessageRejected when *our* sender is not set up: no fault of the recipient's."""

Client = Any


class SesMailer:
    """``Mailer`` that sends from ``mail_from``. ``client`` must not retry by itself: a mail could go twice."""

    def __init__(self, client: Client, mail_from: str, *, configuration_set: str = "") -> None:
        self._client = client
        self._mail_from = mail_from
        self._more = {"ConfigurationSetName": configuration_set} if configuration_set else {}

    async def send(self, message: EmailMessage, *, to: str) -> str:
        with ours(f"Send mail to {to}"):
            try:
                answer = await self._client.send_email(
                    FromEmailAddress=self._mail_from,
                    Destination={"ToAddresses": [to]},
                    Content={"Raw": {"Data": message.as_bytes(policy=SMTP)}},
                    **self._more,
                )
            except ClientError as error:
                if code_of(error) in REJECTED and UNVERIFIED not in str(error):
                    raise Refused("mail-rejected", f"No mail can be sent to {to}: {error}", status=422) from error
                raise
        return str(answer["MessageId"])

    async def rate(self) -> SendRate:
        with ours("Ask how much mail may be sent"):
            quota = (await self._client.get_account())["SendQuota"]
        # -1 is SES's word for no limit a day.
        day = quota["Max24HourSend"]
        if day < 0:
            return SendRate(float(quota["MaxSendRate"]), math.inf)
        return SendRate(float(quota["MaxSendRate"]), max(0.0, day - quota["SentLast24Hours"]), float(day))
