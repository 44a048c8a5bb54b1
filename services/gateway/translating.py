"""Changes as clients ask for them → a command as metadata decides it. Pure.

Ids that the service chooses (of copies and new files) follow from the command's id, so that a repeated command is the
same to the last byte.
"""

from __future__ import annotations

import hashlib

from services.gateway.uploads import check_content, check_place, clean
from syncline.domain import commands as c
from syncline.domain.cursors import CURSOR_GONE, decode_cursor
from syncline.domain.errors import Refused
from syncline.domain.ids import id_from_bytes, is_id
from syncline.domain.permits import PermitKeys, open_permit
from syncline.messages import api as m
from syncline.serving.auth import Caller
from syncline.store.journal import Head


def to_command(
    body: m.CommitBody, *, command: str, library: str, caller: Caller, head: Head, keys: PermitKeys
) -> c.Command:
    """Raises ``Refused``: 422, naming the request in ``at``, "bad-permit", "bad-name", "bad-intent", "bad-cursor"; 410
    "cursor-gone" when the changes are based on another life of the library."""
    if body.cursor and _incarnation(body.cursor) != head.incarnation:
        raise cursor_gone()
    translate = _Translation(command, library, caller, keys)
    requests = tuple(translate.request(request, position) for position, request in enumerate(body.requests))
    return c.Command(
        command,
        library,
        caller.account,
        caller.device,
        body.counter,
        head.epoch,
        requests,
        body.all_or_nothing,
        head.incarnation,
    )


def cursor_gone() -> Refused:
    detail = (
        "The library was restored since; list its changes, which say how to start again, and look before you change."
    )
    return Refused(CURSOR_GONE, detail, status=410)


def _incarnation(cursor: str) -> str:
    try:
        return decode_cursor(cursor).incarnation
    except Refused as error:
        raise Refused(error.kind, error.detail, status=422, at="$.cursor") from None


class _Translation:
    def __init__(self, command: str, library: str, caller: Caller, keys: PermitKeys) -> None:
        self._command = command
        self._library = library
        self._caller = caller
        self._keys = keys

    def request(self, request: m.CommitRequest, position: int) -> c.Request:
        at = f"$.requests[{position}]"
        match request:
            case m.AddVersion():
                return c.AddVersion(self._permit(request.permit, at))
            case m.Withdraw():
                return c.Withdraw(self._permit(request.permit, at).id)
            case m.CopyVersion():
                return self._copy(request, position, at)
            case m.MakeFolder():
                _check_ids(at, request.node, request.parent)
                return c.MakeFolder(request.node, request.parent, clean(request.name, at))
            case m.Move():
                _check_ids(at, request.node, request.parent)
                return c.Move(request.node, request.base_seq, request.parent, clean(request.name, at))
            case m.Remove():
                _check_ids(at, request.node)
                return c.Remove(request.node, request.base_seq, request.held_all)

    def _permit(self, text: str, at: str) -> c.Permit:
        try:
            permit = open_permit(text, self._keys)
        except Refused as error:
            raise Refused(error.kind, error.detail, status=422, at=at) from None
        holder = (permit.library, permit.account, permit.device)
        if holder != (self._library, self._caller.account, self._caller.device):
            detail = "The permit was given to another device or for another library."
            raise Refused("bad-permit", detail, status=422, at=at)
        return permit

    def _copy(self, request: m.CopyVersion, position: int, at: str) -> c.CopyVersion:
        name = check_place(request.node, request.parent, request.name, request.base_version, at)
        check_content(request, at)
        _check_ids(at, request.source)
        return c.CopyVersion(
            id=derived_id(self._command, "version", position),
            source=request.source,
            node=request.node or derived_id(self._command, "node", position),
            new=not request.node,
            parent=request.parent,
            name=name,
            base_version=request.base_version,
            size_bytes=request.size_bytes,
            checksum=request.checksum,
            mtime_ns=request.mtime_ns,
            executable=request.executable,
            symlink=request.symlink,
        )


def derived_id(command: str, what: str, position: int) -> str:
    """The id of something that a command makes."""
    return id_from_bytes(hashlib.sha256(f"{command}\0{what}\0{position}".encode()).digest())


def _check_ids(at: str, *ids: str) -> None:
    # The pattern of the bodies' type lets a line end through at the end.
    if not all(map(is_id, ids)):
        raise Refused("bad-intent", "An id has 20 characters of a–z and 2–7.", status=422, at=at)
