"""The application's part of the infrastructure, created by CloudFormation in a local AWS.

The templates are those of production, synthesised by the same code, for the local account; as their policies want it,
the local AWS is reached by HTTPS alone. What MiniStack's CloudFormation does otherwise than AWS's is in
`tests.deploy.gaps`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import trustme
from aiobotocore.session import get_session
from botocore.exceptions import WaiterError

from deploy.aws.settings import Settings, read
from deploy.definition import Definition
from deploy.local import aws
from deploy.local.aws import AccessKey
from deploy.local.aws_server import CERTIFICATE
from deploy.local.place import HOST, Place
from tests.conformance.local_aws import aws_process
from tests.deploy.conftest import EXAMPLES, Synthesis
from tests.deploy.resolving import resolved
from tests.e2e.embedded import free_place

# What Syncline itself uses, in the order in which it is deployed. The others are machines and what stands around them.
STACKS = ("messaging", "data", "mail", "identity", "backup")
CREATED_SECONDS_MAX = 60
# What `cdk bootstrap` leaves in an account.
BOOTSTRAPPED = ("/cdk-bootstrap/hnb659fds/version", "30")

Client = Any
Template = dict[str, Any]


class SecurePlace(Place):
    """A place whose local AWS is reached by HTTPS."""

    @property
    def aws_url(self) -> str:
        return f"https://{HOST}:{self.ports.aws}"


@dataclass(frozen=True)
class LocalDeployment:
    """A local AWS, and the templates it was given.

    `physical` has each resource's physical id by its stack and logical id.
    """

    place: Place
    synthesis: Synthesis
    templates: dict[str, Template]
    physical: dict[str, dict[str, str]]

    @property
    def definition(self) -> Definition:
        return self.synthesis.settings.definition()

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each resource's type, physical id, and properties without references."""
        for stack, template in self.templates.items():
            physical = self.physical[stack]
            kinds = {logical: resource["Type"] for logical, resource in template["Resources"].items()}
            for logical, resource in template["Resources"].items():
                yield kinds[logical], physical[logical], resolved(resource.get("Properties", {}), physical, kinds)


def local_settings() -> Settings:
    """Production, in the account and region that the local AWS has."""
    return msgspec.structs.replace(
        read(EXAMPLES / "production.toml"), account=aws.ACCOUNT, region=aws.REGION, bucket="syncline-files"
    )


@contextmanager
def local_deployment(folder: Path, synthesis: Synthesis, unsupported: frozenset[str]) -> Iterator[LocalDeployment]:
    """A local AWS with the application's stacks, without resources of `unsupported` types."""
    free = free_place(folder)
    place = SecurePlace(free.data, free.ports)
    place.make()
    templates = {
        stack: without(synthesis.templates[stack], unsupported)
        for stack in STACKS
        if "Resources" in synthesis.templates[stack]
    }
    certificate = _certificate(folder)
    trusted = str(certificate)
    with (
        mock.patch.dict(os.environ, SSL_CERT_FILE=trusted, AWS_CA_BUNDLE=trusted),
        aws_process(place, **{CERTIFICATE: str(certificate)}),
    ):
        physical = asyncio.run(_deploy(place, templates))
        yield LocalDeployment(place, synthesis, templates, physical)


def without(template: Template, kinds: frozenset[str]) -> Template:
    """The template without resources of these types, and without what it tells a person (its outputs)."""
    resources = {name: resource for name, resource in template["Resources"].items() if resource["Type"] not in kinds}
    return {name: part for name, part in template.items() if name != "Outputs"} | {"Resources": resources}


@asynccontextmanager
async def clients_of(place: Place, *apis: str) -> AsyncIterator[tuple[Client, ...]]:
    """Clients of the local AWS under its root key."""
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(client_of(place, api, aws.root_key(place))) for api in apis])


def client_of(place: Place, api: str, key: AccessKey, token: str | None = None) -> Any:
    """A context manager that opens a client of the local AWS."""
    return get_session().create_client(
        api,
        region_name=aws.REGION,
        endpoint_url=place.aws_url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        aws_session_token=token,
    )


async def create(cloudformation: Client, stack: str, template: Template) -> list[str]:
    """Create a stack and wait for it; the reasons of what failed."""
    body = json.dumps(template, separators=(",", ":"))
    await cloudformation.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    try:
        created = cloudformation.get_waiter("stack_create_complete")
        await created.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": CREATED_SECONDS_MAX})
    except WaiterError as error:
        events = (await cloudformation.describe_stack_events(StackName=stack))["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        ] or [str(error)]
    return []


async def _deploy(place: Place, templates: dict[str, Template]) -> dict[str, dict[str, str]]:
    physical = {}
    async with clients_of(place, "cloudformation", "ssm") as (cloudformation, ssm):
        await ssm.put_parameter(Name=BOOTSTRAPPED[0], Value=BOOTSTRAPPED[1], Type="String")
        for stack, template in templates.items():
            failed = await create(cloudformation, stack, template)
            assert not failed, f"{stack}: {failed}"
            found = await cloudformation.describe_stack_resources(StackName=stack)
            physical[stack] = {
                resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found["StackResources"]
            }
    return physical


def _certificate(folder: Path) -> Path:
    """A certificate for this host with its key and its issuer, in one file: the server shows it, others trust it."""
    authority = trustme.CA()
    path = folder / "certificate.pem"
    issued = authority.issue_cert(HOST)
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    return path
