"""The app as the `cdk` command runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import EXAMPLES, ROOT

SECONDS_MAX = 300


@pytest.fixture(autouse=True)
def cdk():
    pytest.importorskip("aws_cdk", reason="the CDK is not installed: make deploy-check")


def run(out: Path, context: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `cdk.json` names, the way `cdk` runs it, from where it lies."""
    program, *arguments = json.loads((ROOT / "cdk.json").read_text())["app"].split()
    assert program == ".venv/bin/python"
    environ = {**os.environ, "CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(context)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def test_before_there_are_images_there_is_everything_but_services(tmp_path):
    text = (EXAMPLES / "trial.toml").read_text().partition("[images]")[0]
    settings = tmp_path / "my.toml"
    settings.write_text(text)
    done = run(tmp_path / "out", {"settings": str(settings)})
    assert done.returncode == 0, done.stderr
    stacks = {path.name.partition(".")[0] for path in (tmp_path / "out").glob("*.template.json")}
    wanted = ("images", "network", "messaging", "data", "cache", "mail", "identity", "backup", "alarms")
    assert stacks == {f"syncline-{name}" for name in wanted}


@pytest.mark.parametrize(
    ("context", "told"),
    [({}, "-c settings=FILE"), ({"settings": "none.toml"}, "none.toml cannot be read")],
)
def test_without_usable_settings_it_says_what_it_needs(tmp_path, context, told):
    done = run(tmp_path / "out", context)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
