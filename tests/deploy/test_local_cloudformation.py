"""The application's stacks, created for real by CloudFormation in a local AWS, and read back."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.deploy.conftest import ROOT, Synthesis
from tests.deploy.gaps import IGNORED_PROPERTIES, UNSUPPORTED_TYPES
from tests.deploy.local_cloudformation import STACKS, LocalDeployment, clients_of, create
from tests.deploy.reading import Reader
from tests.deploy.resolving import plain


async def test_what_is_asked_for_is_there_but_for_what_is_known(deployed: LocalDeployment):
    missing: dict[tuple[str, str], list[str]] = {}
    async with Reader(deployed.place) as reader:
        for kind, physical, asked in deployed.resources():
            found = await reader.read(kind, physical, asked)
            for name, value in asked.items():
                if name not in found or plain(found[name]) != plain(value):
                    missing.setdefault((kind, name), []).append(f"{physical}: {found.get(name)} for {value}")
    unknown = {where: what for where, what in missing.items() if where not in IGNORED_PROPERTIES}
    assert not unknown, "\n".join(f"{kind} {name}: {what[0]}" for (kind, name), what in unknown.items())
    assert set(IGNORED_PROPERTIES) == set(missing), "some that are listed work"


def test_people_are_shown_the_same_list():
    known = [(kind, "all", what) for kind, what in UNSUPPORTED_TYPES.items()]
    known += [(kind, f"`{name}`", what) for (kind, name), what in IGNORED_PROPERTIES.items()]
    text = (ROOT / "docs" / "deploy.md").read_text()
    assert "\n".join(f"| `{kind}` | {name} | {what} |" for kind, name, what in known) + "\n\n" in text


@pytest.mark.parametrize("kind", UNSUPPORTED_TYPES)
async def test_a_type_that_is_known_as_unsupported_still_is(
    deployed: LocalDeployment, local_synthesis: Synthesis, kind: str
):
    properties = {"BackupPlanId": "none"}
    asked = [name for stack in STACKS for name in local_synthesis.resources(stack, kind)]
    assert asked, "the stacks ask for none any more"
    async with clients_of(deployed.place, "cloudformation") as (cloudformation,):
        with pytest.raises(ClientError, match="Unrecognized resource types"):
            await create(cloudformation, "probe", {"Resources": {"Probe": {"Type": kind, "Properties": properties}}})
