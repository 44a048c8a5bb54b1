"""Commands that stand in for `aws`, `docker` and `systemctl`: they answer as told, and say what they were asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Answers what the file ANSWERS says for the first fragment found in its command, and writes the command down.
COMMAND = """#!{python}
import json, os, sys
command = " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
with open({log!r}, "a") as log:
    log.write(command + "\\n")
for fragment, (code, text) in json.load(open({answers!r})).items():
    if fragment in command:
        (sys.stderr if code else sys.stdout).write(text)
        sys.exit(code)
"""


class Commands:
    """In `folder`, which is to be the first of PATH."""

    def __init__(self, folder: Path) -> None:
        self._answers, self._log = folder / "answers.json", folder / "log"
        self._log.touch()
        self.answer({})
        for name in ("aws", "docker", "systemctl"):
            path = folder / name
            path.write_text(COMMAND.format(python=sys.executable, log=str(self._log), answers=str(self._answers)))
            path.chmod(0o755)

    def answer(self, answers: dict[str, tuple[int, str]]) -> None:
        self._answers.write_text(json.dumps(answers))

    def given(self) -> list[str]:
        """What was called since the last look."""
        lines = self._log.read_text().splitlines()
        self._log.write_text("")
        return lines


def key(name: str) -> str:
    """A signing key as Secrets Manager holds it."""
    return json.dumps({"id": name, "secret": f"secret-of-{name}"})
