"""What ``syncline doctor`` looks at. Each check is a function that answers what it found; none changes anything.

A check never fails: what keeps it from looking is what it found.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec

from syncline.client import local_trash
from syncline.client.api import Api
from syncline.client.credentials import ReadCredentials
from syncline.client.daemon.asking import Lost, NoDaemon, ask
from syncline.client.daemon.life import is_running
from syncline.client.disk import Disk
from syncline.client.filelog import READ_MAX, What
from syncline.client.holding import Held, check_free
from syncline.client.home import Home, SessionFile
from syncline.client.index import Index, Link
from syncline.client.s3 import S3
from syncline.client.schema import SCHEMA_VERSION
from syncline.domain.errors import Broken, NotFound, Refused, SynclineError

SKEW_S_MAX = 300
"""S3 refuses requests whose time is off by more than 15 minutes; we say so earlier."""
ROOM_BYTES_MIN = 1024**3
TRASH_BYTES_MAX = 5 * 1024**3
WATCH_SHARE_MAX = 0.8
PROBE_TIMEOUT_S = 10
PROBE, CASE_PROBE = "doctor", "doctor-case"
WATCHES_FILE = Path("/proc/sys/fs/inotify/max_user_watches")


class Level(StrEnum):
    """``WARNING``: it works, but not for long or not well. ``PROBLEM``: something does not work."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """What one check found of what (``subject``), and what to do about it ("" when it is well)."""

    check: str
    level: Level
    subject: str
    detail: str
    advice: str = ""


# -- this client


def check_home(home: Path) -> Iterator[Finding]:
    """The folder with this client's state is its owner's alone."""
    for path, fine in ((home, 0o700), (home / "session.json", 0o600)):
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            detail = f"others on this machine may look into it (mode {mode:o})"
            yield Finding("home", Level.WARNING, str(path), detail, f"chmod {fine:o} '{path}'")
        else:
            yield Finding("home", Level.OK, str(path), "is private")


def check_index(path: Path) -> Finding:
    """The index is whole, and of a version that this client knows."""
    anew = "Move it away and link the folders again; no file is lost, all are compared anew."
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True)) as db:
            said = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
            version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        return Finding("index", Level.PROBLEM, str(path), f"cannot be read: {error}", anew)
    if said != ["ok"]:
        return Finding("index", Level.PROBLEM, str(path), f"is damaged: {'; '.join(said)}", anew)
    if version > SCHEMA_VERSION:
        return Finding("index", Level.PROBLEM, str(path), "was made by a newer version", "Update Syncline.")
    return Finding("index", Level.OK, str(path), "is whole")


def check_session(sessions: SessionFile) -> Finding:
    """Somebody is signed in."""
    try:
        session = sessions.load()
    except Broken as broken:
        return Finding("sign-in", Level.PROBLEM, "this client", str(broken), "syncline login EMAIL")
    if session is None:
        return Finding("sign-in", Level.PROBLEM, "this client", "nobody is signed in", "syncline login EMAIL")
    return Finding("sign-in", Level.OK, session.email, f"is signed in at {session.server} as {session.device_name}")


def check_daemon(home: Home) -> Finding:
    """If a daemon runs for this home, it answers."""
    if not is_running(home):
        return Finding("daemon", Level.OK, str(home.path), "does not run", "To start it: syncline start")
    anew = "syncline stop && syncline start"
    try:
        last = ask(str(home.path), {"ask": "status"})
    except (NoDaemon, Lost) as error:
        detail = f"runs, but does not answer on its socket {error}".strip()
        return Finding("daemon", Level.PROBLEM, str(home.path), detail, anew)
    if "problem" in last:
        return Finding("daemon", Level.PROBLEM, str(home.path), str(last["problem"]["detail"]), anew)
    return Finding("daemon", Level.OK, str(home.path), "runs, and answers")


# -- the service


async def check_server(api: Api) -> Finding:
    """The server answers, and its clock and ours agree."""
    asked_at = time.time()
    try:
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        async with api.http.get(f"{api.server}/v1/me", timeout=timeout, allow_redirects=False) as answer:
            date = answer.headers.get("Date", "")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        detail = f"cannot be reached: {type(error).__name__} {error}"
        advice = "Look whether this machine is online, and the address right (syncline whoami)."
        return Finding("server", Level.PROBLEM, api.server, detail, advice)
    try:
        skew_s = (asked_at + time.time()) / 2 - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Finding("server", Level.OK, api.server, "answers")
    if abs(skew_s) > SKEW_S_MAX:
        ahead = "ahead of" if skew_s > 0 else "behind"
        detail = f"answers, but this machine's clock is {abs(skew_s) / 60:.0f} minutes {ahead} the server's"
        return Finding("server", Level.WARNING, api.server, detail, "Set the clock: timedatectl set-ntp true")
    return Finding("server", Level.OK, api.server, f"answers; the clocks agree to {abs(skew_s):.0f} s")


async def check_token(api: Api) -> Finding:
    """The sign-in is still good."""
    try:
        me = await api.me()
    except Refused as refused:
        return Finding("token", Level.PROBLEM, api.server, refused.detail, "syncline login EMAIL")
    except SynclineError as error:
        return Finding("token", Level.PROBLEM, api.server, str(error), "Try again later.")
    return Finding("token", Level.OK, me.account.email, "the sign-in is good")


async def check_library(api: Api, link: Link) -> Finding:
    """The library is still there for us."""
    try:
        library = await api.library(link.library)
    except Refused as refused:
        advice = f"Ask its owners, or stop keeping it: syncline unlink '{link.path}'. All files stay."
        return Finding("library", Level.PROBLEM, link.library_name, refused.detail, advice)
    except SynclineError as error:
        return Finding("library", Level.PROBLEM, link.library_name, str(error), "Try again later.")
    return Finding("library", Level.OK, library.name, f"you are its {library.role.value}")


async def check_s3(api: Api, link: Link, index: Index) -> Finding:
    """S3 can be reached with a credential for the library, and has an object that it should have."""
    some = next((node for node in index.remote(link).nodes.values() if node.key), None)
    try:
        s3 = S3(ReadCredentials(api, link.library), api.http, tries=1)
        await s3.head(some.key if some else f"{link.library}/none")
    except (NotFound, Refused) as error:
        if some is not None:
            advice = "The server's operator should look: syncline-admin check."
            return Finding("s3", Level.PROBLEM, link.library_name, f"the bytes of {some.name}: {error}", advice)
    except SynclineError as error:
        advice = "Look whether a firewall or proxy keeps this machine from S3."
        return Finding("s3", Level.PROBLEM, link.library_name, f"cannot be reached: {error}", advice)
    return Finding("s3", Level.OK, link.library_name, "can be reached, and gives credentials")


# -- a linked folder


def check_folder(link: Link) -> Finding:
    """The folder is there, is the one that was linked, and may be read and written."""
    disk = Disk(Path(link.path))
    try:
        disk.check_marker(link.marker)
        os.listdir(disk.root)
    except (Refused, OSError) as error:
        advice = f"Mount or put back the folder. If it is gone for good: syncline unlink '{link.path}'"
        detail = error.detail if isinstance(error, Refused) else f"cannot be read ({error.strerror})"
        return Finding("folder", Level.PROBLEM, link.path, detail, advice)
    try:
        _probe(disk, PROBE).unlink(missing_ok=True)
    except OSError as error:
        advice = "Make it writable for you; a read-only folder cannot be kept in sync."
        return Finding("folder", Level.PROBLEM, link.path, f"cannot be written to ({error.strerror})", advice)
    return Finding("folder", Level.OK, link.path, "is there, and may be read and written")


def check_room(link: Link, *, at_least: int = ROOM_BYTES_MIN) -> Finding:
    try:
        free = shutil.disk_usage(link.path).free
    except OSError as error:
        return Finding("room", Level.PROBLEM, link.path, f"cannot be told ({error.strerror})")
    if free < at_least:
        advice = "Make room; deleted files may still lie in the trash: syncline trash --local"
        return Finding("room", Level.WARNING, link.path, f"only {free >> 20} MiB are free", advice)
    return Finding("room", Level.OK, link.path, f"{free >> 20} MiB are free")


def check_watches(links: Sequence[Link], *, limit: Path = WATCHES_FILE) -> Iterator[Finding]:
    """The system allows as many watches as there are folders (Linux)."""
    try:
        allowed = int(limit.read_text())
    except (OSError, ValueError):
        return
    folders = sum(1 for link in links for _ in os.walk(link.path))
    if folders > allowed * WATCH_SHARE_MAX:
        detail = f"{folders} folders are to be watched; the system allows {allowed} watches"
        advice = f"sysctl fs.inotify.max_user_watches={1 << max(20, (folders * 2).bit_length())}"
        yield Finding("watching", Level.WARNING, "inotify", detail, advice)
    else:
        yield Finding("watching", Level.OK, "inotify", f"{folders} folders of {allowed} that may be watched")


def check_file_system(link: Link) -> Iterator[Finding]:
    """Upper and lower case are two names, and the executable bit can be kept."""
    try:
        probe = _probe(Disk(Path(link.path)), CASE_PROBE)
    except OSError:
        return  # check_folder says so
    try:
        if probe.with_name(probe.name.upper()).exists():
            detail = "takes names that differ in upper and lower case for one"
            advice = "Files whose names differ so cannot all be here; give them other names in the library."
            yield Finding("file system", Level.WARNING, link.path, detail, advice)
        probe.chmod(0o700)
        if not probe.stat().st_mode & 0o100:
            detail, advice = "cannot keep the executable bit", "Keep programs and scripts on another file system."
            yield Finding("file system", Level.WARNING, link.path, detail, advice)
    finally:
        probe.unlink(missing_ok=True)


def check_alone(home: Home, link: Link) -> Finding:
    """Only this client keeps the folder in sync, if it does."""
    disk = Disk(Path(link.path))
    try:
        check_free(disk, home.path)
    except Refused as refused:
        advice = "Let only one of them do it; the other unlinks the folder."
        return Finding("keeper", Level.PROBLEM, link.path, refused.detail, advice)
    try:
        with Held(disk):
            pass
    except Refused:
        return Finding("keeper", Level.OK, link.path, "is kept in sync")
    return Finding("keeper", Level.OK, link.path, "nothing keeps it in sync now", "To keep it in sync: syncline start")


def check_pending(index: Index, link: Link) -> Finding:
    """Nothing has been waiting for an answer since an earlier run."""
    pending = len(index.pending(link))
    if pending:
        detail = f"the outcome of {pending} commands of an earlier run is not known yet"
        return Finding("pending", Level.WARNING, link.path, detail, f"The next sync asks: syncline sync '{link.path}'")
    return Finding("pending", Level.OK, link.path, "nothing is waiting for an answer")


def check_trash(link: Link, *, at_most: int = TRASH_BYTES_MAX) -> Finding:
    size = sum(one.size_bytes for one in local_trash.trashed(Disk(Path(link.path))))
    detail = f"the local trash holds {size >> 20} MiB"
    if size > at_most:
        return Finding("trash", Level.WARNING, link.path, detail, f"syncline trash --local empty '{link.path}'")
    return Finding("trash", Level.OK, link.path, detail)


def check_left(index: Index, link: Link) -> Iterator[Finding]:
    """What the last pass left alone, or could not do, by reason."""
    last = {entry.path: entry for entry in index.log(link, "", limit=READ_MAX)}
    left = [e for e in last.values() if e.what in (What.LEFT_ALONE, What.REFUSED, What.HELD)]
    there = [e for e in left if e.what is not What.LEFT_ALONE or os.path.lexists(os.path.join(link.path, e.path))]
    for (what, why), number in Counter((entry.what, entry.why) for entry in there).most_common():
        level = Level.OK if what is What.LEFT_ALONE else Level.WARNING
        advice = f"To see which: syncline log '{link.path}'"
        yield Finding("left", level, link.path, f"{what.value}: {number} ({why})", advice)


def _probe(disk: Disk, name: str) -> Path:
    """An empty file of ours in the folder. Raises ``OSError``."""
    probe = disk.own / name
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return probe
