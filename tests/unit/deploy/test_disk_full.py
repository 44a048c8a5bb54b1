"""What the disk does not take is never acknowledged: the local AWS ends instead."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[3]
# MiniStack catches what goes wrong while it writes an object, logs it, and answers 200.
PROGRAM = """
import types
from deploy.local.aws_server import _acknowledge_only_what_is_kept

def write(path, data, *, text=False):
    raise OSError({number}, "the disk", path)

s3 = types.SimpleNamespace(_atomic_write=write)
_acknowledge_only_what_is_kept(s3)
try:
    s3._atomic_write("object", b"bytes")
except OSError:
    print("raised")
print("acknowledged")
"""


def put_with(number: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(number=number)], cwd=TREE, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_ends_it_before_the_answer(number):
    done = put_with(number)
    assert (done.returncode, done.stdout) == (os.EX_IOERR, "")
    assert "The local AWS ends: object cannot be written" in done.stderr


def test_what_only_one_object_is_to_blame_for_does_not():
    done = put_with(errno.ENAMETOOLONG)
    assert (done.returncode, done.stdout) == (0, "raised\nacknowledged\n")
