"""service install, uninstall, status: the daemon at every login."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.daemon.life import is_running, stop
from syncline.client.logs import logs_folder
from syncline.client.service import LABEL, UNIT, launchd_plist, systemd_unit
from syncline.domain.errors import Broken, Refused

COMMAND_S_MAX = 30
LINGER = "It runs while you are logged in. To have it run from boot on: loginctl enable-linger"


@click.group("service")
def service() -> None:
    """Have the daemon started at every login.

    By systemd (Linux) or launchd (macOS), for this user and this SYNCLINE_HOME.
    """


@command("install", examples=["syncline service install", "syncline service install --print"])
@click.option("--print", "only_print", is_flag=True, help="Show the file instead of installing it.")
def install(call: Call, only_print: bool) -> Answer:
    """Start the daemon now and at every login.

    Writes a systemd user unit or a launchd agent and enables it. A daemon that was started by hand ends first.
    """
    path, text = _path(), _text(call)
    if only_print:
        return Answer({"path": str(path), "text": text}, text.rstrip("\n"))
    call.session()
    stop(call.home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if _is_mac():
        _system("launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}", may_fail=True)
        _system("launchctl", "bootstrap", f"gui/{os.getuid()}", str(path))
        told = f"{path} is installed and runs."
    else:
        _system("systemctl", "--user", "daemon-reload")
        _system("systemctl", "--user", "enable", "--now", UNIT)
        told = f"{path} is installed and runs. {LINGER}"
    return Answer({"path": str(path), "installed": True}, told, chatty=True)


@command("uninstall", examples=["syncline service uninstall"])
def uninstall(call: Call) -> Answer:
    """Stop the daemon and start it no more at login."""
    path = _path()
    if not path.exists():
        return Answer({"path": str(path), "installed": False}, "It is not installed.", chatty=True)
    if _is_mac():
        _system("launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}", may_fail=True)
        path.unlink()
    else:
        _system("systemctl", "--user", "disable", "--now", UNIT)
        path.unlink()
        _system("systemctl", "--user", "daemon-reload")
    return Answer({"path": str(path), "installed": False}, f"{path} is gone, and the daemon has ended.", chatty=True)


@command("status", examples=["syncline service status"])
def status(call: Call) -> Answer:
    """Show whether the daemon is started at login, and whether it runs."""
    path = _path()
    installed, runs = path.exists(), is_running(call.home)
    current = installed and path.read_text() == _text(call)
    document = {"path": str(path), "installed": installed, "current": current, "running": runs}
    lines = [
        f"{path}: {'installed' if installed else 'not installed'}",
        f"the daemon {'runs' if runs else 'does not run'}",
    ]
    if installed and not current:
        lines.append("The file differs from what would be installed now. To renew it: syncline service install")
    return Answer(document, "\n".join(lines))


service.params += common_options()
for one in (install, uninstall, status):
    service.add_command(one)


def _text(call: Call) -> str:
    environment = {"SYNCLINE_HOME": str(call.home.path)}
    if _is_mac():
        return launchd_plist(_command(), environment, str(logs_folder(call.home) / "daemon.out"))
    return systemd_unit(_command(), environment)


def _command() -> list[str]:
    """The command by its absolute path, whatever PATH the service will have."""
    found = shutil.which(sys.argv[0]) or shutil.which("syncline")
    program = [os.path.abspath(found)] if found else [sys.executable, "-m", "syncline.client.cli"]
    return [*program, "start", "--foreground"]


def _path() -> Path:
    if _is_mac():
        return Path.home() / "Library/LaunchAgents" / f"{LABEL}.plist"
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config) if config else Path.home() / ".config") / "systemd/user" / UNIT


def _is_mac() -> bool:
    return os.uname().sysname == "Darwin"


def _system(*words: str, may_fail: bool = False) -> None:
    """Have the system's own command do it. Raises ``Refused`` when there is none, ``Broken`` when it fails."""
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)
    except FileNotFoundError:
        detail = f"There is no {words[0]} here. Have your system run syncline start at login in a way of its own."
        raise Refused("no-service-manager", detail) from None
    except subprocess.TimeoutExpired:
        raise Broken(f"{' '.join(words)} did not end within {COMMAND_S_MAX} s.") from None
    if ended.returncode and not may_fail:
        raise Broken(f"{' '.join(words)} failed: {ended.stderr.strip() or ended.stdout.strip()}")
