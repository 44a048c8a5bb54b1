"""What an operator of a deployment on AWS gets into a folder."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.aws.operator import main
from syncline.aws.settings import Settings
from tests.unit.deploy.aws_commands import Commands, key

EXAMPLE = Path(__file__).parents[3] / "deploy" / "aws" / "examples" / "production.toml"
SECRET = "c2VjcmV0" * 8


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "set-by-the-command")
    return Commands(folder)


def test_a_shell_that_sources_it_can_use_the_operator_s_command(commands, tmp_path):
    commands.answer(
        {
            "syncline/permit-keys --version-stage AWSCURRENT": (0, key("k1").replace("secret-of-k1", SECRET)),
            "permit-keys": (255, "ResourceNotFoundException"),
        }
    )
    folder = tmp_path / "admin"
    main([str(EXAMPLE), str(folder)])
    sourced = subprocess.run(
        ["sh", "-c", f". {folder}/admin.env && env"], capture_output=True, text=True, check=True, env={"PATH": "/bin"}
    )
    environ = dict(line.split("=", 1) for line in sourced.stdout.splitlines())
    settings = Settings.from_environ(environ)
    assert settings.bucket == "example-syncline-files"
    assert settings.changes_topic_arn == "arn:aws:sns:eu-central-1:123456789012:syncline-changes"
    [kept] = settings.secrets().permit_keys
    assert kept.id == "k1"
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o400
    assert SECRET not in (folder / "admin.env").read_text()


def test_without_the_right_to_the_keys_it_says_so(commands, tmp_path):
    commands.answer({"aws": (255, "AccessDeniedException: no right")})
    with pytest.raises(SystemExit, match="no right"):
        main([str(EXAMPLE), str(tmp_path / "admin")])
    with pytest.raises(SystemExit, match="cannot be read"):
        main([str(tmp_path / "none.toml"), str(tmp_path / "admin")])
