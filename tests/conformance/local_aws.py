"""The local AWS for the conformance suites: started once, provisioned as the stack is, under keys with policies."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from deploy.definition import Definition
from deploy.local import aws
from deploy.local.aws import AccessKey
from deploy.local.place import HOST, PORTS, Place, Ports
from deploy.local.provision import embedded_definition, provision
from deploy.permissions import Document
from syncline.aws import Aws, Settings, connect

VISIBILITY_S = 2
UPLOADS_DELAY_S = 2
START_S = 60
STOP_S = 60
TESTER = "conformance"


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS. ``keys`` holds the services' access keys, and the tests' own under ``TESTER``."""

    place: Place
    definition: Definition
    keys: dict[str, AccessKey]

    def variables(self) -> dict[str, str]:
        names = self.definition.names
        return {
            "AWS_ENDPOINT_URL": self.place.aws_url,
            "AWS_DEFAULT_REGION": names.region,
            "SYNCLINE_STACK": names.stack,
            "SYNCLINE_BUCKET": names.bucket,
            "SYNCLINE_CHANGES_TOPIC_ARN": names.topic_arn,
            "SYNCLINE_CLIENT_ROLE_ARN": names.client_role_arn,
            "SYNCLINE_MAIL_FROM": self.definition.mail_from,
        }

    @asynccontextmanager
    async def connect(self, identity: str, **variables: str) -> AsyncIterator[Aws]:
        """The ports as ``identity`` has them. Clients find their key in the environment, as a service's do."""
        settings = Settings.from_environ(self.variables() | variables)
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, self.keys[identity].environment()))
            async with connect(settings) as ports:
                stack.close()
                yield ports

    @asynccontextmanager
    async def client(self, service: str, key: AccessKey, token: str | None = None) -> AsyncIterator[Any]:
        """A bare client of AWS, to try what a key may do."""
        async with get_session().create_client(
            service,
            region_name=self.definition.names.region,
            endpoint_url=self.place.aws_url,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            aws_session_token=token,
            config=AioConfig(retries={"total_max_attempts": 1}),  # what is refused is refused at once
        ) as client:
            yield client


@contextmanager
def local_aws(folder: Path) -> Iterator[LocalAws]:
    place = Place(folder, Ports(*_free_ports(len(PORTS))))
    place.make()
    with aws_process(place):
        yield asyncio.run(_provisioned(place))


@contextmanager
def aws_process(place: Place, **variables: str) -> Iterator[None]:
    """The local AWS as a process, from ready until it has stopped and saved its state."""
    with (place.logs / "aws.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.aws_server"],
            env=aws.environment(place) | variables,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_ready(place, process, place.logs / "aws.log")
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            finally:
                process.kill()


async def _provisioned(place: Place) -> LocalAws:
    whole = embedded_definition()
    quick = tuple(
        replace(
            queue,
            visibility_seconds=VISIBILITY_S,
            delay_seconds=UPLOADS_DELAY_S if queue.short_name == "uploads" else 0,
        )
        for queue in whole.queues
    )
    definition = replace(whole, queues=quick, bucket=replace(whole.bucket, policy=_unless_tester(whole)))
    stack = LocalAws(place, definition, await provision(place, definition))
    stack.keys[TESTER] = await _tester(stack)
    return stack


def _unless_tester(definition: Definition) -> Document:
    """The bucket's policy for everybody but the tester, who also overwrites objects, as the port does."""
    policy = deepcopy(definition.bucket.policy)
    tester = f"arn:aws:iam::{definition.names.account}:user/{TESTER}"
    for statement in policy["Statement"]:
        statement["Condition"]["ArnNotEquals"] = {"aws:PrincipalArn": tester}
    return policy


async def _tester(stack: LocalAws) -> AccessKey:
    """A user who may do all that the ports do, as the services may not; never the root key, which skips checks."""
    names = stack.definition.names
    account = f"{names.region}:{names.account}"
    allowed = {
        "dynamodb:*": f"arn:aws:dynamodb:{account}:table/{names.stack}-*",
        "sqs:*": f"arn:aws:sqs:{account}:{names.stack}-*",
        "sns:Publish": names.topic_arn,
        "ses:*": "*",
        "s3:ListBucket*": names.bucket_arn,
        "s3:*": f"{names.bucket_arn}/*",
    }
    statements = [{"Effect": "Allow", "Action": do, "Resource": on} for do, on in allowed.items()]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    async with stack.client("iam", aws.root_key(stack.place)) as iam:
        await iam.create_user(UserName=TESTER)
        await iam.put_user_policy(UserName=TESTER, PolicyName=TESTER, PolicyDocument=policy)
        key = (await iam.create_access_key(UserName=TESTER))["AccessKey"]
    return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])


def _wait_until_ready(place: Place, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The local AWS ended: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(place.aws_url + aws.HEALTH_PATH, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"The local AWS did not start within {START_S} s: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
