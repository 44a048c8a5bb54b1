"""The ``syncline`` command."""

from __future__ import annotations


def main() -> int:
    """Run the command with the process's arguments; the exit code (exits.py)."""
    from syncline.client.cli.app import run  # importing the package alone stays cheap

    return run()
