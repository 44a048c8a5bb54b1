"""The daemon as a process of its own: start, stop, status and sync through it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.client.cli.people import Person, Said
from tests.unit.client.cli.service import Service

WAIT_S_MAX = 60
COMMAND = "import sys; from syncline.client.cli import main; sys.exit(main())"


class Keeper(Person):
    """Somebody whose daemon runs; commands are processes, as from a shell."""

    def tries(self, *words: str, typed: str | None = None) -> Said:
        """What came of a command, whatever it was."""
        ended = subprocess.run(
            [sys.executable, "-c", COMMAND, *words],
            env=os.environ | self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=WAIT_S_MAX,
            check=False,
        )
        return Said(ended.returncode, ended.stdout, ended.stderr)

    def status(self) -> dict[str, object]:
        """What status --json says of the only folder."""
        said = self.tries("status", "--json")
        [folder] = json.loads(said.out)["folders"]
        assert isinstance(folder, dict)
        return folder

    def pid(self) -> int:
        return int(json.loads(self.tries("status", "--json").out)["daemon"]["pid"])


def until(condition: Callable[[], object]) -> None:
    for _ in range(WAIT_S_MAX * 10):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


@pytest.fixture
def alice(service: Service, tmp_path: Path) -> Iterator[Keeper]:
    person = Keeper("alice", service.url, tmp_path)
    person.does("register", person.email, "--name", "Alice")
    person.does("library", "create", "Shared")
    person.does("link", "Shared", str(tmp_path / "alice"))
    yield person
    person.tries("stop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "alice"


def test_a_day_with_the_daemon(service: Service, alice: Keeper, folder: Path) -> None:
    assert "No daemon runs" in alice.does("stop")
    (folder / "early").write_text("early")
    assert "The daemon runs" in alice.does("start")
    assert "runs already" in alice.does("start")
    alice.does("sync")
    assert alice.does("ls", "Shared:").split()[-1] == "early"
    assert alice.status()["state"] == "idle"
    assert "in sync" in alice.does("status")
    before = alice.asks("sync")["folders"][0]["seq"]
    for number in range(20):
        (folder / "file").write_text(f"saved the moment before, {number}")
        answer = alice.asks("sync", str(folder))["folders"][0]
        assert answer["complete"]
        assert answer["seq"] == before + number + 1
    assert alice.asks("sync")["folders"][0]["complete"]
    alice.is_refused("daemon-running", "watch")
    alice.is_refused("not-linked", "sync", str(folder.parent))
    assert "has ended" in alice.does("stop")
    assert "No daemon runs" in alice.does("stop")
    assert not (alice.home / "daemon.sock").exists()
    log = (alice.home / "logs/daemon.log").read_text()
    assert "started" in log
    assert "sent 1 file" in log
    assert log.rstrip().endswith("stopped")


def test_what_is_written_goes_by_itself_and_links_are_taken_up(alice: Keeper, folder: Path) -> None:
    alice.does("start")
    (folder / "by itself").write_text("x")
    until(lambda: "by itself" in alice.does("ls", "Shared:"))
    alice.does("library", "create", "Other")
    other = folder.parent / "other"
    alice.does("link", "Other", str(other))
    (other / "new link").write_text("x")
    until(lambda: "new link" in alice.does("ls", "Other:"))
    assert "all files stay" in alice.does("unlink", str(other))
    alice.is_refused("not-linked", "sync", str(other))
    assert [one["path"] for one in alice.asks("status")["folders"]] == [str(folder)]


def test_a_killed_daemon_leaves_nothing_in_the_way(alice: Keeper, folder: Path) -> None:
    alice.does("start")
    pid = alice.pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: "daemon" not in json.loads(alice.tries("status", "--json").out or '{"daemon": "goes down"}'))
    assert (alice.home / "daemon.sock").exists()
    (folder / "meanwhile").write_text("x")
    assert "sent 1 file" in alice.does("sync")
    alice.does("start")
    assert alice.pid() != pid
    until(lambda: alice.status()["state"] == "idle")


def test_nobody_signed_in_is_said_at_once(alice: Keeper) -> None:
    alice.does("logout")
    alice.is_refused("not-signed-in", "start", code=3)


def test_a_home_whose_path_is_too_long_for_a_socket(service: Service, alice: Keeper, folder: Path) -> None:
    long = alice.home.parent / ("a" * 100)
    alice.home.rename(long)
    alice.environment["SYNCLINE_HOME"] = str(long)
    alice.environment["XDG_RUNTIME_DIR"] = str(folder.parent)
    alice.does("start")
    (folder / "file").write_text("x")
    assert "in sync" in alice.does("sync")
    assert "file" in alice.does("ls", "Shared:")
    alice.does("stop")


def test_another_server_than_the_daemon_s_is_refused(alice: Keeper) -> None:
    alice.does("start")
    alice.environment["SYNCLINE_SERVER"] = "http://127.0.0.1:1"
    alice.is_refused("not-signed-in", "sync", code=3)


def test_a_service_keeps_it_in_the_foreground(alice: Keeper, folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "start", "--foreground"],
        env=os.environ | alice.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert str(process.pid) in process.stdout.readline()
    (folder / "file").write_text("x")
    assert "in sync" in alice.does("sync")
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_S_MAX) == 0


def test_a_second_client_is_refused(service: Service, alice: Keeper, folder: Path) -> None:
    second = Keeper("second", service.url, folder.parent)
    second.does("login", alice.email)
    told = second.is_refused("folder-taken", "link", "Shared", str(folder))
    assert str(alice.home) in told
    alice.does("unlink", str(folder))
    second.does("link", "Shared", str(folder))


def test_many_may_ask_at_once(alice: Keeper, folder: Path) -> None:
    alice.does("start")
    (folder / "file").write_text("x")
    said: list[str] = []
    threads = [threading.Thread(target=lambda: said.append(alice.does("sync"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 8
    assert all("in sync" in one for one in said)
    assert "file" in alice.does("ls", "Shared:")


def test_a_pause_is_remembered_and_ends(alice: Keeper, folder: Path) -> None:
    alice.does("start")
    alice.does("sync")
    assert "paused" in alice.does("pause", str(folder), "--for", "2h")
    until(lambda: alice.status()["state"] == "paused")
    alice.does("stop")
    alice.does("start")
    (folder / "while paused").write_text("x")
    until(lambda: alice.status()["state"] == "paused")
    assert alice.does("ls", "Shared:") == ""
    assert "in sync" in alice.does("sync")  # asked for by name, it is done this once
    assert "while paused" in alice.does("ls", "Shared:")
    assert alice.status()["state"] == "paused"
    assert "goes on" in alice.does("resume", str(folder))
    (folder / "afterwards").write_text("x")
    until(lambda: "afterwards" in alice.does("ls", "Shared:"))


def test_limits_are_shown_set_and_cleared(alice: Keeper) -> None:
    assert "no limit" in alice.does("limit")
    assert "1.0 MiB/s" in alice.does("limit", "--up", "1M", "--down", "0")
    assert "08:00-18:00  200 KiB/s" in alice.does("limit", "--up", "200K", "--between", "08:00-18:00")
    assert alice.asks("limit")["windows"] == [{"from_minute": 480, "to_minute": 1080, "up": 204800, "down": 0}]
    assert "08:00" not in alice.does("limit", "--clear", "--between", "08:00-18:00")
    assert "MiB" not in alice.does("limit", "--clear")
    for wrong in (
        ("--up", "fast"),
        ("--up", "1"),
        ("--up", "1M", "--between", "25:00-26:00"),
        ("--between", "1:00-2:00"),
    ):
        assert alice.tries("limit", *wrong).code == 2, wrong
    assert alice.tries("pause", "--for", "ever").code == 2


def test_the_service_s_file_is_printed(alice: Keeper) -> None:
    printed = alice.does("service", "install", "--print")
    assert str(alice.home) in printed
    assert "--foreground" in printed
    alice.environment["XDG_CONFIG_HOME"] = str(alice.home / "config")
    assert alice.asks("service", "status")["installed"] is False
    assert "not installed" in alice.does("service", "uninstall")
