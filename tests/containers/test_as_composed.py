"""What runs: everything healthy, unprivileged, on a root file system that is only read, closed but for three ports."""

from __future__ import annotations

import json
from configparser import ConfigParser

from deploy.definition import SERVICES, SIGNING_KEYS
from tests.containers.composed import REPLICAS, ComposedStack

PUBLISHED = {"balancer", "aws", "mail"}
KEYS = "/etc/syncline/signing-keys.json"
CREDENTIALS = "/etc/syncline/aws-credentials"


def test_everything_is_up_and_healthy(stack: ComposedStack):
    stack.wait_healthy()
    running = {one.service for one in stack.replicas()}
    assert running == {*REPLICAS, *PUBLISHED, "redis"}
    ended = {
        one.service: one.facts["State"]["ExitCode"] for one in stack.replicas(ended=True) if one.service not in running
    }
    assert ended == {"provision": 0}


def test_the_operator_sees_every_replica_and_that_all_is_well(stack: ComposedStack):
    stack.compose("build", "admin")
    told = json.loads(stack.compose("run", "--rm", "-T", "--no-deps", "admin", "--json", "health"))
    assert (told["alarms"], told["unseen"]) == ([], [])
    assert {one["service"]: len(one["instances"]) for one in told["services"]} == REPLICAS


def test_nothing_has_privileges(stack: ComposedStack):
    for one in stack.replicas():
        status = dict(line.split(":", 1) for line in one.run("cat", "/proc/1/status").splitlines())
        assert status["Uid"].split() == ["10001"] * 4, one.name
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, one.name
        assert status["NoNewPrivs"].strip() == "1", one.name


def test_no_program_can_write_to_its_root_file_system(stack: ComposedStack):
    for one in stack.replicas():
        assert one.facts["HostConfig"]["ReadonlyRootfs"], one.name
        roots = [line.split() for line in one.run("cat", "/proc/mounts").splitlines() if line.split()[1] == "/"]
        assert all("ro" in root[3].split(",") for root in roots), one.name
        one.run("sh", "-c", "echo from a test > /tmp/written && rm /tmp/written")


def test_three_ports_are_published_and_only_on_this_machine(stack: ComposedStack):
    published = {
        one.service: [(address["HostIp"], int(address["HostPort"])) for address in addresses]
        for one in stack.replicas()
        for addresses in one.facts["NetworkSettings"]["Ports"].values()
        if addresses
    }
    assert published == {service: [("127.0.0.1", port)] for service, port in stack.ports.items()}


def test_images_say_what_they_are_and_how_to_see_that_they_are_well(stack: ComposedStack):
    for one in stack.replicas(*SERVICES):
        config = one.container.image.attrs["Config"]
        labels = config["Labels"]
        assert labels["org.opencontainers.image.title"] == f"Syncline {one.service}"
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert labels["org.opencontainers.image.version"] == stack.tag
        assert labels["org.opencontainers.image.revision"]
        assert config["Healthcheck"]["Test"]
        assert config["User"] == "10001:10001"


def test_a_service_has_its_own_keys_and_shows_them_nowhere(stack: ComposedStack):
    ids = set()
    for service in SERVICES:
        one = stack.one(service)
        signing = json.loads(one.run("cat", KEYS))
        assert set(signing) == set(SIGNING_KEYS[service])
        secrets = [key["secret"] for keys in signing.values() for key in keys]
        profile = ConfigParser()
        profile.read_string(one.run("cat", CREDENTIALS))
        [section] = profile.sections()
        ids.add(profile[section]["aws_access_key_id"])
        secrets.append(profile[section]["aws_secret_access_key"])
        shown = json.dumps([one.facts, one.container.image.attrs, one.container.image.history()])
        said = one.container.logs().decode()
        assert [secret for secret in secrets if secret in shown or secret in said] == []
        assert one.run("stat", "-c", "%a", CREDENTIALS).strip() in ("400", "600")
    assert len(ids) == len(SERVICES)
