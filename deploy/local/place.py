"""Where an embedded stack lives: its folder on disk and its ports."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PORT_DEFAULT = 8080
PORTS = ("front", "aws", "valkey", "gateway", "metadata", "syncer", "notifier")


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of a stack, all on 127.0.0.1."""

    front: int
    aws: int
    valkey: int
    gateway: int
    metadata: int
    syncer: int
    notifier: int

    @classmethod
    def starting_at(cls, port: int) -> Ports:
        """PORT for the front door, and the following ones for the rest."""
        return cls(*range(port, port + len(PORTS)))

    def of(self, program: str) -> int:
        return int(getattr(self, program))


@dataclass(frozen=True, slots=True)
class Place:
    """The folder DATA and what lies where in it."""

    data: Path
    ports: Ports

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.ports.front}"

    @property
    def aws_url(self) -> str:
        return f"http://{HOST}:{self.ports.aws}"

    @property
    def redis_url(self) -> str:
        return f"redis://{HOST}:{self.ports.valkey}/0"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets"

    @property
    def operator_environment(self) -> Path:
        """What a shell sources before `syncline-admin`."""
        return self.secrets / "admin.env"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def mail(self) -> Path:
        return self.data / "mail"

    @property
    def aws_state(self) -> Path:
        return self.data / "aws"

    @property
    def valkey(self) -> Path:
        return self.data / "valkey"

    @property
    def clients(self) -> Path:
        return self.data / "clients"

    def make(self) -> None:
        """Create the folders; those that hold secrets or state are for the owner alone."""
        self.data.mkdir(parents=True, exist_ok=True)
        for folder in (self.secrets, self.aws_state, self.valkey, self.clients):
            folder.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.logs, self.mail):
            folder.mkdir(exist_ok=True)


def write_private(path: Path, value: object) -> None:
    """Write `value` as JSON, whole or not at all, readable by the owner alone (mode 0600)."""
    write_private_text(path, json.dumps(value, indent=2))


def write_private_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by the owner alone (mode 0600)."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_private(path: Path) -> Any | None:
    """What `write_private` wrote, or None if there is nothing yet."""
    if not path.exists():
        return None
    return json.loads(path.read_text(encoding="utf-8"))
