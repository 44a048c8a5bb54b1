"""Keeping what the local AWS has been told, on request: `POST /_syncline/keep`, by the root key's secret alone.

MiniStack saves identities, queues, topics and settings when it is stopped. Where it is started again after a kill
without being provisioned again, as in compose, they must have been saved before: provisioning asks for it at its end.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/_syncline/keep"


class Keeper:
    """Answers `PATH` once `save` has returned; passes everything else on."""

    def __init__(self, app: App, secret: str, save: Callable[[], None]):
        self._app = app
        self._expected = authorization(secret)
        self._save = save

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        status = 403
        if scope["method"] == "POST" and self._is_root(scope):
            self._save()
            status = 204
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _is_root(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
        return hmac.compare_digest(given, self._expected.encode())


def authorization(secret: str) -> str:
    """The header that proves to hold the root key."""
    return f"Bearer {secret}"
