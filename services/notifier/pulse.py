"""What the notifier tells in its pulse, besides its queues: mail that went out, came back, or waits."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter

from services.notifier.aside import SettingAside
from services.notifier.pacing import PacedMailer
from services.notifier.posting import Posting
from services.notifier.returns import Returns
from services.notifier.sending import Sender
from syncline.serving.measures import Count, Gauge, Measure, total


def measures_of_notifier(
    sender: Sender, posting: Posting, returns: Returns, aside: SettingAside, mailer: PacedMailer
) -> list[Measure]:
    changes_sent, letters_sent = _of(sender.mails, "result", "sent"), _of(posting.letters, "result", "sent")
    return [
        Count("mails_sent", lambda: changes_sent() + letters_sent()),
        Count("mails_given_up", _of(sender.mails, "result", "given-up")),
        Count("mails_bounced", _of(returns.returned, "kind", "bounce")),
        Count("mails_complained", _of(returns.returned, "kind", "complaint")),
        Count("rows_set_aside", total(aside.rows)),
        Gauge("mail_late_s", sender.late_s),
        Gauge("mail_quota_used_percent", mailer.used_percent),
    ]


def _of(counter: Counter, label: str, value: str) -> Callable[[], float]:
    return total(counter, lambda labels: labels[label] == value)
