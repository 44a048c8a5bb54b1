"""``python -m syncline.client.cli``: the command, where it is not on the PATH."""

from __future__ import annotations

import sys

from syncline.client.cli import main

if __name__ == "__main__":
    sys.exit(main())
