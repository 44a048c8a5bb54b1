"""The files that have the system start the daemon at login: a systemd user unit, a launchd agent. Pure text."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping, Sequence

UNIT = "syncline.service"
LABEL = "org.syncline.daemon"


def systemd_unit(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """A user unit (systemd.service(5)) that keeps ``command`` running."""
    lines = "\n".join(f"Environment={systemd_quoted(f'{name}={value}')}" for name, value in environment.items())
    return f"""[Unit]
Description=Syncline keeps folders in sync

[Service]
Type=exec
{lines}
ExecStart={" ".join(systemd_quoted(word, argument=True) for word in (*_through_shell(command[0]), *command))}
Restart=on-failure
RestartSec=10
# Not signed in: only a person can mend that.
RestartPreventExitStatus=3
TimeoutStopSec=60

[Install]
WantedBy=default.target
"""


def _through_shell(program: str) -> Sequence[str]:
    """What comes before a program whose path systemd would not take: it refuses quotes and the like in that place."""
    return () if not set(program) & set("\"'\\$\n\t") else ("/bin/sh", "-c", 'exec "$0" "$@"')


def systemd_quoted(word: str, *, argument: bool = False) -> str:
    """A word in a unit file: what systemd would read as a quote, an escape, a specifier or (in a command line) a
    variable stays what it is (systemd.syntax(7), systemd.service(5) "Command lines")."""
    out = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    out = out.replace("\n", "\\n").replace("\t", "\\t")
    if argument:
        out = out.replace("$", "$$")
    return f'"{out}"'


def launchd_plist(command: Sequence[str], environment: Mapping[str, str], log: str) -> str:
    """A launch agent (launchd.plist(5)) that keeps ``command`` running; what it says goes to ``log``."""
    agent = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ProcessType": "Background",
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(agent, sort_keys=False).decode()
