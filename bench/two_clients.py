"""What benchmarks of whole clients share: an embedded stack, and two people whose folders hold the same tree.

Making that takes minutes for 10,000 files, so it is kept (``--data``) and found again by the next benchmark.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.demo import Demo
from deploy.local.logs import Console
from deploy.local.people import Person, command
from deploy.local.place import Place
from tests.e2e.embedded import running_stack

TREE = "tree"
FILES_IN_A_FOLDER = 100
FILE_BYTES = (200, 4_000)
COMMAND_S_MAX = 3_600.0


@dataclass(frozen=True)
class Spent:
    """What a program took from its start to its end: seconds, its own CPU seconds, and what it printed."""

    seconds: float
    cpu_seconds: float
    printed: str


@dataclass(frozen=True)
class TwoClients:
    """Alice and bob, whose folders are in sync and hold ``TREE``, on a stack that is up."""

    place: Place
    alice: Person
    bob: Person


def arguments(about: str | None, *, files: int = 10_000, rounds: int) -> argparse.ArgumentParser:
    """The options that these benchmarks have in common."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=files)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--data", type=Path, default=Path("build/bench"), help="where the stack and the tree are kept")
    parser.add_argument("--json", action="store_true")
    return parser


@contextmanager
def two_clients(data: Path, files: int, *settings: str) -> Iterator[TwoClients]:
    """The stack of ``data/FILES``, made the first time. ``settings``: NAME=VALUE for its services."""
    with running_stack(
        (data / str(files)).resolve(), *(word for each in settings for word in ("--set", each))
    ) as stack:
        alice, bob = asyncio.run(Demo(stack.place, Console(quiet=True, verbose=False)).prepare())
        make_tree(alice.folder / TREE, files)
        for person in (alice, bob):
            began = time.monotonic()
            run(person, "sync")
            say(f"{person.name} has {files:,} files in sync after {time.monotonic() - began:.1f} s")
        yield TwoClients(stack.place, alice, bob)


def run(person: Person, *words: str) -> Spent:
    """Run ``syncline WORDS`` for a person. Ends the benchmark when it does not succeed."""
    return timed(command(*words), person.environment())


def timed(words: Sequence[str], environ: Mapping[str, str]) -> Spent:
    """Run a program to its end. Ends the benchmark when it does not succeed."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(seconds, cpu, done.stdout)


@contextmanager
def daemons(*people: Person) -> Iterator[None]:
    """Their daemons run meanwhile, and have come to rest."""
    try:
        for person in people:
            run(person, "start")
            run(person, "sync")
        yield
    finally:
        for person in people:
            run(person, "stop")


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def make_tree(tree: Path, files: int) -> None:
    """Files of random bytes, always the same ones, 100 in a folder."""
    chance = random.Random(files)
    for number in range(files):
        path = tree / f"folder {number // FILES_IN_A_FOLDER}" / f"file number {number}.txt"
        content = chance.randbytes(chance.randint(*FILE_BYTES))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
