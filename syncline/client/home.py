"""SYNCLINE_HOME: the folder that holds one client's whole state, so that several clients run beside each other."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import platformdirs

from syncline.domain.errors import Broken, Refused


class SavedSession(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, and the tokens. ``access_until`` is Unix s by this machine's clock."""

    server: str
    account: str
    email: str
    account_name: str
    device: str
    device_name: str
    refresh_token: str
    access_token: str = ""
    access_until: float = 0.0


class Home:
    """The files of one client. Made private to the user (0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @staticmethod
    def from_environ(environ: Mapping[str, str]) -> Home:
        """The folder ``SYNCLINE_HOME`` names, else the user's own data folder for ``syncline``."""
        named = environ.get("SYNCLINE_HOME", "")
        return Home(Path(named).expanduser().absolute() if named else platformdirs.user_data_path("syncline"))

    @property
    def index_path(self) -> Path:
        return self.path / "index.sqlite3"

    @property
    def session_path(self) -> Path:
        return self.path / "session.json"

    @contextmanager
    def locked(self, name: str, *, busy: str = "") -> Iterator[None]:
        """Hold the lock ``name`` of this home against other processes.

        Raises ``Refused("busy")`` with the text ``busy`` when another holds it. The system lets go of
        it when the process ends, however it ends.
        """
        descriptor = os.open(self.path / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("busy", busy or f"Another client uses {self.path}.", status=409) from None
            yield
        finally:
            os.close(descriptor)


class SessionFile:
    """Keeps the session in ``session.json`` (0600). A saved session is on the disk when ``save`` returns."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.session_path

    def load(self) -> SavedSession | None:
        """The session, or None when nobody is signed in. Raises ``Broken`` when the file is damaged."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=SavedSession)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            raise Broken(f"{self._path} cannot be read ({error}); sign in again.") from None

    def save(self, session: SavedSession) -> None:
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(session)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one process renews the tokens at a time: a refresh token is good for one use.

        Raises ``Refused("busy")`` while another holds it.
        """
        with self._home.locked("session"):
            yield
