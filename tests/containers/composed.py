"""The stack of docker-compose.yml as the tests see it: scaled out, on free ports, each replica within reach."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import socket
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cached_property
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from docker.models.containers import Container
from docker.models.networks import Network
from testcontainers.compose import DockerCompose
from testcontainers.core.docker_client import DockerClient

from deploy.local.aws import AccessKey
from syncline.aws import Aws
from syncline.client.http import TRIES_MAX
from syncline.domain.commits import Commit
from tests.containers.replica import Replica, idle
from tests.e2e.afterwards import check_all, opened, settle
from tests.e2e.people import eventually
from tests.e2e.under_load import Load, load_on

TREE = Path(__file__).resolve().parents[2]
FILES = f"docker-compose.yml:{Path(__file__).with_name('scaled.yml')}"
REPLICAS = {"gateway": 2, "metadata": 3, "syncer": 2, "notifier": 2}
"""As in scaled.yml."""
PORTS = {"SYNCLINE_PORT": "balancer", "SYNCLINE_AWS_PORT": "aws", "SYNCLINE_MAIL_PORT": "mail"}
SETTINGS = {"SYNCLINE_DIGEST_WINDOW_SECONDS": "2"}
ROOT_KEY = "/data/root-key/aws-root.json"
HEALTHY_S_MAX = 240
SEED = 20261124
EDIT_PAUSE_S = (0.3, 1.5)
ANSWERS = 4
"""So many changes are answered before something happens, while it lasts, and after it."""
POLL_S = 0.5
SHARE_S_MAX = 240
"""Until every replica has had its share of the work; queues and balancer give it out as they please."""


def why_no_engine() -> str:
    """Why there is no Docker engine with Compose to test with; "" when there is one."""
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{' '.join(command)}: {error}"
        if done.returncode != 0:
            return f"{' '.join(command)}: {done.stderr.strip()[:300]}"
    return ""


@dataclass
class ComposedStack:
    """A stack that is up. ``tag`` is that of its images and the name of its project; ``settings`` are Compose's."""

    tag: str
    settings: Mapping[str, str]
    logs: Path
    ports: dict[str, int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['balancer']}"

    @property
    def mail_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['mail']}"

    @cached_property
    def engine(self) -> Any:
        """Docker's own client."""
        return DockerClient().client

    def compose(self, *words: str, tree: Path = TREE, tag: str = "") -> str:
        """``docker compose`` with these words, for images with this tag, built from ``tree``; what it said."""
        return self.run(*DockerCompose(tree).docker_compose_command(), *words, tree=tree, tag=tag)

    def run(self, *command: str, tree: Path = TREE, tag: str = "") -> str:
        """What a command said that calls ``docker compose``."""
        environment = {**os.environ, **self.settings, "SYNCLINE_TAG": tag or self.tag}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}\n{self.tails()}"
        return done.stdout

    # -- its containers

    def containers(self, *, ended: bool = False) -> list[Container]:
        of_it = {"label": [f"com.docker.compose.project={self.tag}", "com.docker.compose.oneoff=False"]}
        return list(self.engine.containers.list(all=ended, filters=of_it))

    def replicas(self, *services: str, ended: bool = False) -> list[Replica]:
        """The containers of these services, or of all, in order of their names."""
        replicas = sorted((Replica(container) for container in self.containers(ended=ended)), key=lambda one: one.name)
        return [one for one in replicas if not services or one.service in services]

    def one(self, service: str) -> Replica:
        return self.replicas(service)[0]

    @property
    def network(self) -> Network:
        [network] = self.engine.networks.list(filters={"label": [f"com.docker.compose.project={self.tag}"]})
        return network

    def wait_healthy(self) -> None:
        """Wait until as many containers of each service are there as there should be, and all are healthy."""

        def all_healthy() -> bool:
            there = [one.service for one in self.replicas()]
            complete = all(there.count(service) == count for service, count in REPLICAS.items())
            return complete and all(one.healthy for one in self.replicas())

        self.wait_until(all_healthy, "not all containers are healthy")

    def wait_until(self, true: Callable[[], object], otherwise: str) -> None:
        deadline = time.monotonic() + HEALTHY_S_MAX
        while not true():
            assert time.monotonic() < deadline, f"{otherwise}:\n{self.tails()}"
            time.sleep(POLL_S)

    def keep_logs(self) -> None:
        """Write down what all containers have said up to now."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for replica in self.replicas(ended=True):
            self.logs.joinpath(f"{replica.name}.log").write_bytes(replica.container.logs(timestamps=True))

    def tails(self) -> str:
        """The last lines of every container."""
        return "\n".join(f"--- {one.name}\n{one.tail()}" for one in self.replicas(ended=True))

    @asynccontextmanager
    async def load(self, folder: Path, *, tries: int = TRIES_MAX) -> AsyncIterator[Load]:
        """People at work, at their ease, with the patience that clients have; begun."""
        async with load_on(self.url, folder / "people", SEED, tries=tries, pause_s=EDIT_PAUSE_S) as load:
            load.begin()
            await load.answered(ANSWERS)
            yield load

    async def all_work(self, load: Load, replicas: Sequence[Replica]) -> None:
        """Wait until each of these has done something from now on, while people work and look what is new."""
        before = await asyncio.to_thread(lambda: [one.work for one in replicas])

        async def without_work() -> list[str]:
            await asyncio.gather(*(load.uploader.who.api.heads() for _ in range(2 * len(replicas))))
            load.check()
            return await asyncio.to_thread(idle, replicas, before)

        await eventually(without_work, until=lambda names: not names, within_s=SHARE_S_MAX)

    # -- what it holds

    async def check(self, load: Load) -> list[Commit]:
        """Everybody finishes what they are doing; then everything must be as it was answered. The whole journal."""
        await load.end()
        await settle(load)
        async with self.opened() as aws:
            return await check_all(aws, load)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Aws]:
        """Its tables and objects, with all rights."""
        config = json.loads(self.compose("config", "--format", "json"))
        variables: dict[str, str] = config["services"]["metadata"]["environment"]
        del variables["AWS_SHARED_CREDENTIALS_FILE"], variables["SYNCLINE_REDIS_URL"]
        variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{self.ports['aws']}"
        key = json.loads(self.one("aws").run("cat", ROOT_KEY))
        async with opened(variables | AccessKey(key["id"], key["secret"]).environment()) as aws:
            yield aws

    def mails(self) -> list[EmailMessage]:
        """The mail sent so far, oldest first."""
        pieces, _ = self.one("mail").container.get_archive("/data/mail")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            files = sorted((one for one in archive if one.name.endswith(".eml")), key=lambda one: one.name)
            contents = [file.read() for one in files if (file := archive.extractfile(one)) is not None]
        return [message_from_bytes(content, policy=default) for content in contents]


@contextmanager
def composed_stack(folder: Path) -> Iterator[ComposedStack]:
    """The stack, built from this tree, scaled out and healthy; taken down with its volumes and images in the end."""
    tag = f"syncline-test-{secrets.token_hex(3)}"
    ports = dict(zip(PORTS.values(), free_ports(len(PORTS)), strict=True))
    settings = {name: str(ports[service]) for name, service in PORTS.items()} | SETTINGS
    settings |= {"COMPOSE_PROJECT_NAME": tag, "COMPOSE_FILE": FILES}
    stack = ComposedStack(tag, settings, folder / "logs", ports)
    try:
        stack.compose("up", "--build", "--wait")
        yield stack
    finally:
        with suppress(DockerException):  # logs are worth less than an end in good order
            stack.keep_logs()
        stack.compose("--profile", "*", "down", "--volumes", "--remove-orphans")
        remove_images(stack)


def remove_images(stack: ComposedStack) -> None:
    """Remove the images that were built for it, newer ones too."""
    for image in stack.engine.images.list(filters={"reference": f"syncline/*:{stack.tag}*"}):
        for name in image.tags:
            if stack.tag in name:
                stack.engine.images.remove(name)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
