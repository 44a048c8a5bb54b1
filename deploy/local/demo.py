"""The demo of the embedded stack: a real client keeps a folder of alice's and one of bob's in sync."""

from __future__ import annotations

from pathlib import Path

from deploy.local.logs import Console
from deploy.local.people import LIBRARY, PEOPLE, Person, command, passwords, prepare
from deploy.local.place import Place
from deploy.local.programs import Program
from deploy.local.supervisor import Supervisor


class Demo:
    """Two people, one library, two folders; set up once, found again by every later start."""

    def __init__(self, place: Place, console: Console):
        self._place = place
        self._console = console

    async def start(self, supervisor: Supervisor) -> None:
        """Bring the demo about and start its clients. Raises CannotStart."""
        people = await self.prepare()
        await people[1].does("follow", LIBRARY)
        await supervisor.start(*(_watching(person) for person in people))
        self._console.say(self.summary())

    async def prepare(self) -> tuple[Person, ...]:
        """Both signed in, one library shared, a folder linked for each. Raises CannotStart."""
        people = self.people()
        await prepare(people)
        return people

    def people(self) -> tuple[Person, ...]:
        """Alice and bob with their homes, folders and kept passwords."""
        kept = passwords(self._place.secrets / "demo.json")
        return tuple(
            Person(
                name,
                self._place.clients / name,
                self._place.data / name,
                kept[f"{name}@example.com"],
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


def _watching(person: Person) -> Program:
    """The client that keeps this person's folder in sync, as a program of the stack."""
    return Program(
        name=person.name,
        command=command("watch", str(person.folder)),
        environment=person.environment(),
    )


def _near(path: Path) -> Path:
    """The path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
