"""People for end-to-end tests: an account with one signed-in device, driven through the client library.

Bytes go to S3 through AWS's own SDK here, not through our client, so that what our client does is not what proves it.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiobotocore.session import get_session
from botocore.config import Config

from syncline.client.api import Api
from syncline.client.home import Home, SessionFile
from syncline.domain.checksums import checksum_of
from syncline.domain.rights import Role
from syncline.messages import api as m

T = TypeVar("T")
PASSWORD = "correct horse battery"
_numbers = itertools.count()


class Person:
    """One account on one device. ``session`` names who it is; ``home`` holds the client's state."""

    def __init__(self, api: Api, session: m.Session, home: Home) -> None:
        self.api = api
        self.session = session
        self.home = home

    @property
    def email(self) -> str:
        return self.session.account.email

    async def library(self, *members: tuple[Person, Role], name: str = "Shared") -> str:
        """A new library shared with these people; its id."""
        library = await self.api.create_library(name)
        for person, role in members:
            await self.api.set_member(library.id, m.NewMember(email=person.email, role=role))
        return library.id

    async def permit(
        self, library: str, name: str, content: bytes, *, direct: bool = False, **intent: Any
    ) -> tuple[m.UploadAnswer, m.Permitted]:
        where = intent or {"parent": library, "name": name}
        wanted = m.Intent(
            size_bytes=len(content), checksum=checksum_of(content), mtime_ns=time.time_ns(), counter=1, **where
        )
        answer = await self.api.uploads(library, m.UploadRequest(intents=[wanted], direct=direct))
        return answer, answer.permits[0]

    async def upload(self, library: str, name: str, content: bytes, **intent: Any) -> m.Permitted:
        """Get a permit and PUT the bytes; nothing is committed by this client."""
        answer, permitted = await self.permit(library, name, content, **intent)
        async with s3_of(answer.credential) as s3:
            await put(s3, answer.credential, permitted, content)
        return permitted

    async def add(self, library: str, name: str, content: bytes, **intent: Any) -> m.ResultState:
        """Upload and commit by the fast road; what became of it."""
        permitted = await self.upload(library, name, content, **intent)
        return await self.commit(library, m.AddVersion(permit=permitted.permit))

    async def commit(self, library: str, *requests: m.CommitRequest) -> m.ResultState:
        answer = await self.api.commit(library, m.CommitBody(requests=list(requests), counter=1))
        assert answer.done
        return answer.results[-1]

    async def read(self, library: str, node: str) -> bytes:
        """The current bytes of a file, straight from S3 with a read credential."""
        state = await self.api.node(library, node)
        assert state.version is not None
        [content] = await self.contents(library, [state.version])
        return content

    async def contents(self, library: str, versions: Sequence[m.VersionState]) -> list[bytes]:
        """The bytes of versions, in order."""
        credential = (await self.api.downloads(library)).credential
        contents = []
        async with s3_of(credential) as s3:
            for version in versions:
                got = await s3.get_object(Bucket=credential.bucket, Key=version.key, VersionId=version.s3_version)
                body: bytes = await got["Body"].read()
                contents.append(body[version.offset : version.offset + version.length])
        return contents

    async def names(self, library: str) -> list[str]:
        page = await self.api.children(library, library)
        return [child.name for child in page.children]


@asynccontextmanager
async def person(server: str, homes: Path, name: str) -> AsyncIterator[Person]:
    """A new account, signed in on a new device."""
    number = next(_numbers)
    email = f"{name}-{number}-{secrets.token_hex(3)}@example.com"
    home = Home(homes / f"{name}-{number}")
    async with Api(server, SessionFile(home)) as api:
        await api.sign_up(email, PASSWORD, name.title())
        yield Person(api, await api.sign_in(email, PASSWORD, f"{name}-laptop"), home)


def s3_of(credential: m.S3Credential, **changes: str) -> Any:
    """A context manager: AWS's own client of S3 on an issued credential."""
    values = {
        "aws_access_key_id": credential.access_key_id,
        "aws_secret_access_key": credential.secret_access_key,
        "aws_session_token": credential.session_token,
    } | changes
    return get_session().create_client(
        "s3",
        region_name=credential.region,
        endpoint_url=credential.endpoint or None,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        **values,
    )


async def put(s3: Any, credential: m.S3Credential, permitted: m.Permitted, content: bytes, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "Bucket": credential.bucket,
        "Key": permitted.key,
        "Body": content,
        "ChecksumSHA256": checksum_of(content),
        "Metadata": {"permit": permitted.permit},
        "IfNoneMatch": "*",
    }
    await s3.put_object(**(arguments | changes))


async def eventually(ask: Callable[[], Awaitable[T]], *, until: Callable[[T], object], within_s: float = 60) -> T:
    """Ask again until the answer is right; the last answer. Fails the test when it never is."""
    deadline = time.monotonic() + within_s
    while True:
        answer = await ask()
        if until(answer):
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s} s"
        await asyncio.sleep(0.2)
