"""Where the socket lies, that it is nobody else's, and what is said over it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from syncline.client.cli.output import Answer
from syncline.client.cli.quick import quick, show
from syncline.client.daemon.asking import Lost, NoDaemon, ask
from syncline.client.daemon.place import SOCKET_PATH_BYTES_MAX, Unsafe, home_path, socket_path
from syncline.client.daemon.protocol import Look, Refresh, Request, Stop, Sync, decode_request
from syncline.client.daemon.server import Say, listening
from syncline.client.home import Home
from syncline.domain.errors import Refused, Temporary


def test_a_short_home_holds_its_socket() -> None:
    assert socket_path("/home/a", {}) == "/home/a/daemon.sock"


def test_a_long_home_s_socket_is_short_private_and_its_own(tmp_path: Path) -> None:
    run = {"XDG_RUNTIME_DIR": "/tmp"}
    homes = [str(tmp_path / ("h" * 100) / name) for name in ("a", "b")]
    paths = [socket_path(home, run, make=True) for home in homes]
    try:
        assert len(set(paths)) == 2
        for path in paths:
            assert len(path) <= SOCKET_PATH_BYTES_MAX
            folder = Path(path).parent
            assert folder.stat().st_mode & 0o077 == 0
            folder.chmod(0o755)
            with pytest.raises(Unsafe):
                socket_path(homes[paths.index(path)], run)
    finally:
        for path in paths:
            Path(path).parent.rmdir()


def test_a_link_in_the_folder_s_place_is_not_followed(tmp_path: Path) -> None:
    run = {"XDG_RUNTIME_DIR": "/tmp"}
    home = str(tmp_path / ("h" * 100))
    folder = Path(socket_path(home, run)).parent
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(Unsafe):
            socket_path(home, run, make=True)
    finally:
        folder.unlink()


@pytest.mark.parametrize("named", ["/a/b", "~/c", "relative", ""])
def test_both_roads_find_the_same_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    named = named.replace("/a", str(tmp_path / "a"))
    environ = {"SYNCLINE_HOME": named} if named else {}
    assert home_path(environ) == str(Home.from_environ(environ).path)


def test_requests_are_understood_or_refused() -> None:
    def decoded(**members: object) -> Request:
        return decode_request(json.dumps(members).encode())

    assert decoded(v=1, ask="sync", folders=["/a"]) == Sync(v=1, folders=["/a"])
    assert decoded(v=1, ask="status", color=True) == Look(v=1, color=True)
    assert decoded(v=1, ask="refresh") == Refresh(v=1)
    assert decoded(v=1, ask="stop") == Stop(v=1)
    for wrong, kind in (({"v": 2, "ask": "sync"}, "other-version"), ({"v": 1, "ask": "dance"}, "not-understood")):
        with pytest.raises(Refused) as caught:
            decoded(**wrong)
        assert caught.value.kind == kind
    with pytest.raises(Refused):
        decode_request(b"no JSON")


async def test_a_name_that_is_no_unicode_comes_through(tmp_path: Path) -> None:
    name = os.fsdecode(b"/caf\xe9")
    line = json.dumps({"v": 1, "ask": "sync", "folders": [name]}).encode()
    assert decode_request(line) == Sync(v=1, folders=[name])


async def answer(request: Request, say: Say) -> Answer:
    match request:
        case Sync():
            say({"event": "progress", "said": "half"})
            return Answer({"did": "sync"}, "done", 5, complaints=["one\nline"])  # type: ignore[arg-type]
        case Look():
            raise Temporary("away")
        case Refresh():
            raise ZeroDivisionError("a bug")
        case Stop():
            await asyncio.Event().wait()
            raise AssertionError


async def test_answers_and_problems_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "daemon.sock"
    with pytest.raises(NoDaemon):
        await asyncio.to_thread(ask, str(tmp_path), {"ask": "sync"})
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # as a killed daemon leaves it
    with pytest.raises(NoDaemon):
        await asyncio.to_thread(ask, str(tmp_path), {"ask": "sync"})
    heard: list[object] = []
    async with listening(str(path), answer):
        assert path.stat().st_mode & 0o777 == 0o600
        last = await asyncio.to_thread(lambda: ask(str(tmp_path), {"ask": "sync"}, hear=heard.append))
        assert heard == [{"event": "progress", "said": "half"}]
        assert show(last, as_json=False, quiet=False) == 5
        assert capsys.readouterr() == ("done\n", "syncline: one line\n")
        assert show(last, as_json=True, quiet=False) == 5
        assert json.loads(capsys.readouterr().out) == {"did": "sync"}
        last = await asyncio.to_thread(ask, str(tmp_path), {"ask": "status"})
        assert show(last, as_json=False, quiet=False) == 4
        assert "away. Try again later." in capsys.readouterr().err
        last = await asyncio.to_thread(ask, str(tmp_path), {"ask": "refresh"})
        assert last["problem"]["kind"] == "internal"
        waiting = asyncio.create_task(asyncio.to_thread(ask, str(tmp_path), {"ask": "stop"}))
        await asyncio.sleep(0.1)
    with pytest.raises(Lost):
        await waiting
    assert not path.exists()


@pytest.mark.parametrize("words", [[], ["ls"], ["sync", "--help"], ["status", "--server", "x"], ["sync"]])
def test_what_is_not_plain_takes_the_long_road(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCLINE_HOME", str(tmp_path))
    assert quick(words) is None
