"""What the distribution promises: a light client, pinned dependencies, one wheel with one package."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("aiobotocore", "botocore", "redis", "services", "deploy", "syncline.aws", "syncline.memory")


def requirements() -> list[str]:
    """The requirements, each with its hashes on one line."""
    text = (ROOT / "requirements.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]


def test_requirements_name_no_addresses() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--?(index-url|extra-index-url|find-links|trusted-host|i|f)\b", text, re.MULTILINE)


def test_every_requirement_is_pinned_by_hash() -> None:
    lines = requirements()
    assert len(lines) > 20
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_every_dependency_is_among_the_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    names = {re.split(r"[^\w.-]", dependency)[0].lower() for dependency in wanted}
    pinned = {line.split("==")[0].lower() for line in requirements()}
    assert names - pinned == set()


@pytest.mark.parametrize("module", ["syncline.client", "syncline.client.cli"])
def test_the_client_loads_nothing_of_the_services(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("syncline-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "syncline/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"syncline"}
