import base64
import json
import re
from pathlib import Path

import pytest

from syncline.aws import Settings
from syncline.domain.errors import Broken

LEAST = {"AWS_DEFAULT_REGION": "eu-north-1", "SYNCLINE_STACK": "syncline"}


@pytest.mark.parametrize("name", LEAST)
def test_what_every_service_needs_must_be_there(name):
    for environ in ({**LEAST, name: ""}, {k: v for k, v in LEAST.items() if k != name}):
        with pytest.raises(Broken, match=name):
            Settings.from_environ(environ)


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("bucket", "SYNCLINE_BUCKET"),
        ("changes_topic_arn", "SYNCLINE_CHANGES_TOPIC_ARN"),
        ("client_role_arn", "SYNCLINE_CLIENT_ROLE_ARN"),
        ("redis_url", "SYNCLINE_REDIS_URL"),
        ("listen", "SYNCLINE_LISTEN"),
        ("public_url", "SYNCLINE_PUBLIC_URL"),
        ("mail_from", "SYNCLINE_MAIL_FROM"),
    ],
)
def test_the_rest_is_missed_when_it_is_used(attribute, name):
    with pytest.raises(Broken, match=name):
        getattr(Settings.from_environ(LEAST), attribute)
    value = "127.0.0.1:80" if attribute == "listen" else "value"
    assert getattr(Settings.from_environ(LEAST | {name: value}), attribute)


def test_values_are_read():
    settings = Settings.from_environ(
        LEAST
        | {
            "SYNCLINE_LISTEN": "127.0.0.1:8081",
            "SYNCLINE_PUBLIC_URL": "https://files.example.org/",
            "SYNCLINE_DIGEST_WINDOW_SECONDS": "5",
            "SYNCLINE_LOG_LEVEL": "DEBUG",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        }
    )
    assert settings.listen == ("127.0.0.1", 8081)
    assert settings.public_url == "https://files.example.org"
    assert settings.digest_window_s == 5
    assert settings.log_level == "debug"
    assert settings.endpoint_url == settings.s3_public_endpoint == "http://127.0.0.1:4566"


def test_defaults():
    settings = Settings.from_environ(LEAST)
    assert settings.endpoint_url is None
    assert settings.s3_public_endpoint is None
    assert settings.digest_window_s == 120
    assert settings.log_level == "info"
    assert settings.sweep_interval_s == 900


@pytest.mark.parametrize("interval", ["0", "-1", "soon", "1.5"])
def test_a_sweep_without_an_interval_is_refused(interval):
    with pytest.raises(Broken, match="SYNCLINE_SWEEP_INTERVAL_SECONDS"):
        _ = Settings.from_environ(LEAST | {"SYNCLINE_SWEEP_INTERVAL_SECONDS": interval}).sweep_interval_s


@pytest.mark.parametrize("listen", ["8080", ":8080", "host:", "host:x", "host:70000"])
def test_a_bad_address_is_named(listen):
    with pytest.raises(Broken, match="SYNCLINE_LISTEN"):
        _ = Settings.from_environ(LEAST | {"SYNCLINE_LISTEN": listen}).listen


def secrets_from(path, content: str):
    path.write_text(content)
    return Settings.from_environ(LEAST | {"SYNCLINE_SECRETS": str(path)}).secrets()


def test_signing_keys_come_from_their_file(tmp_path):
    keys = [{"id": f"k{n}", "secret": base64.b64encode(bytes([n]) * 32).decode()} for n in (2, 1)]
    secrets = secrets_from(tmp_path / "secrets.json", json.dumps({"permit_keys": keys, "other": 1}))
    assert [(key.id, key.secret) for key in secrets.permit_keys] == [("k2", b"\2" * 32), ("k1", b"\1" * 32)]
    assert secrets.token_keys == ()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"permit_keys": [{"id": "k1"}]}',
        '{"permit_keys": [{"id": "k1", "secret": "no base64!"}]}',
        '{"permit_keys": [{"id": "k1", "secret": "c2hvcnQ="}]}',
    ],
)
def test_unusable_signing_keys_are_not_shown(tmp_path, content):
    with pytest.raises(Broken, match="SYNCLINE_SECRETS") as error:
        secrets_from(tmp_path / "secrets.json", content)
    assert "c2hvcnQ" not in str(error.value)
    assert "short" not in str(error.value)


def test_a_missing_file_of_keys_is_named(tmp_path):
    with pytest.raises(Broken, match="SYNCLINE_SECRETS"):
        Settings.from_environ(LEAST | {"SYNCLINE_SECRETS": str(tmp_path / "none")}).secrets()


TOPIC = "arn:aws:sns:eu-north-1:123456789012:syncline-mail-events"


def test_a_topic_of_mail_events_is_one_or_none():
    assert Settings.from_environ(LEAST).mail_topic_arn == ""
    assert Settings.from_environ(LEAST | {"SYNCLINE_MAIL_TOPIC_ARN": TOPIC}).mail_topic_arn == TOPIC
    for arn in ("syncline-mail-events", TOPIC.replace(":sns:", ":sqs:"), TOPIC + ":x", "arn:aws:sns:::"):
        with pytest.raises(Broken, match="SYNCLINE_MAIL_TOPIC_ARN"):
            _ = Settings.from_environ(LEAST | {"SYNCLINE_MAIL_TOPIC_ARN": arn}).mail_topic_arn


def test_unsigned_mail_events_count_on_a_local_aws_only():
    raw = {"SYNCLINE_MAIL_EVENTS_RAW": "yes"}
    assert not Settings.from_environ(LEAST | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}).mail_events_raw
    assert Settings.from_environ(LEAST | raw | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}).mail_events_raw
    with pytest.raises(Broken, match="SYNCLINE_MAIL_EVENTS_RAW"):
        _ = Settings.from_environ(LEAST | raw).mail_events_raw


@pytest.mark.parametrize(
    ("url", "password", "whole"),
    [
        ("rediss://cache.example:6379/0", "a/b@c", "rediss://:a%2Fb%40c@cache.example:6379/0"),
        ("rediss://cache.example:6379/0", "", "rediss://cache.example:6379/0"),
        ("redis://:own@cache.example:6379/0", "other", "redis://:own@cache.example:6379/0"),
    ],
)
def test_redis_gets_its_password_from_the_file_of_secrets(tmp_path, url, password, whole):
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"redis_password": password}))
    settings = Settings.from_environ(LEAST | {"SYNCLINE_REDIS_URL": url, "SYNCLINE_SECRETS": str(path)})
    assert settings.redis_url == whole


def test_every_variable_is_in_the_documentation():
    root = Path(__file__).parents[3]
    read = set(re.findall(r"SYNCLINE_[A-Z0-9_]+", (root / "syncline" / "aws" / "settings.py").read_text()))
    told = {
        name for page in (root / "docs").glob("*.md") for name in re.findall(r"SYNCLINE_[A-Z0-9_]+", page.read_text())
    }
    assert read - {"SYNCLINE_"} <= told
