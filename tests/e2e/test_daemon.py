"""The daemon as people run it: real processes over the whole stack, two people, kills, a server that goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.embedded import EmbeddedStack, running_stack, start_stack, stop, wait_ready
from tests.e2e.people import PASSWORD

WAIT_S_MAX = 120
COMMAND = "import sys; from syncline.client.cli import main; sys.exit(main())"


class Client:
    """One SYNCLINE_HOME at a terminal, with one linked folder."""

    def __init__(self, server: str, base: Path, name: str) -> None:
        self.email = f"{name}-{os.getpid()}-{time.time_ns()}@example.com"
        self.folder = base / name
        self.environment = os.environ | {
            "SYNCLINE_HOME": str(base / f"{name}-home"),
            "SYNCLINE_SERVER": server,
            "SYNCLINE_PASSWORD": PASSWORD,
        }

    def tries(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S_MAX,
            check=False,
        )

    def does(self, *words: str) -> Any:
        """The document of a command that must succeed."""
        said = self.tries(*words, "--json")
        assert said.returncode == 0, said
        return json.loads(said.stdout)

    def is_without_daemon(self) -> bool:
        """False also while one is going down in the middle of its answer."""
        said = self.tries("status", "--json")
        return said.returncode == 0 and "daemon" not in json.loads(said.stdout)

    def status(self) -> dict[str, Any]:
        """What status says of the folder, whatever its exit code."""
        [folder] = json.loads(self.tries("status", "--json").stdout)["folders"]
        assert isinstance(folder, dict)
        return folder

    def files(self) -> dict[str, bytes]:
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        paths = {str(path.relative_to(self.folder)): path for path in found}
        return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(".syncline")}


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


@contextmanager
def two_people(server: str, base: Path) -> Iterator[tuple[Client, Client]]:
    """Two people who share a library, each with a folder linked; their daemons are ended."""
    alice, bob = Client(server, base, "alice"), Client(server, base, "bob")
    try:
        for person in (alice, bob):
            person.does("register", person.email, "--name", "Somebody")
        alice.does("library", "create", "Shared")
        alice.does("library", "share", "Shared", bob.email)
        for person in (alice, bob):
            person.does("link", "Shared", str(person.folder))
        yield alice, bob
    finally:
        for person in (alice, bob):
            person.tries("stop")


@pytest.fixture
def people(stack: EmbeddedStack, tmp_path: Path) -> Iterator[tuple[Client, Client]]:
    with two_people(stack.url, tmp_path) as both:
        yield both


def test_two_daemons_keep_two_folders_the_same(people: tuple[Client, Client]) -> None:
    alice, bob = people
    assert alice.does("start")["started"]
    assert bob.does("start")["started"]
    assert alice.does("start") == {"started": False, "running": True}
    (alice.folder / "a").mkdir()
    (alice.folder / "a/from alice").write_text("alice")
    (bob.folder / "from bob").write_text("bob")
    both = {"a/from alice": b"alice", "from bob": b"bob"}
    until(lambda: alice.files() == bob.files() == both)
    until(lambda: alice.status()["state"] == bob.status()["state"] == "idle")
    told = alice.status()
    assert told["watched"]
    assert told["problem"] is None
    assert told["to_send"] == told["to_fetch"] == []
    assert alice.does("stop") == {"stopped": True}


def test_sync_sees_what_was_saved_the_moment_before(people: tuple[Client, Client]) -> None:
    alice, bob = people
    alice.does("start")
    bob.does("start")
    for number in range(20):
        content = f"saved the moment before: {number}"
        (alice.folder / "file").write_text(content)
        assert alice.does("sync")["folders"][0]["complete"]
        assert bob.does("sync")["folders"][0]["complete"]
        assert (bob.folder / "file").read_text() == content


def test_killed_it_starts_again_and_goes_on(people: tuple[Client, Client]) -> None:
    alice, bob = people
    alice.does("start")
    bob.does("start")
    for number in range(3):
        (alice.folder / f"large {number}").write_bytes(os.urandom(1_000_000) * 30)
        until(lambda: alice.status()["state"] in ("scanning", "syncing", "idle"))
        os.kill(alice.does("status")["daemon"]["pid"], signal.SIGKILL)
        until(alice.is_without_daemon)
        assert alice.does("start")["started"]
    assert alice.does("sync")["folders"][0]["complete"]
    assert bob.does("sync")["folders"][0]["complete"]
    assert bob.files() == alice.files()
    assert len(bob.files()) == 3


def test_a_second_client_on_the_same_folder_is_refused(
    stack: EmbeddedStack, people: tuple[Client, Client], tmp_path: Path
) -> None:
    alice, _ = people
    alice.does("start")
    second = Client(stack.url, tmp_path, "second")
    second.does("register", second.email, "--name", "Second")
    second.does("library", "create", "Mine")
    refused = second.tries("link", "Mine", str(alice.folder))
    assert refused.returncode == 1
    assert "Another Syncline client keeps" in refused.stderr
    (alice.folder / "still").write_text("works")
    assert alice.does("sync")["folders"][0]["complete"]


def test_a_folder_that_goes_away_and_comes_back_loses_nothing(people: tuple[Client, Client]) -> None:
    alice, bob = people
    alice.does("start")
    (alice.folder / "file").write_text("kept")
    alice.does("sync")
    away = alice.folder.with_name("away")
    alice.folder.rename(away)
    until(lambda: alice.status()["state"] == "missing")
    assert alice.tries("sync").returncode == 1
    (away / "written while away").write_text("x")
    away.rename(alice.folder)
    until(lambda: alice.status()["state"] == "idle")
    bob.does("sync")
    assert set(bob.files()) == {"file", "written while away"}
    until(lambda: alice.status()["watched"])
    (alice.folder / "seen again").write_text("x")
    bob.does("start")
    until(lambda: "seen again" in bob.files())


def test_a_pause_and_a_large_removal_are_held(people: tuple[Client, Client]) -> None:
    alice, bob = people
    alice.does("start")
    alice.does("pause")
    (alice.folder / "file").write_text("x")
    until(lambda: alice.status()["state"] == "paused")
    bob.does("sync")
    assert bob.files() == {}
    alice.does("resume")
    for number in range(60):
        (alice.folder / str(number)).write_text(str(number))
    alice.does("sync")
    for number in range(60):
        (alice.folder / str(number)).unlink()
    until(lambda: alice.status()["state"] == "held")
    bob.does("sync")
    assert len(bob.files()) == 61
    assert alice.tries("sync").returncode == 1
    assert alice.does("sync", "--allow-removals")["folders"][0]["removed_there"]
    bob.does("sync", "--allow-removals")
    assert set(bob.files()) == {"file"}


def test_a_server_that_was_away_is_caught_up_with(tmp_path: Path) -> None:
    with running_stack(tmp_path / "stack") as own, two_people(own.url, tmp_path) as (alice, bob):
        alice.does("start")
        bob.does("start")
        until(lambda: alice.status()["state"] == "idle")
        stop(own.process)
        (alice.folder / "meanwhile").write_text("x")
        until(lambda: (told := alice.status())["state"] == "waiting" and told["retry_at_ms"])
        assert alice.tries("sync").returncode == 4
        again = start_stack(own.place)
        try:
            wait_ready(own.place, again)
            until(lambda: "meanwhile" in bob.files())
        finally:
            for person in (alice, bob):
                person.tries("stop")
            stop(again)
