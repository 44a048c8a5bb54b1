"""The settings of a deployment on AWS: what is refused, and that the refusal says which one."""

from pathlib import Path

import pytest

from deploy.aws.settings import Unusable, Variant, checked, read
from deploy.definition import SERVICES

EXAMPLES = Path(__file__).parents[3] / "deploy" / "aws" / "examples"
DIGEST = "sha256:" + "0" * 64
ENOUGH = {
    "variant": "trial",
    "account": "123456789012",
    "region": "eu-central-1",
    "bucket": "files-of-ours",
    "domain": "sync.example.org",
    "mail_domain": "mail.example.org",
    "alarm_address": "somebody@example.org",
    "hosted_zone": "example.org",
    "hosted_zone_id": "Z1",
}


@pytest.mark.parametrize("variant", Variant)
def test_the_examples_are_usable(variant):
    settings = read(EXAMPLES / f"{variant.value}.toml")
    assert settings.variant is variant
    assert set(settings.images) == set(SERVICES)


def test_what_is_not_said_has_a_default():
    settings = checked(ENOUGH)
    assert settings.stack == "syncline"
    assert settings.definition().bucket.cors_origins == ("https://sync.example.org",)
    assert settings.definition().mail_from == "mail@mail.example.org"
    assert all(settings.size(service).graviton for service in SERVICES)


@pytest.mark.parametrize("missing", ENOUGH)
def test_what_must_be_said_is_missed(missing):
    with pytest.raises(Unusable):
        checked({name: value for name, value in ENOUGH.items() if name != missing})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"acount": "1"}, "acount"),
        ({"account": "12345"}, "account"),
        ({"region": "cn-north-1"}, "region"),
        ({"bucket": "Upper"}, "bucket"),
        ({"domain": "https://sync.example.org"}, "domain"),
        ({"domain": "sync.elsewhere.org"}, "does not lie in the hosted zone"),
        ({"domain": "syncexample.org"}, "does not lie in the hosted zone"),
        ({"variant": "huge"}, "variant"),
        ({"stack": "a-name-that-is-too-long"}, "stack"),
        ({"alarm_address": "nobody"}, "alarm_address"),
        ({"certificate_arn": "arn:aws:acm:eu-central-1:123456789012:certificate/1"}, "either certificate_arn"),
        ({"hosted_zone_id": ""}, "certificate_arn"),
        (
            {
                "hosted_zone": "",
                "hosted_zone_id": "",
                "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
            },
            "eu-central-1",
        ),
        ({"images": {"gateway": DIGEST}}, "a digest for each service"),
        ({"images": dict.fromkeys(SERVICES, "latest")}, r"images\.gateway"),
        ({"images": dict.fromkeys((*SERVICES, "gatway"), DIGEST)}, "gatway"),
        ({"sizes": {"gateway": {"instance_type": "c7g.medium", "least": 3, "most": 2}}}, r"sizes\.gateway"),
        ({"sizes": {"gateway": {"instance_type": "c7i.large", "least": 1, "most": 2}}}, "Graviton"),
        ({"service_settings": {"HOME": "/"}}, "SYNCLINE_"),
        ({"service_settings": {"SYNCLINE_RATE_LIMITS": "a\nEND\nrm"}}, "one line"),
        ({"service_settings": {"SYNCLINE_LOG_LEVEL": "warning"}}, "alarms are made of lines at info"),
        ({"monthly_budget_usd": -1}, "monthly_budget_usd"),
    ],
)
def test_a_wrong_one_is_named(change, complaint):
    with pytest.raises(Unusable, match=complaint):
        checked(ENOUGH | change)


def test_instances_may_be_of_other_makers_all_together():
    sizes = {service: {"instance_type": "c7i.large", "least": 1, "most": 2} for service in SERVICES}
    assert not checked(ENOUGH | {"sizes": sizes}).graviton


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(Unusable, match="cannot be read"):
        read(tmp_path / "none.toml")
    path = tmp_path / "bad.toml"
    path.write_text("account = ")
    with pytest.raises(Unusable, match="cannot be read"):
        read(path)
