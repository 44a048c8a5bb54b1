"""Only the root key makes the local AWS save what it has been told."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.local.keeping import PATH, Keeper, authorization


class Asked:
    """A keeper over a server that answers 200, and what came of the requests to it."""

    def __init__(self) -> None:
        self.saved = 0
        self.statuses: list[int] = []
        self.keeper = Keeper(self._server, "secret", self._save)

    def _save(self) -> None:
        self.saved += 1

    async def _server(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def status_of(self, method: str, path: str, given: str | None = None) -> int:
        headers = [] if given is None else [(b"authorization", given.encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        answer: list[Any] = []

        async def send(message: Any) -> None:
            answer.append(message)

        async def receive() -> Any:
            raise AssertionError("there is no body")

        await self.keeper(scope, receive, send)
        return int(answer[0]["status"])


async def test_the_root_key_saves() -> None:
    asked = Asked()
    assert await asked.status_of("POST", PATH, authorization("secret")) == 204
    assert asked.saved == 1


@pytest.mark.parametrize("given", [None, "", "secret", authorization(""), authorization("secre"), "Bearer geheim"])
async def test_nobody_else_does(given: str | None) -> None:
    asked = Asked()
    assert await asked.status_of("POST", PATH, given) == 403
    assert asked.saved == 0


async def test_reading_saves_nothing() -> None:
    asked = Asked()
    assert await asked.status_of("GET", PATH, authorization("secret")) == 403
    assert asked.saved == 0


async def test_everything_else_is_the_servers() -> None:
    asked = Asked()
    assert await asked.status_of("POST", "/", authorization("secret")) == 200
    assert asked.saved == 0
