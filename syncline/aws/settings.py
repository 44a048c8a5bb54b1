"""What a service is told by its environment, read once at its start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from syncline.domain.errors import Broken
from syncline.domain.registration import Registration

DIGEST_WINDOW_S = 120
ARCHIVE_S = 60
SNAPSHOT_CHANGES = 10_000
COMMITS_RETAINED = 100_000
SWEEP_INTERVAL_S = 900
FREE_AFTER_S = 30 * 24 * 3600
REPLACED_KEPT_S = 24 * 3600
LOG_LEVEL = "info"
MIN_KEY_BYTES = 32
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+")


class SigningKey(msgspec.Struct, frozen=True):
    """One key that signs permits, tokens or links. ``secret`` is base64 in the file."""

    id: str
    secret: bytes


class Secrets(msgspec.Struct, frozen=True):
    """The signing keys, newest first: the first of each kind signs, all verify. And the password of Redis."""

    permit_keys: tuple[SigningKey, ...] = ()
    token_keys: tuple[SigningKey, ...] = ()
    link_keys: tuple[SigningKey, ...] = ()
    redis_password: str = ""


@dataclass(frozen=True)
class Settings:
    """The variables of one service. Not every service has all: what is not set is ``Broken`` when it is used.

    AWS credentials are not here: they are found the way AWS's own tools find them.
    """

    variables: Mapping[str, str]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Raises ``Broken``, naming the variable, when one that every service needs is missing."""
        names = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
        settings = cls(
            {
                name: value
                for name, value in environ.items()
                if value and (name in names or name.startswith("SYNCLINE_"))
            }
        )
        for name in ("AWS_DEFAULT_REGION", "SYNCLINE_STACK"):
            settings.needed(name)
        return settings

    def needed(self, name: str) -> str:
        """The value of the variable ``name``. Raises ``Broken`` when it is not set."""
        value = self.variables.get(name)
        if not value:
            raise Broken(f"The environment variable {name} is not set: this service needs it")
        return value

    def has(self, name: str) -> bool:
        return name in self.variables

    @property
    def endpoint_url(self) -> str | None:
        """Where AWS is reached; None for AWS's own endpoints."""
        return self.variables.get("AWS_ENDPOINT_URL")

    @property
    def region(self) -> str:
        return self.needed("AWS_DEFAULT_REGION")

    @property
    def stack(self) -> str:
        """The prefix of every table's and queue's name."""
        return self.needed("SYNCLINE_STACK")

    @property
    def bucket(self) -> str:
        return self.needed("SYNCLINE_BUCKET")

    @property
    def changes_topic_arn(self) -> str:
        return self.needed("SYNCLINE_CHANGES_TOPIC_ARN")

    @property
    def client_role_arn(self) -> str:
        return self.needed("SYNCLINE_CLIENT_ROLE_ARN")

    @property
    def redis_url(self) -> str:
        """``redis://`` or, by TLS, ``rediss://``, with the password from ``SYNCLINE_SECRETS`` where that has one."""
        url = self.needed("SYNCLINE_REDIS_URL")
        password = self.secrets().redis_password if self.has("SYNCLINE_SECRETS") else ""
        scheme, _, rest = url.partition("://")
        return f"{scheme}://:{quote(password, safe='')}@{rest}" if password and "@" not in rest else url

    @property
    def listen(self) -> tuple[str, int]:
        """The host and port to serve on, from ``host:port``. Raises ``Broken`` for anything else."""
        host, colon, port = self.needed("SYNCLINE_LISTEN").rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise Broken(f"SYNCLINE_LISTEN is host:port, not {self.needed('SYNCLINE_LISTEN')!r}")
        return host.strip("[]"), int(port)

    @property
    def public_url(self) -> str:
        """The address people and clients use, without a slash at its end."""
        return self.needed("SYNCLINE_PUBLIC_URL").rstrip("/")

    @property
    def s3_public_endpoint(self) -> str | None:
        """Where clients reach S3, if not where services do; None for AWS's own endpoint."""
        return self.variables.get("SYNCLINE_S3_PUBLIC_ENDPOINT", self.endpoint_url)

    @property
    def mail_from(self) -> str:
        return self.needed("SYNCLINE_MAIL_FROM")

    @property
    def reply_to(self) -> str:
        """Where answers to mail go; "" for its sender."""
        return self.variables.get("SYNCLINE_MAIL_REPLY_TO", "")

    @property
    def mail_configuration_set(self) -> str:
        """SES's configuration set, which publishes bounces and complaints; "" for none."""
        return self.variables.get("SYNCLINE_MAIL_CONFIGURATION_SET", "")

    @property
    def mail_topic_arn(self) -> str:
        """The topic whose signed envelopes about mail count; "": none do. Raises ``Broken`` for what is no topic."""
        arn = self.variables.get("SYNCLINE_MAIL_TOPIC_ARN", "")
        if arn and not _TOPIC_ARN.fullmatch(arn):
            raise Broken(f"SYNCLINE_MAIL_TOPIC_ARN is the ARN of an SNS topic, not {arn!r}")
        return arn

    @property
    def mail_events_raw(self) -> bool:
        """Whether events about mail come without signatures and count all the same, as where SNS is an imitation.

        Raises ``Broken`` where AWS is Amazon's own.
        """
        if not self.has("SYNCLINE_MAIL_EVENTS_RAW"):
            return False
        if self.endpoint_url is None:
            raise Broken("SYNCLINE_MAIL_EVENTS_RAW is for a local AWS only: Amazon's SNS signs what it sends")
        return True

    @property
    def digest_window_s(self) -> int:
        """How long changes are gathered before a mail goes out."""
        return self._number("SYNCLINE_DIGEST_WINDOW_SECONDS", DIGEST_WINDOW_S)

    @property
    def archive_s(self) -> int:
        """How often what changed is archived in the bucket."""
        return max(1, self._number("SYNCLINE_ARCHIVE_SECONDS", ARCHIVE_S))

    @property
    def snapshot_changes(self) -> int:
        """After how many changes a library gets a snapshot."""
        return self._number("SYNCLINE_SNAPSHOT_CHANGES", SNAPSHOT_CHANGES)

    @property
    def commits_retained(self) -> int:
        """How many commits a client may be behind before it is sent to a snapshot."""
        return self._number("SYNCLINE_COMMITS_RETAINED", COMMITS_RETAINED)

    @property
    def replaced_kept_s(self) -> int:
        """How long what was replaced in the archive stays in the bucket."""
        return self._number("SYNCLINE_REPLACED_KEPT_SECONDS", REPLACED_KEPT_S)

    @property
    def sweep_interval_s(self) -> int:
        """How often the sweep looks for what was lost on the way."""
        text = self.variables.get("SYNCLINE_SWEEP_INTERVAL_SECONDS", str(SWEEP_INTERVAL_S))
        if not text.isdecimal() or int(text) == 0:
            raise Broken(f"SYNCLINE_SWEEP_INTERVAL_SECONDS is a number of seconds above 0, not {text!r}")
        return int(text)

    @property
    def free_after_s(self) -> int:
        """How long the bytes of what was given up stay in the bucket."""
        return self._number("SYNCLINE_FREE_AFTER_SECONDS", FREE_AFTER_S)

    @property
    def registration(self) -> Registration:
        """Who may make an account: ``open`` (the default), ``invited`` or ``closed``."""
        text = self.variables.get("SYNCLINE_REGISTRATION", Registration.OPEN.value)
        try:
            return Registration(text.lower())
        except ValueError:
            raise Broken(f"SYNCLINE_REGISTRATION is open, invited or closed, not {text!r}") from None

    @property
    def library_quota_bytes(self) -> int:
        """How many bytes a library may hold that has no quota of its own; 0: no limit."""
        return self._number("SYNCLINE_LIBRARY_QUOTA_BYTES", 0)

    @property
    def account_quota_bytes(self) -> int:
        """How many bytes the libraries of one owner may hold together; 0: no limit."""
        return self._number("SYNCLINE_ACCOUNT_QUOTA_BYTES", 0)

    @property
    def rate_limits(self) -> str:
        """Rate limits other than the defaults, as ``write-device=600,…`` (see docs/operations.md)."""
        return self.variables.get("SYNCLINE_RATE_LIMITS", "")

    @property
    def log_level(self) -> str:
        return self.variables.get("SYNCLINE_LOG_LEVEL", LOG_LEVEL).lower()

    @property
    def log_names(self) -> bool:
        """Whether the texts of errors are logged with the names of files that they quote."""
        return self.has("SYNCLINE_LOG_NAMES")

    def _number(self, name: str, otherwise: int) -> int:
        text = self.variables.get(name, str(otherwise))
        if not text.isdecimal():
            raise Broken(f"{name} is a whole number, not {text!r}")
        return int(text)

    def secrets(self) -> Secrets:
        """The signing keys from the file ``SYNCLINE_SECRETS``.

        Raises ``Broken`` when the file cannot be read, is malformed, or holds a key under 32 bytes.
        """
        path = Path(self.needed("SYNCLINE_SECRETS"))
        try:
            secrets = msgspec.json.decode(path.read_bytes(), type=Secrets)
        except (OSError, msgspec.DecodeError) as error:
            # Neither error shows what the file holds.
            raise Broken(f"The file of SYNCLINE_SECRETS cannot be used: {error}") from error
        for key in (*secrets.permit_keys, *secrets.token_keys, *secrets.link_keys):
            if len(key.secret) < MIN_KEY_BYTES:
                raise Broken(f"The key {key.id!r} of SYNCLINE_SECRETS has under {MIN_KEY_BYTES} bytes")
        return secrets
