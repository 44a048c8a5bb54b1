"""Load for a stack that is killed: people who write, rename and remove files, and scripts that upload.

Everything that the service acknowledged is remembered, to be looked for afterwards.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from syncline.client.api import Api
from syncline.client.engine import Engine
from syncline.client.home import Home, SessionFile
from syncline.client.http import Transport
from syncline.client.index import Link
from syncline.domain.checksums import SINGLE_PUT_MAX_BYTES, checksum_of
from syncline.domain.errors import Refused, Temporary
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.e2e.people import PASSWORD, Person, put, s3_of

EDIT_PAUSE_S = (0.01, 0.15)
UPLOAD_PAUSE_S = 0.1
PERMITS_AT_ONCE = 4
SMALL_BYTES_MAX = 30_000
LARGE_BYTES = 2 * SINGLE_PUT_MAX_BYTES
LARGE_EVERY = 150
"""One edit in so many writes a large file: what is in the middle of going up in parts when everything dies."""
FILES_KEPT = 60
AWAY_S = 0.3
PASS_PAUSE_S = 0.2
NAMES = ("alice", "bob")
TRIES = 2
"""Of one request, where the whole service is killed: then the callers go on asking."""
TRIES_MAX = 400
ANSWERED_S_MAX = 120

AWAY = (Temporary, Refused, BotoCoreError, ClientError)
"""What a script may meet while the service is gone, or has forgotten its credential."""


class ListeningApi(Api):
    """Remembers every answer that said what became of changes."""

    def __init__(self, server: str, tokens: SessionFile, tries: int) -> None:
        super().__init__(server, tokens, transport=Transport(server, tokens, tries=tries))
        self.answers: list[m.CommitAnswer] = []

    async def commit(self, library: str, body: m.CommitBody | bytes, *, key: str = "") -> m.CommitAnswer:
        answer = await super().commit(library, body, key=key)
        self.answers.append(answer)
        return answer


@asynccontextmanager
async def listened_to(server: str, homes: Path, name: str, tries: int) -> AsyncIterator[tuple[Person, ListeningApi]]:
    home = Home(homes / name)
    api = ListeningApi(server, SessionFile(home), tries)
    async with api:
        email = f"{name}-{secrets.token_hex(3)}@example.com"
        await api.sign_up(email, PASSWORD, name.title())
        yield Person(api, await api.sign_in(email, PASSWORD, f"{name}-laptop"), home), api


@dataclass
class Editor:
    """Somebody at work in a folder of their own within a linked folder. ``files``: what they know to be there."""

    root: Path
    area: str
    chance: random.Random
    pause_s: tuple[float, float]
    """Between two edits: at least, at most."""
    files: dict[str, bytes] = field(default_factory=dict)
    edits: int = 0

    async def work(self, stop: asyncio.Event) -> None:
        (self.root / self.area).mkdir()
        while not stop.is_set():
            await asyncio.to_thread(self._edit)
            await asyncio.sleep(self.chance.uniform(*self.pause_s))

    def _edit(self) -> None:
        self.edits += 1
        if self.edits % LARGE_EVERY == 0:
            self._write(f"{self.area}/large {self.edits}", self.chance.randbytes(LARGE_BYTES + self.edits))
            return
        many = len(self.files) > FILES_KEPT
        [what] = self.chance.choices(
            ["write", "change", "rename", "remove"], [1 if many else 5, 3, 2, 2 if many else 1]
        )
        if what == "write" or not self.files:
            folder = self.area if self.chance.random() < 0.5 else f"{self.area}/{self.chance.randrange(5)}"
            self._write(f"{folder}/file {self.edits}", self._content())
        elif what == "change":
            self._write(self._any(), self._content())
        elif what == "remove":
            path = self._any()
            (self.root / path).unlink()
            del self.files[path]
        else:
            path, renamed = self._any(), f"{self.area}/renamed {self.edits}"
            (self.root / path).rename(self.root / renamed)
            self.files[renamed] = self.files.pop(path)

    def _any(self) -> str:
        return self.chance.choice(sorted(self.files))

    def _content(self) -> bytes:
        return self.chance.randbytes(self.chance.randrange(1, SMALL_BYTES_MAX))

    def _write(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        self.files[path] = content


class SyncedFolder:
    """A linked folder that a client keeps in sync, whatever happens to the service. ``troubles``: what it met."""

    def __init__(self, who: Person, link: Link, engine: Engine) -> None:
        self.who = who
        self.link = link
        self.engine = engine
        self.root = Path(link.path)
        self.troubles: list[Exception] = []

    async def keep(self, stop: asyncio.Event) -> None:
        """Pass after pass, as ``syncline watch`` does, but without its long pauses while nobody answers."""
        while not stop.is_set():
            try:
                await self.engine.sync_once(self.link)
            except (Temporary, Refused) as trouble:
                self.troubles.append(trouble)
            await asyncio.sleep(PASS_PAUSE_S)

    def files(self) -> dict[str, bytes]:
        """The content of every file in the folder by its path."""
        found = {str(path.relative_to(self.root)): path for path in self.root.rglob("*") if path.is_file()}
        return {path: at.read_bytes() for path, at in found.items() if not path.startswith(".syncline/")}


@dataclass
class Uploader:
    """A script that puts bytes and commits them, and asks again until it is answered."""

    who: Person
    library: str
    chance: random.Random
    stored: dict[str, bytes] = field(default_factory=dict)
    """What S3 said it has, by key."""
    committed: int = 0
    troubles: list[Exception] = field(default_factory=list)

    async def work(self, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            permits: list[str] = []
            try:
                await self._upload(number, permits)
            except AWAY as trouble:
                self.troubles.append(trouble)
                await asyncio.sleep(AWAY_S)
            if permits:
                await self._commit(permits, secrets.token_hex(16))
            await asyncio.sleep(UPLOAD_PAUSE_S)

    async def _upload(self, number: int, permits: list[str]) -> None:
        """``permits`` gets those whose bytes S3 said it has, before anything else can fail."""
        contents = [self.chance.randbytes(self.chance.randrange(SMALL_BYTES_MAX)) for _ in range(PERMITS_AT_ONCE)]
        intents = [
            m.Intent(
                parent=self.library,
                name=f"{number}-{position} {secrets.token_hex(4)}",
                size_bytes=len(content),
                checksum=checksum_of(content),
                mtime_ns=number,
                counter=number,
            )
            for position, content in enumerate(contents)
        ]
        answer = await self.who.api.uploads(self.library, m.UploadRequest(intents=intents))
        async with s3_of(answer.credential) as s3:
            for permitted, content in zip(answer.permits, contents, strict=True):
                await put(s3, answer.credential, permitted, content)
                self.stored[permitted.key] = content
                permits.append(permitted.permit)

    async def _commit(self, permits: list[str], key: str) -> None:
        body = m.CommitBody(requests=[m.AddVersion(permit=permit) for permit in permits], counter=1)
        answer = await self._persistently(lambda: self.who.api.commit(self.library, body, key=key))
        assert not answer.refused
        assert {result.status.value for result in answer.results} <= {"applied", "unchanged"}
        self.committed += 1

    async def _persistently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What an asker gets who asks again, with a new credential, until the service is there."""
        for _ in range(TRIES_MAX):
            try:
                return await ask()
            except AWAY as trouble:
                self.troubles.append(trouble)
                await asyncio.sleep(AWAY_S)
        raise AssertionError(f"not answered in {TRIES_MAX} tries: {self.troubles[-1]}")


