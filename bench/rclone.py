"""rclone, the tool that benchmarks of whole clients are held against: ``bisync`` with the embedded stack's S3.

As it comes, it asks S3 for each object's time, one request a file. ``FAST`` are the quickest options that find every
change and keep the times of files: sizes and checksums, which S3's listing tells, the listing in one sweep, and no
comparison of the listings in the end. (``--use-server-modtime`` would spare the hashing, but gives every file the time
of its upload, and takes each upload for a change of the other side in the next run.)
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.two_clients import Spent, timed
from deploy.local import aws
from deploy.local.place import Place

BUCKET = "bench-rclone"
FAST = ("--compare", "size,checksum", "--fast-list", "--check-sync", "false")
TRANSFERS = "16"


@dataclass(frozen=True)
class Rclone:
    """One folder kept the same as the prefix of its name in the bucket. ``endpoint``: where S3 is."""

    place: Place
    folder: Path
    endpoint: str
    options: tuple[str, ...] = ()

    def bisync(self, *more: str) -> Spent:
        """One run. Ends the benchmark when it does not succeed."""
        listings = self._work / "-".join(("listings", *(option.strip("-") for option in self.options)))
        remote = f"bench:{BUCKET}/{self.folder.name}"
        return self._run("bisync", str(self.folder), remote, "--workdir", str(listings), *self.options, *more)

    def resync(self) -> Spent:
        """Bring both sides together, from which ``bisync`` goes on."""
        self._run("mkdir", f"bench:{BUCKET}")
        return self.bisync("--resync")

    @property
    def _work(self) -> Path:
        return self.place.data / "rclone"

    def _run(self, *words: str) -> Spent:
        program = str(Path(sys.executable).with_name("rclone"))
        return timed([program, *words, "--transfers", TRANSFERS], self._environment())

    def _environment(self) -> dict[str, str]:
        key = aws.root_key(self.place)
        remote = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": self.endpoint,
            "REGION": aws.REGION,
            "FORCE_PATH_STYLE": "true",
            "ACCESS_KEY_ID": key.id,
            "SECRET_ACCESS_KEY": key.secret,
        }
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))},
            **{f"RCLONE_CONFIG_BENCH_{name}": value for name, value in remote.items()},
            "RCLONE_CONFIG": str(self._work / "none.conf"),
        }
