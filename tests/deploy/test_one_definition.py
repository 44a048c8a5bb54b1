"""The embedded stack, compose and AWS have the same resources: what the one definition says, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.compose import provision as compose
from deploy.definition import define
from deploy.local import provision as embedded
from tests.conformance.local_aws import aws_process
from tests.deploy.conftest import Synthesis
from tests.deploy.gaps import IGNORED_PROPERTIES
from tests.deploy.local_cloudformation import LocalDeployment
from tests.deploy.reading import Reader
from tests.deploy.shapes import Shape, of_definition, of_local, of_templates
from tests.e2e.embedded import free_place

# What of a shape is not there when the local AWS was told by CloudFormation, and why.
LEFT_OUT = {
    "lifecycle": ("AWS::S3::Bucket", "LifecycleConfiguration"),
    "expires_by": ("AWS::DynamoDB::Table", "TimeToLiveSpecification"),
}


def differences(left: Shape, right: Shape) -> dict[str, tuple[Any, Any]]:
    """`resource: part` and its two values, where they differ."""
    return {
        f"{name}: {part}": (left.get(name, {}).get(part), right.get(name, {}).get(part))
        for name in sorted(left.keys() | right.keys())
        for part in sorted(left.get(name, {}).keys() | right.get(name, {}).keys())
        if left.get(name, {}).get(part) != right.get(name, {}).get(part)
    }


def test_the_templates_say_what_the_definition_says(synthesis: Synthesis):
    wanted = of_definition(synthesis.settings.definition(), on_aws=True)
    templates = [synthesis.templates[stack] for stack in ("data", "messaging", "identity")]
    assert differences(of_templates(templates), wanted) == {}


async def test_the_embedded_stack_has_what_the_definition_says(tmp_path: Path):
    place = free_place(tmp_path)
    place.make()
    definition = embedded.embedded_definition()
    with aws_process(place):
        await embedded.provision(place, definition)
        async with Reader(place) as reader:
            found = await of_local(reader, definition.names)
            # Once more, as each start does: nothing is there twice.
            await embedded.provision(place, definition)
            again = await of_local(reader, definition.names)
    assert differences(found, of_definition(definition, on_aws=False)) == {}
    assert differences(again, found) == {}


async def test_cloudformation_makes_what_the_definition_says(deployed: LocalDeployment):
    definition = deployed.definition
    async with Reader(deployed.place) as reader:
        found = await of_local(reader, definition.names)
    wanted = of_definition(definition, on_aws=True)
    assert set(LEFT_OUT.values()) <= set(IGNORED_PROPERTIES)
    for shape in (found, wanted):
        for entry in shape.values():
            for part in LEFT_OUT:
                entry.pop(part, None)
    assert differences(found, wanted) == {}


def test_the_embedded_stack_differs_from_aws_in_what_it_says_alone():
    local = embedded.embedded_definition()
    on_aws = define(local.names, mail_from=local.mail_from, cors_origins=("https://sync.example.org",))
    found = differences(of_definition(local, on_aws=False), of_definition(on_aws, on_aws=False))
    here, there = found.pop(f"bucket {local.bucket.name}: cors")
    assert (here["origins"], there["origins"]) == (["*"], ["https://sync.example.org"])
    assert found == {
        "queue syncline-uploads: delay": ("4", "120"),
        "topic syncline-mail-events: subscribers": ({"syncline-bounces": "true"}, {"syncline-bounces": "false"}),
    }


def test_compose_is_provisioned_as_the_embedded_stack_is():
    assert vars(compose)["create"] is embedded.create
    assert vars(compose)["embedded_definition"] is embedded.embedded_definition


@pytest.mark.parametrize("part", ["delay", "visibility", "dead", "policy"])
def test_a_difference_is_seen(part: str):
    definition = embedded.embedded_definition()
    one, other = of_definition(definition, on_aws=False), of_definition(definition, on_aws=False)
    other["queue syncline-uploads"][part] = "changed"
    assert list(differences(one, other)) == [f"queue syncline-uploads: {part}"]
