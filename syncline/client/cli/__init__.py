"""The ``syncline`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command with the process's arguments; the exit code (exits.py)."""
    # Importing the package alone stays cheap, and so does what a running daemon answers.
    from syncline.client.cli.quick import quick

    done = quick(sys.argv[1:])
    if done is not None:
        return done
    from syncline.client.cli.app import run

    return run()
