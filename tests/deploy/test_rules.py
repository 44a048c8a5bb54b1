"""cdk-nag's AwsSolutions and cfn-lint: everything they find is mended, or explained in `deploy/aws/suppressions.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.aws.settings import Variant
from deploy.aws.suppressions import LINT, NAG, Suppression
from tests.deploy.conftest import Finding, Synthesis

SECONDS_MAX = 540


@pytest.fixture(scope="session")
def linted(variants: dict[Variant, Synthesis]) -> list[Finding]:
    """What cfn-lint says of all templates. It looks nothing up: it brings the schemas of each region."""
    found: list[Finding] = []
    for synthesis in variants.values():
        program = Path(sys.executable).with_name("cfn-lint")
        command = (program, "--regions", synthesis.settings.region, "--format", "json", "--")
        paths = sorted(str(path) for path in synthesis.folder.glob("*.template.json"))
        done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        assert not done.stderr, done.stderr
        for one in json.loads(done.stdout):
            stack = synthesis.short_name(one["Filename"])
            found.append(Finding(one["Rule"]["Id"], f"{stack}: {one['Message']}"))
    return found


def unexplained(found: list[Finding], known: tuple[Suppression, ...]) -> set[Finding]:
    return {one for one in found if not any(kept.covers(one.rule, one.where) for kept in known)}


def stale(found: list[Finding], known: tuple[Suppression, ...]) -> list[Suppression]:
    return [kept for kept in known if not any(kept.covers(one.rule, one.where) for one in found)]


def test_cdk_nag_finds_nothing_that_is_not_explained(synthesis: Synthesis):
    assert not unexplained(synthesis.findings, NAG)


def test_no_explanation_outlives_what_it_explained(variants: dict[Variant, Synthesis]):
    assert not stale([one for synthesis in variants.values() for one in synthesis.findings], NAG)


@pytest.mark.timeout(2 * SECONDS_MAX + 120)
def test_cfn_lint_finds_nothing_that_is_not_explained(linted: list[Finding]):
    assert not unexplained(linted, LINT)
    assert not stale(linted, LINT)
