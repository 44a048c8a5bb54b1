"""The local AWS as a process: MiniStack behind a gate, its tables logged, the mail it accepts written to disk.

Started by the supervisor as `python -m deploy.local.aws_server`; its settings are in the environment
(see `deploy.local.aws`). It serves until SIGTERM or SIGINT, then saves its state. Killed, it has kept the tables
(`deploy.local.durable_tables`) and the objects.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs

from deploy.local import torn_objects
from deploy.local.authorization import Authorization
from deploy.local.aws import USED_ACTIONS
from deploy.local.durable_tables import DurableTables, make_durable
from deploy.local.group_log import GroupLog
from deploy.local.keeping import Keeper
from deploy.local.log_files import Damaged
from deploy.local.mail import sent_mail, write_mail
from deploy.local.used_actions import UsedActions
from deploy.local.version_reads import VersionReads

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAIL_DIR = "SYNCLINE_LOCAL_MAIL"
TABLES_DIR = "SYNCLINE_LOCAL_TABLES"
# A PEM file with a certificate and its key: HTTPS then, and HTTP no more.
CERTIFICATE = "SYNCLINE_LOCAL_CERTIFICATE"
# SES's own bound of a message with its attachments.
MAIL_BYTES_MAX = 40 * 2**20
KEEP_ALIVE_SECONDS = 75
# Long polls and uploads in progress when the stack stops.
DRAIN_SECONDS = 1
SAVE_SECONDS_MAX = 60
# The thread that syncs the log needs the interpreter for a moment only, but soon: everyone waits for it.
SWITCH_SECONDS = 0.0005

_SEND_MAIL = "/v2/email/outbound-emails"
_PRIVATE_PATHS = re.compile(r"^/(_ministack|_localstack|_aws)(/|$)")
_OPEN_PATHS = ("/_ministack/health", "/_ministack/ready")
_WELL_KNOWN_KEY = re.compile(r"test|\d{12}")
_DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Gate:
    """Refuses what MiniStack lets anybody do: its well-known root keys, its administration, and S3
    requests without credentials (browser forms among them).

    Every other key passes on to MiniStack, which checks signatures and policies (`deploy.local.authorization`).
    """

    def __init__(self, app: App, find_access_key: Callable[[dict[str, str], dict[str, list[str]]], str]):
        self._app = app
        self._find_access_key = find_access_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (code := self._refusal(scope)):
            await _refuse(scope, send, code)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        if scope["path"] in _OPEN_PATHS or scope["method"] == "OPTIONS":
            return None
        if _PRIVATE_PATHS.match(scope["path"]):
            return "AccessDenied"
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        key = self._find_access_key(_headers(scope), query)
        if not key:
            return "AccessDenied"
        return "InvalidClientTokenId" if _WELL_KNOWN_KEY.fullmatch(key) else None


class MailToFiles:
    """Writes each mail that the local SES accepts to a folder before its sender hears so."""

    def __init__(self, app: App, folder: Path):
        self._app = app
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != _SEND_MAIL:
            await self._app(scope, receive, send)
            return
        request = await _whole_body(receive, MAIL_BYTES_MAX)
        if request is None:
            await _refuse(scope, send, "MessageRejected", status=400)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, _replayed(request, receive), keep)
        if answer and answer[0].get("status") == 200:
            body = b"".join(part.get("body", b"") for part in answer[1:])
            await asyncio.to_thread(self._write, request, json.loads(body)["MessageId"])
        for message in answer:
            await send(message)

    def _write(self, request: bytes, message_id: str) -> None:
        now = datetime.now(UTC)
        write_mail(self._folder, sent_mail(json.loads(request), message_id, now), now)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _whole_body(receive: Receive, bytes_max: int) -> bytes | None:
    """The request's body, or None if it is larger than `bytes_max` or its sender went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        for part in parts:
            return part
        return await receive()

    return replay


