"""How the local AWS is started: MiniStack's settings, its root key, and when it is ready."""

from __future__ import annotations

import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from deploy.local.place import HOST, Place, read_private, write_private

REGION = "us-east-1"
ACCOUNT = "000000000000"
# Where to write which permissions are used; for tests, so it comes from the environment of whoever starts the stack.
USED_ACTIONS = "SYNCLINE_LOCAL_USED_ACTIONS"
HEALTH_PATH = "/_ministack/health"
# MiniStack does not check the signatures of its root key, so the key's id is the secret: 32 characters
# of 36, readable by the owner of DATA alone.
_KEY_CHARACTERS = string.ascii_uppercase + string.digits
_KEY_RANDOM_CHARACTERS = 28
_STATE_DIR = "state"
_OBJECTS_DIR = "s3"
_TEMPORARY_DIR = "tmp"
_TABLES_DIR = "tables"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of the local AWS."""

    id: str
    secret: str

    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}


def root_key(place: Place) -> AccessKey:
    """The stack's root key, made once. Only provisioning uses it."""
    return kept_root_key(place.secrets / "aws-root.json")


def kept_root_key(path: Path) -> AccessKey:
    """The root key in the file `path`, made once."""
    kept = read_private(path)
    if kept is None:
        random_part = "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(_KEY_RANDOM_CHARACTERS))
        kept = {"id": f"AKIA{random_part}", "secret": secrets.token_urlsafe(30)}
        write_private(path, kept)
    return AccessKey(kept["id"], kept["secret"])


def environment(place: Place) -> dict[str, str]:
    """The settings of an embedded stack's MiniStack: this host only, everything below DATA."""
    return settings(
        root_key(place), state=place.aws_state, mail=place.mail, listen=HOST, host=HOST, port=place.ports.aws
    )


def settings(key: AccessKey, *, state: Path, mail: Path, listen: str, host: str, port: int) -> dict[str, str]:
    """MiniStack's settings: policies enforced, state and objects on disk below `state`, mail in `mail`.

    It listens on the address `listen`; `host` is what its services call it.
    """
    for folder in (_STATE_DIR, _OBJECTS_DIR, _TEMPORARY_DIR):
        (state / folder).mkdir(mode=0o700, exist_ok=True)
    kept = {USED_ACTIONS: os.environ[USED_ACTIONS]} if USED_ACTIONS in os.environ else {}
    return {
        **inherited(),
        **kept,
        **key.environment(),
        "AUTH": "true",
        "BIND_HOST": listen,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": host,
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / _STATE_DIR),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / _OBJECTS_DIR),
        "TMPDIR": str(state / _TEMPORARY_DIR),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "SYNCLINE_LOCAL_MAIL": str(mail),
        "SYNCLINE_LOCAL_TABLES": str(state / _TABLES_DIR),
    }


def inherited() -> dict[str, str]:
    """What the children of the stack may know of the caller's environment: nothing about any real AWS."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SYNCLINE_", "MINISTACK_", "LOCALSTACK_")) and name != "SMTP_HOST"
    }
