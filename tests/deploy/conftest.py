"""Both variants of the infrastructure on AWS, synthesised once for all tests here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.aws.settings import Settings, Variant, read

if TYPE_CHECKING:
    from tests.deploy.local_cloudformation import LocalDeployment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "aws" / "examples"


@dataclass(frozen=True)
class Finding:
    """What a rule finds fault with: `where` is a construct's path, its stack by its short name, or a message."""

    rule: str
    where: str


@dataclass(frozen=True)
class Synthesis:
    """What one variant consists of: `templates` has each stack's, by its short name (`network`, `data`, …).

    `findings` are cdk-nag's, and those of the CDK's own validation.
    """

    settings: Settings
    folder: Path
    templates: dict[str, dict[str, Any]]
    findings: list[Finding]

    def short_name(self, path: str) -> str:
        """Of the stack whose template is at `path`."""
        return Path(path).name.partition(".")[0].removeprefix(f"{self.settings.stack}-")

    def resources(self, stack: str, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type (`AWS::SQS::Queue`) in a stack, by their logical ids."""
        found = self.templates[stack]["Resources"]
        return {name: resource for name, resource in found.items() if resource["Type"] == kind}


def synthesise(settings: Settings, folder: Path) -> Synthesis:
    import aws_cdk as cdk
    from cdk_nag import AwsSolutionsChecks

    from deploy.aws.app import compose

    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    stacks = compose(app, settings)
    # Findings end the synthesis with an error, after everything is written: tests/deploy/test_rules.py judges them.
    with contextlib.suppress(RuntimeError):
        app.synth()
    prefix = f"{settings.stack}-"
    templates = {
        stack.stack_name.removeprefix(prefix): json.loads((folder / f"{stack.stack_name}.template.json").read_text())
        for stack in stacks.all()
    }
    report = json.loads((folder / "validation-report.json").read_text())
    findings = [
        Finding(violation["ruleName"], construct["constructPath"].removeprefix(prefix))
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]
    return Synthesis(settings, folder, templates, findings)


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
