"""The demo's people: alice and bob share a library, and a folder is linked for each, by the `syncline` command."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import aws
from deploy.local.lock import CannotStart
from deploy.local.place import read_private, write_private

LIBRARY = "Shared"
PEOPLE = ("alice", "bob")
PASSWORD_BYTES = 12
COMMAND_SECONDS_MAX = 60.0
# The exit status of the command when the server refused something (see `syncline --help`).
REFUSED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a `syncline` command ended; `document` is what it printed with --json, if it did."""

    status: int
    document: Any
    errors: str


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the demo with a client of their own."""

    name: str
    home: Path
    folder: Path
    password: str
    server: str

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    def environment(self) -> dict[str, str]:
        return {
            **aws.inherited(),
            "SYNCLINE_HOME": str(self.home),
            "SYNCLINE_SERVER": self.server,
            "SYNCLINE_PASSWORD": self.password,
            "PYTHONUNBUFFERED": "1",
        }

    async def does(self, *words: str) -> Any:
        """Run `syncline WORDS --json`; what it printed. Raises CannotStart if it did not succeed."""
        outcome = await self.tries(*words)
        if outcome.status != 0:
            said = _detail(outcome.errors) or f"exit status {outcome.status}"
            raise CannotStart(f"syncline {' '.join(words)} (as {self.name}): {said}")
        return outcome.document

    async def tries(self, *words: str) -> Outcome:
        """Run `syncline WORDS --json`, whatever comes of it."""
        process = await asyncio.create_subprocess_exec(
            *command(*words, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment(),
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS_MAX):
                out, errors = await process.communicate()
        except TimeoutError:
            raise CannotStart(f"syncline {' '.join(words)} (as {self.name}) did not end in time") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Outcome(process.returncode or 0, _document(out), errors.decode(errors="replace"))


def passwords(path: Path) -> dict[str, str]:
    """A password for each address, kept in the file `path`; made once."""
    kept: dict[str, str] | None = read_private(path)
    if kept is None:
        kept = {f"{name}@example.com": secrets.token_urlsafe(PASSWORD_BYTES) for name in PEOPLE}
        write_private(path, kept)
    return kept


async def prepare(people: Sequence[Person]) -> None:
    """All signed in, the first one's library shared with the second, a folder linked for each. Raises CannotStart."""
    alice, bob = people
    await _all(_sign_in(person) for person in people)
    library = await _shared_library(alice, bob)
    await _all(_link(person, library) for person in people)


def command(*words: str) -> tuple[str, ...]:
    """The `syncline` command of this very environment."""
    return (str(Path(sys.executable).with_name("syncline")), *words)


async def _all(steps: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do `steps` side by side. Raises what the first of them to fail raised, once all have ended."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _sign_in(person: Person) -> None:
    person.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _move_session(person)
    if (await person.tries("whoami")).status == 0:
        return
    if (await person.tries("login", person.email)).status == REFUSED:
        await person.does("register", person.email, "--name", person.name.capitalize())


def _move_session(person: Person) -> None:
    """Yesterday's session belongs to this server, though its port may have been another."""
    path = person.home / "session.json"
    session = read_private(path)
    if session is not None and session.get("server") not in (None, person.server):
        write_private(path, session | {"server": person.server})


async def _shared_library(owner: Person, editor: Person) -> str:
    """The id of the library that `owner` shares with `editor`."""
    listed = await owner.does("library", "list")
    found = [library["id"] for library in listed["libraries"] if library["name"] == LIBRARY]
    library = str(found[0]) if found else str((await owner.does("library", "create", LIBRARY))["id"])
    members = await owner.does("library", "members", library)
    if editor.email not in {member["email"] for member in members["members"]}:
        await owner.does("library", "share", library, editor.email, "--role", "editor")
    return library


async def _link(person: Person, library: str) -> None:
    person.folder.mkdir(exist_ok=True)
    await person.does("link", library, str(person.folder))


def _detail(errors: str) -> str:
    """What went wrong, from the problem that --json prints."""
    try:
        return str(json.loads(errors)["detail"])
    except (ValueError, KeyError, TypeError):
        return errors.strip()


def _document(out: bytes) -> Any:
    try:
        return json.loads(out)
    except ValueError:
        return None
