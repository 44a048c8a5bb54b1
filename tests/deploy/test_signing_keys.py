"""The signing keys that CloudFormation makes, as instances read them, and how docs/deploy.md replaces one.

By AWS's own command, against the local AWS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.aws.identity import FIRST_KEY, SIGNING_KINDS
from deploy.aws.instance import agent
from deploy.local import aws
from syncline.aws.settings import Settings
from tests.deploy.conftest import ROOT
from tests.deploy.local_cloudformation import LocalDeployment

SECONDS_MAX = 120
ANOTHER = "syncline/other-keys"


@pytest.fixture
def operator(deployed: LocalDeployment, monkeypatch: pytest.MonkeyPatch) -> LocalDeployment:
    """The stack, with AWS's command in the path and told of it."""
    key = aws.root_key(deployed.place)
    for name, value in {**key.environment(), "AWS_DEFAULT_REGION": aws.REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", deployed.place.aws_url)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    return deployed


def blocks(heading: str) -> list[str]:
    """The commands that docs/deploy.md gives under a heading, a block each."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    [section] = re.findall(rf"^### {heading}\n(.*?)^##", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def type_in(commands: str) -> None:
    """Without refreshing instances: there are none here."""
    kept = "\n".join(line for line in commands.splitlines() if "start-instance-refresh" not in line)
    subprocess.run(["sh", "-e", "-c", kept], check=True, timeout=SECONDS_MAX)


def test_what_cloudformation_makes_is_what_a_service_reads(operator: LocalDeployment, tmp_path):
    names = operator.definition.names
    secrets = {kind: agent.signing_keys(names.secret(kind)) for kind in SIGNING_KINDS}
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(secrets))
    read = Settings({"SYNCLINE_SECRETS": str(path)}).secrets()
    found = [one for keys in (read.permit_keys, read.token_keys, read.link_keys) for one in keys]
    assert len(found) == len({one.secret for one in found}) == len(SIGNING_KINDS)
    assert {one.id for one in found} == {FIRST_KEY}


def test_a_key_is_replaced_without_one_moment_in_which_it_is_not_verified(operator: LocalDeployment):
    secret = operator.definition.names.secret("token_keys")
    [old] = agent.signing_keys(secret)
    # The others' keys stay as CloudFormation made them.
    agent.run("aws", "secretsmanager", "create-secret", "--name", ANOTHER, "--secret-string", json.dumps(old))
    first, second = (block.replace(secret, ANOTHER) for block in blocks("New signing keys"))
    secret = ANOTHER
    type_in(first)
    signs, verifies = agent.signing_keys(secret)
    assert signs == old
    assert verifies["id"] != old["id"]
    type_in(second)
    assert agent.signing_keys(secret) == [verifies, old]
