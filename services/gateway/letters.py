"""Letters to people about their accounts: put on the queue ``letters``, written and sent by the notifier."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from syncline.domain.ids import NewId
from syncline.messages.send_letter import Letter, SendLetter, encode
from syncline.ports.clock import Clock
from syncline.ports.queues import Queue, Queues

LANGUAGES = ("en", "de")
LANGUAGES_READ_MAX = 10
NOTICE_LIFE_S = 3 * 24 * 3600
"""A notice that could not be sent for so long is not sent any more."""


class Letters:
    def __init__(self, queues: Queues, clock: Clock, new_id: NewId) -> None:
        self._queues = queues
        self._clock = clock
        self._new_id = new_id

    async def send(
        self,
        kind: Letter,
        *,
        language: str,
        to: str = "",
        about: Mapping[str, str] | None = None,
        life_s: int = NOTICE_LIFE_S,
    ) -> None:
        """Have a letter sent, if that is possible within ``life_s``. Raises ``Temporary`` when the queue is away."""
        not_after = self._clock.now_ms() // 1000 + life_s
        letter = SendLetter(self._new_id(), kind.value, to, about or {}, language, not_after)
        await self._queues.send(Queue.LETTERS, encode(letter))


def language_of(request: web.Request) -> str:
    """The language that the asker would rather read, of those that letters are written in."""
    for entry in request.headers.get("Accept-Language", "").split(",")[:LANGUAGES_READ_MAX]:
        language = entry.partition(";")[0].strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]
