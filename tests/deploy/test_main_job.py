"""The main job on what CloudFormation made: the real services, each under its own role, by TLS alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.definition import OPERATOR, Definition
from deploy.local import programs
from deploy.local.aws import AccessKey
from deploy.local.demo import Demo
from deploy.local.lock import take_lock
from deploy.local.logs import Console
from deploy.local.people import LIBRARY
from deploy.local.place import Place
from deploy.local.provision import signing_keys
from deploy.local.supervisor import Supervisor
from tests.deploy.local_cloudformation import LocalDeployment, client_of, clients_of
from tests.e2e.people import eventually, person, put, s3_of

CONTENT = b"the minutes of the meeting\n"


@dataclass(frozen=True, slots=True)
class SessionKey(AccessKey):
    """The credentials of a role, as an instance on EC2 gets them."""

    token: str

    def environment(self) -> dict[str, str]:
        return AccessKey.environment(self) | {"AWS_SESSION_TOKEN": self.token}


async def keys_of_roles(place: Place, definition: Definition) -> dict[str, SessionKey]:
    """What EC2 does for an instance: credentials of each service's role."""
    keys = {}
    async with clients_of(place, "sts") as (sts,):
        for identity in definition.identities:
            arn = definition.names.role_arn(identity.service)
            found = (await sts.assume_role(RoleArn=arn, RoleSessionName="instance"))["Credentials"]
            keys[identity.service] = SessionKey(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    return keys


@asynccontextmanager
async def running(deployed: LocalDeployment) -> AsyncIterator[dict[str, SessionKey]]:
    """The services on the deployment, and the front door before them."""
    place, definition = deployed.place, deployed.definition
    keys = await keys_of_roles(place, definition)
    signing_keys(place.secrets / "services.json")
    lock = take_lock(place)
    supervisor = Supervisor(place, Console(quiet=True), lock)
    trusted = {"AWS_CA_BUNDLE": os.environ["AWS_CA_BUNDLE"]}
    try:
        await supervisor.start(programs.valkey(place))
        await supervisor.start(*programs.services(place, definition, keys, trusted))
        await supervisor.start(programs.front_door(place))
        yield keys
    finally:
        await supervisor.stop()
        supervisor.close()
        os.close(lock)


async def test_the_main_job(deployed: LocalDeployment, tmp_path: Path):
    place = deployed.place
    async with running(deployed) as keys:
        # accounts, a shared library, an upload by a permit, its commit, the other client
        alice, bob = await Demo(place, Console(quiet=True)).prepare()
        await bob.does("follow", LIBRARY)
        (alice.folder / "minutes.txt").write_bytes(CONTENT)
        await alice.does("sync")
        await bob.does("sync")
        assert (bob.folder / "minutes.txt").read_bytes() == CONTENT

        # topic → queue → notifier → SES
        mails = await eventually(lambda: _mails_to(place, bob.email), until=bool)
        assert "minutes.txt" in mails[0]

        # S3's event → queue → commit, for bytes that a plain tool put
        async with person(place.url, tmp_path, "carol") as carol:
            library = await carol.library(name="Plain")
            answer, permitted = await carol.permit(library, "report.txt", CONTENT, direct=True)
            async with s3_of(answer.credential) as s3:
                await put(s3, answer.credential, permitted, CONTENT)
            await eventually(lambda: carol.names(library), until=lambda names: names == ["report.txt"])
            await carol.upload(library, "held-back.txt", CONTENT)
            await _events_of_uploads_wait(deployed)

        await _the_operator_sees_that_all_is_well(deployed, keys[OPERATOR])
        await _nothing_comes_without_tls(deployed, keys)


async def _the_operator_sees_that_all_is_well(deployed: LocalDeployment, key: SessionKey) -> None:
    """By AWS's interfaces alone, under the operator's own role."""
    variables = programs.stack_environment(deployed.place, deployed.definition, key)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "syncline.admin", "health", "--json"],
        env={name: os.environ[name] for name in ("PATH", "AWS_CA_BUNDLE")} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["alarms"], told["unseen"]) == (0, [], [])
    assert all(one["instances"] for one in told["services"])


async def _mails_to(place: Place, email: str) -> list[str]:
    sent = [message_from_bytes(path.read_bytes(), policy=default) for path in sorted(place.mail.glob("*.eml"))]
    bodies = [mail.get_body(("plain",)) for mail in sent if email in str(mail["To"])]
    return [body.get_content() for body in bodies if body is not None]


async def _events_of_uploads_wait(deployed: LocalDeployment) -> None:
    """The same event of `objects/` is held back, so that its client's own commit comes first."""
    async with clients_of(deployed.place, "sqs") as (sqs,):
        url = (await sqs.get_queue_url(QueueName=deployed.definition.names.queue("uploads")))["QueueUrl"]
        found = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert int(found["Attributes"]["ApproximateNumberOfMessagesDelayed"]) >= 1


async def _nothing_comes_without_tls(deployed: LocalDeployment, keys: dict[str, SessionKey]) -> None:
    """The same requests of the same role are answered, and refused where they came without TLS."""
    names = deployed.definition.names
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "s3": ("list_objects_v2", {"Bucket": names.bucket}),
        "sqs": ("get_queue_url", {"QueueName": names.queue("commits")}),
        "sns": ("publish", {"TopicArn": names.topic_arn, "Message": "probe"}),
    }
    key = keys["metadata"]
    for api, (request, arguments) in requests.items():
        async with client_of(deployed.place, api, key, key.token) as client:
            if api != "sns":  # a message that nobody understands would be set aside
                await getattr(client, request)(**arguments)
            client.meta.events.register("before-send", _as_by_http)
            with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
                await getattr(client, request)(**arguments)


def _as_by_http(request: Any, **_: Any) -> None:
    """What a balancer says of a request that came to it by HTTP; the local AWS believes it."""
    request.headers["X-Forwarded-Proto"] = "http"
