"""The demo: alice and bob share a library, and a real client keeps a folder of each in sync."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import aws
from deploy.local.lock import CannotStart
from deploy.local.logs import Console
from deploy.local.place import Place, read_private, write_private
from deploy.local.programs import Program
from deploy.local.supervisor import Supervisor

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

    def watching(self) -> Program:
        """The client that keeps this person's folder in sync, as a program of the stack."""
        return Program(
            name=self.name,
            command=command("watch", str(self.folder)),
            environment=self.environment(),
        )


class Demo:
    """Two people, one library, two folders; set up once, found again by every later start."""

    def __init__(self, place: Place, console: Console):
        self._place = place
        self._console = console

    async def start(self, supervisor: Supervisor) -> None:
        """Bring the demo about and start its clients. Raises CannotStart."""
        people = await self.prepare()
        await people[1].does("follow", LIBRARY)
        await supervisor.start(*(person.watching() for person in people))
        self._console.say(self.summary())

    async def prepare(self) -> tuple[Person, ...]:
        """Both signed in, one library shared, a folder linked for each. Raises CannotStart."""
        alice, bob = people = self.people()
        await _all(_sign_in(person) for person in people)
        library = await _shared_library(alice, bob)
        await _all(_link(person, library) for person in people)
        return people

    def people(self) -> tuple[Person, ...]:
        """Alice and bob with their homes, folders and kept passwords."""
        path = self._place.secrets / "demo.json"
        passwords = read_private(path)
        if passwords is None:
            passwords = {f"{name}@example.com": secrets.token_urlsafe(PASSWORD_BYTES) for name in PEOPLE}
            write_private(path, passwords)
        return tuple(
            Person(
                name,
                self._place.clients / name,
                self._place.data / name,
                passwords[f"{name}@example.com"],
                self._place.url,
            )
            for name in PEOPLE
        )

    def summary(self) -> str:
        """What a person can try now, in a few lines."""
        alice, bob = self.people()
        return "\n".join(
            (
                "",
                f"Syncline is up at {self._place.url}",
                f'  alice  {alice.folder}   owns the library "{LIBRARY}"',
                f"  bob    {bob.folder}   edits it, and gets mail about it",
                f"  mail   {self._place.mail}/*.eml",
                f"  logs   {self._place.logs}/*.log",
                f"  passwords of {alice.email} and {bob.email}: {self._place.secrets / 'demo.json'}",
                f"Try: drop a file into {_near(alice.folder)} and watch {_near(bob.folder)}. Ctrl-C stops all.",
                "",
            )
        )


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


def _near(path: Path) -> Path:
    """The path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


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
