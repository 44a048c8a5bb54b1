"""The agent on an instance, beside commands and an instance metadata service that stand in for AWS's."""

import ast
import json
import os
import stat
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.aws.instance import agent
from tests.unit.deploy.aws_commands import Commands, key

INSTANCE = "i-0123456789abcdef0"


class Web:
    """Serves `pages`, by path; everything else is 404."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = web.pages.get(self.path)
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write((body or "").encode())

            do_GET = do_PUT = _answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "Web":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return Commands(folder)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as serving:
        serving.pages = {
            "/latest/api/token": "token",
            "/latest/meta-data/instance-id": INSTANCE,
            "/latest/meta-data/autoscaling/target-lifecycle-state": "InService",
        }
        yield serving


@pytest.fixture
def settings(tmp_path: Path, web: Web) -> dict[str, object]:
    return {
        "group": "syncline-gateway",
        "image": "registry/syncline/gateway@sha256:1",
        "signing_keys": {"permit_keys": "syncline/permit-keys"},
        "redis_secret": "syncline/redis",
        "secrets_file": str(tmp_path / "run" / "secrets.json"),
        "user_id": os.getuid(),
        "port": web.port,
        "launching_hook": "until-ready",
        "terminating_hook": "until-drained",
        "deregistering_s": 20,
        "metadata_url": f"http://127.0.0.1:{web.port}",
    }


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def life(settings: dict[str, object], clock: Clock) -> agent.Watch:
    return agent.Watch(settings, clock.monotonic, clock.sleep)


def none(stage: str) -> tuple[int, str]:
    return 255, f"An error occurred (ResourceNotFoundException): no {stage}"


def test_secrets_come_from_every_stage_newest_first_and_only_the_service_reads_them(commands, settings, capfd):
    commands.answer(
        {
            "permit-keys --version-stage AWSCURRENT": (0, key("k2")),
            "permit-keys --version-stage AWSPENDING": (0, key("k3")),
            "permit-keys --version-stage AWSPREVIOUS": (0, key("k1")),
            "syncline/redis --version-stage AWSCURRENT": (0, "password\n"),
        }
    )
    agent.prepare(settings)
    path = Path(str(settings["secrets_file"]))
    held = json.loads(path.read_text())
    assert [one["id"] for one in held["permit_keys"]] == ["k2", "k3", "k1"]
    assert held["permit_keys"][0]["secret"] == "secret-of-k2"
    assert held["redis_password"] == "password"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert "secret" not in "".join(capfd.readouterr())
    agent.prepare(settings)  # the service is started again


def test_stages_that_a_secret_does_not_have_are_passed_over(commands, settings):
    commands.answer(
        {
            "permit-keys --version-stage AWSCURRENT": (0, key("k1")),
            "permit-keys --version-stage AWSPENDING": none("AWSPENDING"),
            "permit-keys --version-stage AWSPREVIOUS": (0, key("k1")),
        }
    )
    agent.prepare(settings)
    held = json.loads(Path(str(settings["secrets_file"])).read_text())
    assert [one["id"] for one in held["permit_keys"]] == ["k1"]


@pytest.mark.parametrize(
    ("stage", "answer"),
    [("AWSCURRENT", none("AWSCURRENT")), ("AWSPREVIOUS", (255, "AccessDeniedException")), ("AWSCURRENT", (1, "away"))],
)
def test_without_what_it_needs_it_does_not_start(commands, settings, stage, answer):
    commands.answer({f"permit-keys --version-stage {stage}": answer, "permit-keys": (0, key("k1"))})
    with pytest.raises(agent.Failed):
        agent.prepare(settings)
    assert not Path(str(settings["secrets_file"])).exists()


@pytest.mark.parametrize(("there", "pulled"), [(True, False), (False, True)])
def test_the_image_is_pulled_once(commands, settings, there, pulled):
    commands.answer(
        {"permit-keys": (0, key("k1")), "docker image inspect": (0, "{}") if there else (1, "No such image")}
    )
    agent.prepare(settings)
    assert (f"docker pull --quiet {settings['image']}" in commands.given()) is pulled


def test_the_group_hears_once_when_the_service_is_ready(commands, web, life):
    assert life.step()
    assert commands.given() == []
    web.pages |= {"/readyz": "{}", "/healthz": "{}"}
    assert life.step()
    assert life.step()
    [told] = commands.given()
    assert "complete-lifecycle-action" in told
    assert "--lifecycle-hook-name until-ready" in told
    assert f"--instance-id {INSTANCE}" in told
    assert "--lifecycle-action-result CONTINUE" in told


def test_what_the_group_did_not_hear_is_said_again(commands, web, life):
    web.pages |= {"/readyz": "{}", "/healthz": "{}"}
    commands.answer({"complete-lifecycle-action": (255, "ServiceUnavailable")})
    with pytest.raises(agent.Failed):
        life.step()
    commands.answer({})
    commands.given()
    assert life.step()
    assert len(commands.given()) == 1


def test_after_a_reboot_nobody_waits_for_it(commands, web, life):
    web.pages |= {"/readyz": "{}", "/healthz": "{}"}
    commands.answer({"complete-lifecycle-action": (255, "ValidationError: No active Lifecycle Action found")})
    assert life.step()
    commands.given()
    assert life.step()
    assert commands.given() == []


@pytest.mark.parametrize("ready", [True, False])
def test_before_the_end_it_leaves_the_balancer_time_then_drains_then_lets_go(commands, web, life, clock, ready):
    if ready:
        web.pages |= {"/readyz": "{}", "/healthz": "{}"}
        life.step()
        commands.given()
    web.pages["/latest/meta-data/autoscaling/target-lifecycle-state"] = "Terminated"
    assert not life.step()
    stopped, completed = commands.given()
    assert clock.slept == [20]
    assert stopped == "systemctl stop syncline.service"
    assert "--lifecycle-hook-name until-drained" in completed


def test_a_service_that_hangs_gets_its_instance_replaced(commands, web, life, clock):
    web.pages |= {"/readyz": "{}", "/healthz": "{}"}
    life.step()
    commands.given()
    del web.pages["/healthz"]
    clock.now += agent.HUNG_S_MAX
    life.step()
    assert commands.given() == []
    clock.now += 1
    life.step()
    [told] = commands.given()
    assert "set-instance-health" in told
    assert "--health-status Unhealthy" in told


def test_one_that_is_alive_and_not_ready_is_left_alone(commands, web, life, clock):
    web.pages |= {"/readyz": "{}", "/healthz": "{}"}
    life.step()
    commands.given()
    del web.pages["/readyz"]  # DynamoDB is away: another instance would fare no better
    clock.now += 10 * agent.HUNG_S_MAX
    life.step()
    assert commands.given() == []


def test_without_metadata_nothing_is_stopped(commands, web, life):
    web.pages.clear()
    assert life.step()
    assert commands.given() == []


def test_it_runs_on_the_python_of_amazon_linux():
    tree = ast.parse(Path(agent.__file__).read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)
