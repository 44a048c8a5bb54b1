"""An embedded stack as the tests see it: the real command, as a process, on free ports."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session
from botocore.config import Config

from deploy.definition import Definition
from deploy.local import aws
from deploy.local.aws import AccessKey
from deploy.local.place import HOST, PORTS, Place, Ports, read_private
from deploy.local.provision import embedded_definition

TREE = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 90.0
DIGEST_WINDOW_SECONDS = 2
_POLL_SECONDS = 0.1
_PORT_TRIES_MAX = 50


@dataclass(frozen=True)
class EmbeddedStack:
    """A stack that is up. `settings` are those of the services that differ from the stack's own."""

    place: Place
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def definition(self) -> Definition:
        return embedded_definition()

    def key(self, service: str) -> AccessKey:
        """The access key that `service` runs on."""
        return service_key(self.place, service)

    def aws(self, api: str, key: AccessKey, token: str | None = None, config: Config | None = None) -> Any:
        """A context manager that opens a client of the local AWS."""
        return aws_client(self.place, api, key, token, config)

    def mails(self) -> list[EmailMessage]:
        """The mail sent so far, oldest first."""
        return [message_from_bytes(path.read_bytes(), policy=default) for path in sorted(self.place.mail.glob("*.eml"))]

    def wait_ready(self) -> None:
        """Wait until all services are ready. Raises AssertionError when the stack ended instead."""
        wait_ready(self.place, self.process)


def service_key(place: Place, service: str) -> AccessKey:
    kept = read_private(place.secrets / "aws-services.json")
    assert kept is not None
    return AccessKey(kept[service]["id"], kept[service]["secret"])


def aws_client(place: Place, api: str, key: AccessKey, token: str | None = None, config: Config | None = None) -> Any:
    return get_session().create_client(
        api,
        region_name=aws.REGION,
        endpoint_url=place.aws_url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}).merge(config or Config()),
    )


def free_place(data: Path) -> Place:
    """A place in `data` on consecutive ports that nobody listens on."""
    for _ in range(_PORT_TRIES_MAX):
        first = random.randrange(20_000, 30_000)
        if all(_is_free(first + offset) for offset in range(len(PORTS))):
            return Place(data, Ports.starting_at(first))
    raise AssertionError("no free ports")


def start_stack(place: Place, *options: str, what: str = "stack") -> subprocess.Popen[bytes]:
    """Start `python -m deploy.local` at `place`; its output goes to DATA/stack.out."""
    place.data.mkdir(parents=True, exist_ok=True)
    where = ("--data", str(place.data), "--port", str(place.ports.front))
    with (place.data / "stack.out").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local", what, *where, *options],
            cwd=TREE,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_ready(place: Place, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not answers(place.url + "/readyz"):
        said = (place.data / "stack.out").read_text(errors="replace")
        assert process.poll() is None, f"the stack ended:\n{said}"
        assert time.monotonic() < deadline, f"the stack is not ready:\n{said}"
        time.sleep(_POLL_SECONDS)


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGINT) -> int:
    """End a process that a test started; its exit status."""
    if process.poll() is None:
        process.send_signal(number)
    return process.wait(STOP_SECONDS_MAX)


@contextmanager
def running_stack(data: Path, *options: str) -> Iterator[EmbeddedStack]:
    """A real stack in `data`, ready, and stopped in the end."""
    place = free_place(data)
    process = start_stack(place, *options)
    try:
        wait_ready(place, process)
        yield EmbeddedStack(place, process)
    finally:
        stop(process)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def descendants(process: int) -> set[int]:
    """The process and all that it started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = {int(child): int(parent) for child, parent in map(str.split, listed.stdout.splitlines())}
    found = {process}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


def process_of(stack: EmbeddedStack, argument: str) -> int:
    """The process id of the innermost of the stack's programs whose command line has ``argument`` in it."""
    for process in descendants(stack.process.pid):
        told = subprocess.run(
            ["ps", "-o", "args=", "-p", str(process)], capture_output=True, text=True, check=False
        ).stdout
        if argument in told and "leash.py" not in told:
            return process
    raise AssertionError(f"nothing runs {argument}")
