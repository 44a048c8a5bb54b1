"""The files that start the daemon at login say what was meant, whatever is in the paths."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from syncline.client.service import launchd_plist, systemd_quoted, systemd_unit

ODD = "/home/a user/50% \"off\" $HOME 'x' \\ ünï"


def test_a_unit_holds_command_and_home() -> None:
    unit = systemd_unit(["/usr/bin/syncline", "start", "--foreground"], {"SYNCLINE_HOME": "/home/a b"})
    assert 'ExecStart="/usr/bin/syncline" "start" "--foreground"\n' in unit
    assert 'Environment="SYNCLINE_HOME=/home/a b"\n' in unit
    assert "WantedBy=default.target" in unit
    assert "RestartPreventExitStatus=3\n" in unit


def test_nothing_in_a_path_means_anything_to_systemd() -> None:
    assert systemd_quoted(ODD) == '"/home/a user/50%% \\"off\\" $HOME \'x\' \\\\ ünï"'
    assert systemd_quoted(ODD, argument=True) == '"/home/a user/50%% \\"off\\" $$HOME \'x\' \\\\ ünï"'
    assert systemd_quoted("a\nb") == '"a\\nb"'


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "a b % \"c\" 'd' $e"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "syncline.service"
    unit.write_text(systemd_unit([str(program), "start", "--foreground"], {"SYNCLINE_HOME": ODD}))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert "syncline.service" not in said.stderr, said.stderr


def test_an_agent_holds_command_and_home() -> None:
    agent = plistlib.loads(launchd_plist(["/bin/sync line", "start"], {"SYNCLINE_HOME": ODD}, "/log").encode())
    assert agent["ProgramArguments"] == ["/bin/sync line", "start"]
    assert agent["EnvironmentVariables"] == {"SYNCLINE_HOME": ODD}
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["RunAtLoad"] is True
