"""Short-lived S3 credentials: kept while they last, renewed once for all who need them."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Protocol

from syncline.messages.api import DownloadAnswer, S3Credential, UploadAnswer, UploadRequest

RENEW_BEFORE_S = 60


class Permissions(Protocol):
    """The part of the API that hands out credentials (``Api``)."""

    async def uploads(self, library: str, request: UploadRequest) -> UploadAnswer: ...

    async def downloads(self, library: str) -> DownloadAnswer: ...


class _Kept(ABC):
    """A credential and the single flight that renews it."""

    def __init__(self, credential: S3Credential | None) -> None:
        self._credential = credential
        self._renewing = asyncio.Lock()

    async def current(self) -> S3Credential:
        held = self._credential
        if held is not None and held.expires_at - RENEW_BEFORE_S > time.time():
            return held
        return await self.renewed(held)

    async def renewed(self, spent: S3Credential | None) -> S3Credential:
        async with self._renewing:
            if self._credential is None or self._credential is spent:
                self._credential = await self._ask()
            return self._credential

    @abstractmethod
    async def _ask(self) -> S3Credential:
        """A fresh credential."""


class ReadCredentials(_Kept):
    """Reads the objects of one library."""

    def __init__(self, permissions: Permissions, library: str) -> None:
        super().__init__(None)
        self._permissions = permissions
        self._library = library

    async def _ask(self) -> S3Credential:
        return (await self._permissions.downloads(self._library)).credential


class GrantCredentials(_Kept):
    """Writes under one grant. Renewing asks for no permits: what they let land was counted with them."""

    def __init__(self, permissions: Permissions, library: str, answer: UploadAnswer) -> None:
        super().__init__(answer.credential)
        self._permissions = permissions
        self._library = library
        self._request = UploadRequest(grant=answer.grant)

    async def _ask(self) -> S3Credential:
        return (await self._permissions.uploads(self._library, self._request)).credential
