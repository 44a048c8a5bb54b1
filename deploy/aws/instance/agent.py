"""Looks after the service on an instance of EC2, for its Auto Scaling group.

    agent.py prepare    fetch what the service needs to start: its secrets, into memory, and its image
    agent.py watch      tell the group once the service is ready, and when it hangs; stop it when the group wants to
                        terminate the instance, and only then let it

Runs on Amazon Linux's own Python (3.9) with its standard library and the AWS CLI, as root, beside the container.
The file `SYNCLINE_INSTANCE` says which service this is (deploy/aws/machine.py writes it).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Newest first: the current key signs; one that is to become current, and the one before, verify.
STAGES = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")
POLL_S = 5.0
ANSWER_S_MAX = 4.0
COMMAND_S_MAX = 60.0
PULL_S_MAX = 240.0
STOP_S_MAX = 90.0
# A service that does not answer for so long is restarted with its whole instance.
HUNG_S_MAX = 120.0
IMDS_TOKEN_S = "60"

Settings = dict[str, Any]


class Failed(Exception):
    """A command failed; the text is what it said."""


def run(*command: str, timeout_s: float = COMMAND_S_MAX) -> str:
    """What the command printed. Raises Failed with what it complained of: it may have printed a secret."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[0]} took more than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise Failed(done.stderr.strip()[-500:])
    return done.stdout


def prepare(settings: Settings) -> None:
    secrets: dict[str, Any] = {kind: signing_keys(secret) for kind, secret in settings["signing_keys"].items()}
    secrets["redis_password"] = secret_value(settings["redis_secret"], "AWSCURRENT")
    write_secrets(Path(settings["secrets_file"]), secrets, settings["user_id"])
    try:
        run("docker", "image", "inspect", settings["image"])
    except Failed:
        run("docker", "pull", "--quiet", settings["image"], timeout_s=PULL_S_MAX)


def signing_keys(secret: str) -> list[dict[str, str]]:
    """The key of each stage that the secret has. Raises Failed when it has no current one."""
    keys: dict[str, dict[str, str]] = {}
    for stage in STAGES:
        try:
            key = json.loads(secret_value(secret, stage))
        except Failed as failure:
            if stage == STAGES[0] or "ResourceNotFoundException" not in str(failure):
                raise
            continue
        keys.setdefault(key["id"], {"id": key["id"], "secret": key["secret"]})
    return list(keys.values())


def secret_value(secret: str, stage: str) -> str:
    asked = ("--secret-id", secret, "--version-stage", stage, "--query", "SecretString", "--output", "text")
    return run("aws", "secretsmanager", "get-secret-value", *asked).rstrip("\n")


def write_secrets(path: Path, secrets: dict[str, Any], user_id: int) -> None:
    """The folder is on tmpfs; only the service's user reads the file."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        json.dump(secrets, file)
        os.fchown(file.fileno(), user_id, user_id)
    new.replace(path)


class Watch:
    """One instance's life in its group; `step` looks once, and answers whether there is more to look after."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._sleep = sleep
        self._launched = False
        self._alive_at = monotonic()

    def step(self) -> bool:
        if self._target_state() == "Terminated":
            self._stop()
            return not self._complete("terminating_hook")
        if not self._launched and self._answers("/readyz"):
            self._launched = self._complete("launching_hook")
            self._alive_at = self._monotonic()
        if self._launched:
            self._look_alive()
        return True

    def _look_alive(self) -> None:
        now = self._monotonic()
        if self._answers("/healthz"):
            self._alive_at = now
        elif now - self._alive_at > HUNG_S_MAX:
            say("hung", seconds=round(now - self._alive_at))
            health = (
                "--instance-id",
                self._instance(),
                "--health-status",
                "Unhealthy",
                "--no-should-respect-grace-period",
            )
            run("aws", "autoscaling", "set-instance-health", *health)
            self._alive_at = now

    def _stop(self) -> None:
        # The load balancer takes the target out meanwhile; the service then drains what it still holds.
        say("stopping")
        self._sleep(self._settings["deregistering_s"])
        run("systemctl", "stop", "syncline.service", timeout_s=STOP_S_MAX)
        say("stopped")

    def _complete(self, hook: str) -> bool:
        """Let the group go on; also true when it does not wait, as after a reboot."""
        action = (
            *("--auto-scaling-group-name", self._settings["group"]),
            *("--lifecycle-hook-name", self._settings[hook]),
            *("--instance-id", self._instance(), "--lifecycle-action-result", "CONTINUE"),
        )
        try:
            run("aws", "autoscaling", "complete-lifecycle-action", *action)
        except Failed as failure:
            if "No active Lifecycle Action" not in str(failure):
                raise
        say("completed", hook=self._settings[hook])
        return True

    def _answers(self, path: str) -> bool:
        return fetched(f"http://127.0.0.1:{self._settings['port']}{path}") is not None

    def _target_state(self) -> str | None:
        return self._metadata("autoscaling/target-lifecycle-state")

    def _instance(self) -> str:
        instance = self._metadata("instance-id")
        if instance is None:
            raise Failed("The instance metadata service does not answer")
        return instance

    def _metadata(self, name: str) -> str | None:
        base = f"{self._settings['metadata_url']}/latest"
        token = fetched(f"{base}/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": IMDS_TOKEN_S})
        return fetched(f"{base}/meta-data/{name}", "GET", {"X-aws-ec2-metadata-token": token or ""})


def fetched(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> str | None:
    """The body of an answer 200, else None."""
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as response:
            return str(response.read().decode()) if response.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def watch(settings: Settings) -> None:
    life = Watch(settings, time.monotonic, time.sleep)
    more = True
    while more:
        try:
            more = life.step()
        except Failed as failure:  # looked at again, until the hook's own time is over
            say("failed", reason=str(failure))
        time.sleep(POLL_S)


def say(event: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    settings = json.loads(Path(os.environ["SYNCLINE_INSTANCE"]).read_text())
    verbs = {"prepare": prepare, "watch": watch}
    try:
        verbs[arguments[0]](settings)
    except Failed as failure:
        say("failed", reason=str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
