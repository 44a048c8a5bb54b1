"""`people` of compose's demo: alice and bob are signed in, share a library, and have their folders linked."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from deploy.local.lock import CannotStart
from deploy.local.people import LIBRARY, PEOPLE, Person, passwords, prepare

HOMES = Path("/demo")
PASSWORDS = HOMES / "passwords" / "demo.json"


async def main() -> None:
    """Make what is not there yet."""
    kept = passwords(PASSWORDS)
    people = [
        Person(
            name,
            HOMES / name / "home",
            HOMES / name / "folder",
            kept[f"{name}@example.com"],
            os.environ["SYNCLINE_SERVER"],
        )
        for name in PEOPLE
    ]
    try:
        await prepare(people)
        await people[1].does("follow", LIBRARY)
    except CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    asyncio.run(main())