@dataclass
class Load:
    """Everyone at work in one library."""

    library: str
    folders: list[SyncedFolder]
    editors: list[Editor]
    uploader: Uploader
    apis: list[ListeningApi]
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self) -> None:
        workers = [*(editor.work for editor in self.editors), self.uploader.work]
        self._tasks = [asyncio.create_task(work(self._stop)) for work in workers]
        self._tasks += [asyncio.create_task(folder.keep(self._stop)) for folder in self.folders]

    def check(self) -> None:
        """Raises what ended anyone's work before its time."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def answered(self, count: int) -> None:
        """Until so many more changes were answered: then everyone is at work again."""
        enough = len(self.answers) + count
        async with asyncio.timeout(ANSWERED_S_MAX):
            while len(self.answers) < enough:
                self.check()
                await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Everyone finishes what they are doing."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def cancel(self) -> None:
        """Everyone stops where they are, if anyone is still at work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def answers(self) -> list[m.CommitAnswer]:
        """All that the service said became of changes."""
        return [answer for api in self.apis for answer in api.answers]

    @property
    def troubles(self) -> list[Exception]:
        """What anyone met that the client's own retries did not hide."""
        return [*self.uploader.troubles, *(trouble for folder in self.folders for trouble in folder.troubles)]

    @property
    def expected(self) -> dict[str, bytes]:
        """The files that people wrote and did not remove, as they left them."""
        return {path: content for editor in self.editors for path, content in editor.files.items()}


@asynccontextmanager
async def load_on(
    server: str, folder: Path, seed: int, *, tries: int = TRIES, pause_s: tuple[float, float] = EDIT_PAUSE_S
) -> AsyncIterator[Load]:
    """Alice and bob with a folder each, and a script of alice's that uploads, all in one library."""
    async with AsyncExitStack() as opened:
        people = [await opened.enter_async_context(listened_to(server, folder, name, tries)) for name in NAMES]
        script = await opened.enter_async_context(listened_to(server, folder, "script", tries))
        library = await people[0][0].library(*((who, Role.EDITOR) for who, _ in [*people[1:], script]))
        folders, editors = [], []
        for position, (who, _) in enumerate(people):
            engine = Engine(who.home, who.api)
            opened.callback(engine.close)
            link = await engine.link(library, folder / f"folder-{position}")
            folders.append(SyncedFolder(who, link, engine))
            editors.append(Editor(Path(link.path), f"area {position}", random.Random(seed + position), pause_s))
        uploader = Uploader(script[0], library, random.Random(seed + 9))
        load = Load(library, folders, editors, uploader, [api for _, api in [*people, script]])
        try:
            yield load
        finally:
            await load.cancel()
    shutil.rmtree(folder, ignore_errors=True)
