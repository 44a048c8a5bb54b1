"""docker-compose.yml says the same as the one definition, and lets nobody in who should not be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.provision import hand_over
from deploy.definition import OPERATOR, SERVICES, SIGNING_KEYS
from deploy.local.aws import AccessKey
from deploy.local.place import Place, Ports
from deploy.local.programs import service_environment
from deploy.local.provision import _CLIENTS, embedded_definition
from syncline.aws.connect import _named_clients, _service
from syncline.aws.settings import Settings
from syncline.serving.life import DRAIN_S_MAX, STOP_S_MAX

TREE = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((TREE / "docker-compose.yml").read_text(encoding="utf-8"))
PROGRAMS: dict[str, dict[str, Any]] = COMPOSE["services"]
PUBLIC = {"balancer", "aws", "mail"}
# What says where things are: in containers they are elsewhere, and credentials are in a file.
PLACES = {
    "AWS_ENDPOINT_URL",
    "SYNCLINE_LISTEN",
    "SYNCLINE_PUBLIC_URL",
    "SYNCLINE_REDIS_URL",
    "SYNCLINE_S3_PUBLIC_ENDPOINT",
    "SYNCLINE_SECRETS",
}
NO_KEY = AccessKey("", "")


def by_default(value: str) -> str:
    """What `${NAME:-default}` is when nobody sets NAME."""
    return re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", value)


@pytest.mark.parametrize("service", [*SERVICES, OPERATOR])
def test_an_identity_is_told_what_it_is_told_in_the_embedded_stack(service):
    place = Place(Path("/nowhere"), Ports.starting_at(8080))
    named = SERVICES[0] if service == OPERATOR else service  # the operator's has no port of its own there
    embedded = service_environment(place, embedded_definition(), named, NO_KEY)
    wanted = {
        name: value
        for name, value in embedded.items()
        if name.startswith(("AWS_", "SYNCLINE_")) and name not in PLACES and name not in NO_KEY.environment()
    }
    told = {name: by_default(value) for name, value in PROGRAMS[service]["environment"].items()}
    assert {name: told.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("service", [*SERVICES, OPERATOR])
def test_an_identity_reads_its_own_keys_and_no_others(service):
    assert PROGRAMS[service]["volumes"] == [f"{service}-keys:/etc/syncline:ro"]


def test_every_identity_gets_its_keys_from_provisioning():
    handed = {volume for volume in PROGRAMS["provision"]["volumes"] if volume.partition(":")[2].startswith("/keys/")}
    assert handed == {
        f"{identity.service}-keys:/keys/{identity.service}" for identity in embedded_definition().identities
    }


def test_only_what_people_use_is_published_and_only_on_this_machine():
    assert {name for name, program in PROGRAMS.items() if "ports" in program} == PUBLIC
    for name in PUBLIC:
        assert all(port.startswith("127.0.0.1:") for port in PROGRAMS[name]["ports"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_can_do_no_more_than_it_must(name):
    program = PROGRAMS[name]
    assert program["read_only"] is True
    assert program["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in program["security_opt"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & program.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_take_the_time_that_draining_takes(service):
    assert int(PROGRAMS[service]["stop_grace_period"].removesuffix("s")) >= DRAIN_S_MAX + STOP_S_MAX


def test_the_images_know_every_service_of_aws_that_is_spoken_with():
    dockerfile = (TREE / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    known = re.search(r'^ARG AWS_SERVICES="(.*)"$', dockerfile, re.MULTILINE)
    assert known
    settings = Settings({name: by_default(value) for name, value in PROGRAMS["gateway"]["environment"].items()})
    spoken = {_service(name) for name in _named_clients(settings)} | set(_CLIENTS)
    assert spoken <= set(known[1].split())


def test_every_volume_is_used():
    used = {volume.partition(":")[0] for program in PROGRAMS.values() for volume in program.get("volumes", ())}
    assert used == set(COMPOSE["volumes"])


def test_what_an_identity_is_handed_is_its_own_alone(tmp_path):
    signing = {kind: [{"id": "k1", "secret": kind}] for kind in SIGNING_KEYS["gateway"]}
    hand_over(tmp_path, AccessKey("AKIAEXAMPLE", "not-told"), signing, SIGNING_KEYS["notifier"])
    assert json.loads((tmp_path / "signing-keys.json").read_text()) == {"link_keys": signing["link_keys"]}
    assert "AKIAEXAMPLE" in (tmp_path / "aws-credentials").read_text()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
