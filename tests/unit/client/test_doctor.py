"""Each check of the doctor, with what it looks for brought about."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from email.utils import formatdate
from pathlib import Path
from time import time

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from syncline.client import doctor
from syncline.client.api import Api
from syncline.client.daemon.life import LOCK
from syncline.client.disk import Disk
from syncline.client.doctor import Finding, Level
from syncline.client.filelog import Entry, What
from syncline.client.holding import Held, note_home
from syncline.client.home import Home, SavedSession, SessionFile
from syncline.client.index import Index, Link, Pending
from syncline.client.schema import SCHEMA_VERSION
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.unit.client.planned import remote_node

Answering = Callable[[web.Request], Awaitable[web.Response]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def link(tmp_path: Path) -> Link:
    stat = Disk(tmp_path / "folder").mark("marker")
    return Link("link", "library", "Shared", str(tmp_path / "folder"), stat.st_dev, stat.st_ino, "marker")


@pytest.fixture
def index(home: Home, link: Link) -> Index:
    index = Index(home.index_path)
    index.add_link(link)
    return index


def signed_in(home: Home, server: str) -> SessionFile:
    sessions = SessionFile(home)
    sessions.save(
        SavedSession(
            server=server,
            account="a",
            email="alice@example.org",
            account_name="Alice",
            device="d",
            device_name="laptop",
            refresh_token="r",
            access_token="t",
            access_until=time() + 1_000,
        )
    )
    return sessions


@asynccontextmanager
async def serving(home: Home, answering: Answering) -> AsyncIterator[Api]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering)
    server = TestServer(app)
    await server.start_server()
    try:
        url = str(server.make_url("")).rstrip("/")
        async with Api(url, signed_in(home, url)) as api:
            yield api
    finally:
        await server.close()


def packed(body: object) -> web.Response:
    return web.Response(body=msgspec.msgpack.encode(body), content_type="application/msgpack")


def levels(*findings: Finding) -> list[Level]:
    assert all(finding.advice for finding in findings if finding.level is not Level.OK)
    return [finding.level for finding in findings]


# -- this client


def test_a_home_that_others_may_look_into(home: Home) -> None:
    signed_in(home, "")
    assert levels(*doctor.check_home(home.path)) == [Level.OK, Level.OK]
    home.path.chmod(0o755)
    home.session_path.chmod(0o640)
    found = list(doctor.check_home(home.path))
    assert levels(*found) == [Level.WARNING, Level.WARNING]
    assert found[1].advice == f"chmod 600 '{home.session_path}'"


def test_an_index_that_is_damaged_newer_or_none(home: Home, index: Index) -> None:
    assert doctor.check_index(home.index_path).level is Level.OK
    index.agree(index.links()[0], [], log=[Entry(at_ms=0, what=What.SENT, path="p" * 3000, why="w") for _ in range(99)])
    index.close()
    content = bytearray(home.index_path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    damaged = home.path / "damaged"
    damaged.write_bytes(content)
    assert levels(doctor.check_index(damaged)) == [Level.PROBLEM]
    damaged.write_bytes(b"no database at all" * 100)
    assert levels(doctor.check_index(damaged)) == [Level.PROBLEM]
    with closing(sqlite3.connect(home.index_path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert doctor.check_index(home.index_path).advice == "Update Syncline."
    assert levels(doctor.check_index(home.path / "none")) == [Level.PROBLEM]


def test_nobody_signed_in_or_a_damaged_session(home: Home) -> None:
    assert levels(doctor.check_session(SessionFile(home))) == [Level.PROBLEM]
    assert levels(doctor.check_session(signed_in(home, "https://x"))) == [Level.OK]
    home.session_path.write_text("{")
    assert levels(doctor.check_session(SessionFile(home))) == [Level.PROBLEM]


def test_a_daemon_that_does_not_answer(home: Home) -> None:
    assert doctor.check_daemon(home).detail == "does not run"
    with home.locked(LOCK):
        assert levels(doctor.check_daemon(home)) == [Level.PROBLEM]


# -- the service


@pytest.mark.parametrize(("ahead_s", "level"), [(0, Level.OK), (-3_600, Level.WARNING), (3_600, Level.WARNING)])
async def test_a_clock_that_is_off(home: Home, ahead_s: int, level: Level) -> None:
    async def answering(_: web.Request) -> web.Response:
        return web.Response(status=401, headers={"Date": formatdate(time() + ahead_s, usegmt=True)})

    async with serving(home, answering) as api:
        assert levels(await doctor.check_server(api)) == [level]


async def test_a_server_that_is_not_there(home: Home) -> None:
    async with Api("http://127.0.0.1:1", signed_in(home, "http://127.0.0.1:1")) as api:
        assert levels(await doctor.check_server(api)) == [Level.PROBLEM]


async def test_a_sign_in_and_a_library_that_are_good_no_more(home: Home, link: Link) -> None:
    async def refusing(_: web.Request) -> web.Response:
        body = {"type": "/problems/device-revoked", "title": "Signed out", "status": 401}
        return web.json_response(body, status=401, content_type="application/problem+json")

    async def well(request: web.Request) -> web.Response:
        if request.path == "/v1/me":
            account = m.Account(id="a", email="alice@example.org", name="Alice")
            return packed(m.Me(account=account, device="d", device_name="laptop"))
        library = m.Library(id="l", name="Shared", role=Role.OWNER, seq=1, cursor="", created_at_ms=0)
        return packed(library)

    async with serving(home, refusing) as api:
        assert levels(await doctor.check_token(api), await doctor.check_library(api, link)) == [Level.PROBLEM] * 2
    async with serving(home, well) as api:
        assert levels(await doctor.check_token(api), await doctor.check_library(api, link)) == [Level.OK] * 2


@pytest.mark.parametrize(
    ("status", "has_files", "level"),
    [(200, True, Level.OK), (403, False, Level.OK), (403, True, Level.PROBLEM), (404, True, Level.PROBLEM)],
)
async def test_s3_that_refuses_or_lacks_what_it_should_have(
    home: Home, link: Link, index: Index, status: int, has_files: bool, level: Level
) -> None:
    async def answering(request: web.Request) -> web.Response:
        if request.method == "POST":
            here = f"http://{request.host}"
            credential = m.S3Credential(
                access_key_id="A", secret_access_key="s", session_token="t", expires_at=2**40, bucket="b",
                region="eu-central-1", endpoint=here,
            )  # fmt: skip
            return packed(m.DownloadAnswer(credential=credential))
        return web.Response(status=status)

    if has_files:
        index.learn(link, [msgspec.structs.replace(remote_node("f"), key="key")], (), cursor="c", seq=1)
    async with serving(home, answering) as api:
        assert levels(await doctor.check_s3(api, link, index)) == [level]


# -- a linked folder


def test_a_folder_that_is_gone_exchanged_or_not_ours_to_write(link: Link, tmp_path: Path) -> None:
    folder = Path(link.path)
    assert levels(doctor.check_folder(link)) == [Level.OK]
    probe = folder / ".syncline" / doctor.PROBE
    assert not probe.exists()
    probe.mkdir()  # so that nothing of ours can be written there, not even by root
    assert levels(doctor.check_folder(link)) == [Level.PROBLEM]
    probe.rmdir()
    other = msgspec.structs.replace(link, marker="another")
    assert levels(doctor.check_folder(other)) == [Level.PROBLEM]
    folder.rename(tmp_path / "elsewhere")
    assert levels(doctor.check_folder(link)) == [Level.PROBLEM]


def test_no_room(link: Link, tmp_path: Path) -> None:
    assert levels(doctor.check_room(link, at_least=0), doctor.check_room(link, at_least=2**80)) == [
        Level.OK,
        Level.WARNING,
    ]
    assert doctor.check_room(msgspec.structs.replace(link, path=str(tmp_path / "none"))).level is Level.PROBLEM


def test_more_folders_than_may_be_watched(link: Link, tmp_path: Path) -> None:
    for n in range(10):
        (Path(link.path) / str(n)).mkdir()
    limit = tmp_path / "max_user_watches"
    limit.write_text("12\n")
    assert levels(*doctor.check_watches([link], limit=limit)) == [Level.WARNING]
    limit.write_text("1000\n")
    assert levels(*doctor.check_watches([link], limit=limit)) == [Level.OK]
    assert list(doctor.check_watches([link], limit=tmp_path / "not linux")) == []


def test_a_file_system_with_its_ways(link: Link) -> None:
    assert list(doctor.check_file_system(link)) == []
    (Path(link.path) / ".syncline" / doctor.CASE_PROBE.upper()).touch()  # what looking for the other case finds
    assert levels(*doctor.check_file_system(link)) == [Level.WARNING]


def test_another_client_on_the_folder(home: Home, link: Link, index: Index) -> None:
    assert levels(doctor.check_alone(home, link)) == [Level.OK]
    disk = Disk(Path(link.path))
    with Held(disk):
        assert doctor.check_alone(home, link).detail == "is kept in sync"
    index.close()
    other = Home(home.path.with_name("other"))
    shutil.copy(home.index_path, other.index_path)
    note_home(disk, other.path)
    found = doctor.check_alone(home, link)
    assert levels(found) == [Level.PROBLEM]
    assert f"SYNCLINE_HOME={other.path}" in found.detail


def test_commands_that_wait_for_their_outcome(index: Index, link: Link) -> None:
    assert levels(doctor.check_pending(index, link)) == [Level.OK]
    index.expect(link, Pending("c", b"", ()))
    assert levels(doctor.check_pending(index, link)) == [Level.WARNING]


def test_a_large_trash(link: Link) -> None:
    (Path(link.path) / "plan").write_bytes(b"12345")
    disk = Disk(Path(link.path))
    disk.trash_file("plan", disk.expecting((disk.stat("plan"),), None))
    found = [doctor.check_trash(link, at_most=5), doctor.check_trash(link, at_most=4)]
    assert levels(*found) == [Level.OK, Level.WARNING]


def test_what_was_left_alone_or_refused_is_counted_by_reason(index: Index, link: Link) -> None:
    def told(what: What, path: str, why: str) -> None:
        index.log_news(link, [Entry(at_ms=2**41, what=what, path=path, why=why)], 2**41)

    for name in ("a", "b"):
        os.mkfifo(Path(link.path) / name)
        told(What.LEFT_ALONE, name, "a pipe")
    told(What.LEFT_ALONE, "gone since", "a pipe")
    told(What.REFUSED, "plan", "no room")
    told(What.REFUSED, "mended", "no room")
    told(What.SENT, "mended", "new here")
    found = list(doctor.check_left(index, link))
    assert levels(*found) == [Level.OK, Level.WARNING]
    assert [one.detail for one in found] == ["left alone: 2 (a pipe)", "refused: 1 (no room)"]
