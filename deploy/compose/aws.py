"""The local AWS of compose: the same server as the embedded stack's, with its data on the container's volumes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deploy.local import aws

DATA = Path("/data/aws")
MAIL = Path("/data/mail")
ROOT_KEY = Path("/data/root-key/aws-root.json")
EVERYWHERE = "0.0.0.0"  # noqa: S104 (inside the container; compose publishes it on 127.0.0.1)
HOST = "aws"
PORT = 8081


def main() -> None:
    """Become the server."""
    key = aws.kept_root_key(ROOT_KEY)
    settings = aws.settings(key, state=DATA, mail=MAIL, listen=EVERYWHERE, host=HOST, port=PORT)
    os.execve(sys.executable, [sys.executable, "-m", "deploy.local.aws_server"], settings)  # noqa: S606 (no shell)


if __name__ == "__main__":
    main()