async def _refuse(scope: Scope, send: Send, code: str, status: int = 403) -> None:
    reason = "The local AWS refuses this request."
    if "x-amz-target" in _headers(scope) or scope["path"].startswith("/v2/"):
        kind, body = "application/json", json.dumps({"__type": code, "message": reason})
    else:
        kind = "text/xml"
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{reason}</Message></Error></ErrorResponse>"
    headers = [(b"content-type", kind.encode()), (b"x-amzn-errortype", code.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _report_unless_cancelled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


def _keep_sessions(sts: Any) -> None:
    """Let the credentials that clients hold live through a restart; MiniStack forgets them."""
    sts.get_state = lambda: {"sessions": dict(sts._sessions)}
    sts.load_persisted_state = lambda state: sts._sessions.update(state.get("sessions", {}))


def _end_at_once(reason: str) -> NoReturn:
    """What is in memory could not be kept: nobody may be told of it. The next start begins from the disk."""
    print(f"The local AWS ends: {reason}", file=sys.stderr, flush=True)
    os._exit(os.EX_IOERR)


def _acknowledge_only_what_is_kept(s3: Any) -> None:
    """MiniStack would say that it has an object which the disk did not take."""
    write = s3._atomic_write

    def write_or_end(path: str, data: Any, *, text: bool = False) -> None:
        try:
            write(path, data, text=text)
        except OSError as error:
            if error.errno in _DISK_REFUSES:
                _end_at_once(f"{path} cannot be written: {error}")
            raise

    s3._atomic_write = write_or_end


async def _open_tables() -> DurableTables:
    from ministack.core import persistence
    from ministack.services import dynamodb

    log = GroupLog(Path(os.environ[TABLES_DIR]), _end_at_once)
    saved = Path(persistence.STATE_DIR, "dynamodb.json")
    try:
        tables = await make_durable(dynamodb, log, saved, persistence.load_state)
    except (Damaged, OSError) as error:
        _end_at_once(f"its tables cannot be read: {error}")
    if log.torn_bytes:
        print(f"WARNING The end of the tables' log was torn: {log.torn_bytes} bytes set aside.", file=sys.stderr)
    return tables


def _authorize_as_aws_does() -> None:
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator

    path = os.environ.get(USED_ACTIONS)
    used = UsedActions(Path(path)) if path else None
    Authorization(app, iam_actions, iam_evaluator, used).install(app)


async def serve() -> None:
    """Serve until SIGTERM or SIGINT, then save the state (MiniStack does so on ASGI shutdown)."""
    torn_objects.mend(Path(os.environ["S3_DATA_DIR"]))
    sys.setswitchinterval(SWITCH_SECONDS)
    # MiniStack reads its settings from the environment, and its objects from the disk, when it is imported.
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack.app import _build_persistence_save_dict, app as ministack
    from ministack.core.persistence import save_all
    from ministack.core.router import extract_access_key_id
    from ministack.services import s3, sts

    _keep_sessions(sts)
    _acknowledge_only_what_is_kept(s3)
    _authorize_as_aws_does()
    # Without a place for the log the tables are MiniStack's own: kept by a stop, lost by a kill.
    tables = await _open_tables() if TABLES_DIR in os.environ else None
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.certfile = config.keyfile = os.environ.get(CERTIFICATE)
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = DRAIN_SECONDS
    config.shutdown_timeout = SAVE_SECONDS_MAX
    config.loglevel = "WARNING"

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    gate = Gate(MailToFiles(VersionReads(ministack), Path(os.environ[MAIL_DIR])), extract_access_key_id)
    app = Keeper(gate, os.environ["AWS_SECRET_ACCESS_KEY"], lambda: save_all(_build_persistence_save_dict()))

    async def stopped() -> None:
        await stop.wait()
        # Connections that are still open are cut, which hypercorn reports as errors, one by one.
        loop.set_exception_handler(_report_unless_cancelled)

    await hypercorn_serve(app, config, shutdown_trigger=stopped)  # type: ignore[arg-type]
    if tables is not None:
        await tables.close()


if __name__ == "__main__":
    asyncio.run(serve())
