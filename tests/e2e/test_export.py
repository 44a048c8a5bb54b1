"""A library is exported from a running stack, to a file and into a pipe whose reader leaves."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack, running_stack
from tests.e2e.people import person

pytestmark = pytest.mark.e2e

PIPE_CLOSED = 141


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_stack(tmp_path_factory.mktemp("export")) as running:
        yield running


def export(stack: EmbeddedStack, *words: str) -> subprocess.Popen[bytes]:
    text = stack.place.operator_environment.read_text()
    variables = dict(re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE))
    environment = {name: shlex.split(value)[0] if value else "" for name, value in variables.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "syncline.admin", "export", *words],
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def test_to_a_file_and_into_a_pipe_whose_reader_leaves(stack: EmbeddedStack, tmp_path: Path):
    content = os.urandom(3_000_000)
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        folder = "f" * 20
        await alice.commit(library, m.MakeFolder(node=folder, parent=library, name="größer"))
        made = await alice.add(library, "a.bin", content)
        await alice.commit(library, m.Move(node=made.node, base_seq=made.seq, parent=folder, name="a.bin"))
        await alice.add(library, "b.txt", b"b")
    target = tmp_path / "out.zip"
    whole = export(stack, library, "--output", str(target))
    out, err = whole.communicate(timeout=120)
    assert (whole.returncode, out[:40]) == (0, b"2 files and 1 folder, 2.9 MiB, as of 4: "), err
    archive = zipfile.ZipFile(target)
    assert archive.read("files/größer/a.bin") == content
    assert archive.read("files/b.txt") == b"b"
    cut = export(stack, library)
    assert cut.stdout is not None
    assert cut.stdout.read(100)
    cut.stdout.close()
    assert cut.wait(timeout=120) == PIPE_CLOSED
    assert cut.stderr is not None
    assert b"Traceback" not in cut.stderr.read()
