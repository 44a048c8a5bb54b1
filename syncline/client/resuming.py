"""Uploads in parts that outlive their process: taken up where an earlier run left them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from syncline.client.credentials import GrantCredentials, Permissions
from syncline.client.index import Index, PendingUpload
from syncline.domain.errors import Refused
from syncline.messages import api as m

_NO_MORE_OF_THIS = (401, 403)


@dataclass(frozen=True)
class TakenUp:
    """One upload. ``upload`` is S3's id of what was begun, "" when it is all to be sent."""

    permitted: m.Permitted
    upload: str
    credentials: GrantCredentials
    _index: Index
    _library: str
    _ident: str
    _grant: str

    def keep(self, upload: str) -> None:
        """Remember what was begun."""
        permitted = self.permitted
        state = PendingUpload(self._grant, permitted.key, permitted.permit, permitted.node, permitted.version, upload)
        self._index.keep_upload(self._library, self._ident, state, int(time.time()))

    def forget(self) -> None:
        """It has become a version, or never will."""
        self._index.drop_upload(self._library, self._ident)


async def take_up(permissions: Permissions, index: Index, library: str, ident: str, intent: m.Intent) -> TakenUp:
    """The upload known by ``ident``, if its grant still holds; else a new one. Raises as ``Permissions.uploads``."""

    async def ask(grant: str = "") -> m.UploadAnswer:
        return await permissions.uploads(library, m.UploadRequest(intents=[intent], grant=grant))

    def taken(answer: m.UploadAnswer, permitted: m.Permitted, upload: str) -> TakenUp:
        credentials = GrantCredentials(permissions, library, answer)
        return TakenUp(permitted, upload, credentials, index, library, ident, answer.grant)

    begun = index.upload(library, ident)
    if begun is not None:
        try:
            answer = await ask(begun.grant)
        except Refused as refused:
            if refused.status in _NO_MORE_OF_THIS:
                raise
        else:
            if answer.grant == begun.grant:
                permitted = m.Permitted(node=begun.node, version=begun.version, key=begun.key, permit=begun.permit)
                return taken(answer, permitted, begun.upload)
        index.drop_upload(library, ident)
    answer = await ask()
    return taken(answer, answer.permits[0], "")
