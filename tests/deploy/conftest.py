"""Both variants of the infrastructure on AWS, synthesised once for all tests here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.aws.settings import Settings, Variant, read

if TYPE_CHECKING:
    from tests.deploy.local_cloudformation import LocalDeployment

EXAMPLES = Path(__file__).parents[2] / "deploy" / "aws" / "examples"


@dataclass(frozen=True)
class Synthesis:
    """What one variant consists of: `templates` has each stack's, by its short name (`network`, `data`, …)."""

    settings: Settings
    folder: Path
    templates: dict[str, dict[str, Any]]

    def resources(self, stack: str, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type (`AWS::SQS::Queue`) in a stack, by their logical ids."""
        found = self.templates[stack]["Resources"]
        return {name: resource for name, resource in found.items() if resource["Type"] == kind}


def synthesise(settings: Settings, folder: Path) -> Synthesis:
    import aws_cdk as cdk

    from deploy.aws.app import compose

    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    stacks = compose(app, settings)
    app.synth()
    short = {stack.stack_name: stack.stack_name.removeprefix(f"{settings.stack}-") for stack in stacks.all()}
    templates = {short[name]: json.loads((folder / f"{name}.template.json").read_text()) for name in short}
    return Synthesis(settings, folder, templates)


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> dict[Variant, Synthesis]:
    pytest.importorskip("aws_cdk", reason="the CDK is not installed: make deploy-check")
    return {
        variant: synthesise(read(EXAMPLES / f"{variant.value}.toml"), tmp_path_factory.mktemp("cdk") / variant.value)
        for variant in Variant
    }


@pytest.fixture(params=list(Variant), ids=lambda variant: variant.value)
def synthesis(request: pytest.FixtureRequest, variants: dict[Variant, Synthesis]) -> Synthesis:
    """Each variant in turn."""
    return variants[request.param]


@pytest.fixture
def trial(variants: dict[Variant, Synthesis]) -> Synthesis:
    return variants[Variant.TRIAL]


@pytest.fixture
def production(variants: dict[Variant, Synthesis]) -> Synthesis:
    return variants[Variant.PRODUCTION]


@pytest.fixture(scope="session")
def local_synthesis(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Production, for the account that the local AWS has."""
    pytest.importorskip("aws_cdk", reason="the CDK is not installed: make deploy-check")
    from tests.deploy.local_cloudformation import local_settings

    return synthesise(local_settings(), tmp_path_factory.mktemp("cdk") / "local")


@pytest.fixture(scope="session")
def deployed(local_synthesis: Synthesis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDeployment]:
    """The application's stacks in a local AWS."""
    from tests.deploy.gaps import UNSUPPORTED_TYPES
    from tests.deploy.local_cloudformation import local_deployment

    with local_deployment(tmp_path_factory.mktemp("local"), local_synthesis, frozenset(UNSUPPORTED_TYPES)) as there:
        yield there
