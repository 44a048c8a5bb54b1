"""register, login, logout, whoami."""

import json
import stat
from pathlib import Path

import pytest

from tests.unit.client.cli.people import PASSWORD, Person, say
from tests.unit.client.cli.service import Service


def test_who_registers_is_signed_in(service: Service, tmp_path: Path) -> None:
    eve = Person("eve", service.url, tmp_path)
    said = eve.does("register", eve.email, "--name", "Eve", "--device-name", "desk")
    assert said == f"Eve <eve@example.org> is signed in at {service.url} on desk.\n"
    me = eve.asks("whoami")
    assert me["account"]["name"] == "Eve"
    assert me["device_name"] == "desk"
    assert me["server"] == service.url
    assert me["home"] == str(eve.home)
    shown = eve.does("whoami")
    assert "Eve <eve@example.org>" in shown
    assert service.url in shown


def test_secrets_are_for_their_owner_alone(alice: Person) -> None:
    assert stat.S_IMODE(alice.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((alice.home / "session.json").stat().st_mode) == 0o600


def test_answers_carry_no_tokens(alice: Person) -> None:
    said = alice.tries("login", alice.email, "--json").out
    session = json.loads((alice.home / "session.json").read_text())
    assert session["refresh_token"] not in said
    assert session["access_token"] not in said
    assert PASSWORD not in said


def test_logging_out_forgets_the_session(alice: Person) -> None:
    assert "signed out" in alice.does("logout")
    assert not (alice.home / "session.json").exists()
    alice.is_refused("not-signed-in", "whoami", code=3)
    alice.is_refused("not-signed-in", "logout", code=3)


def test_the_server_is_remembered_after_logging_out(alice: Person, service: Service) -> None:
    alice.does("logout")
    environment = alice.environment | {"SYNCLINE_SERVER": ""}
    assert say(environment, "login", alice.email).code == 0
    assert service.url in say(environment, "whoami").out


def test_logging_in_again_replaces_the_device(alice: Person) -> None:
    before = json.loads((alice.home / "session.json").read_text())
    device = alice.asks("login", alice.email, "--device-name", "new")["device"]
    assert device != before["device"]
    assert alice.asks("whoami")["device"] == device
    (alice.home / "session.json").write_text(json.dumps(before))
    alice.is_refused("device-revoked", "whoami", code=3)


def test_a_wrong_password_is_refused_and_leaves_the_session(alice: Person) -> None:
    said = say(alice.environment | {"SYNCLINE_PASSWORD": "something else"}, "login", alice.email, "--json")
    assert said.code == 1
    assert said.problem["kind"] == "sign-in-failed"
    assert alice.tries("whoami").code == 0


def test_another_account_needs_another_home(alice: Person, bob: Person) -> None:
    told = alice.is_refused("signed-in-already", "login", bob.email)
    assert "syncline logout" in told
    assert "SYNCLINE_HOME" in told


def test_an_address_is_registered_once(alice: Person, service: Service, tmp_path: Path) -> None:
    other = Person("alice", service.url, tmp_path / "other")
    told = other.is_refused("email-taken", "register", alice.email, "--name", "Alice")
    assert "syncline login" in told


def test_the_password_is_asked_for(alice: Person) -> None:
    environment = alice.environment | {"SYNCLINE_PASSWORD": ""}
    said = say(environment, "login", alice.email, typed=f"{PASSWORD}\n")
    assert said.code == 0
    assert "Password" in said.err
    assert PASSWORD not in said.out + said.err


def test_without_a_terminal_the_password_must_be_set(alice: Person) -> None:
    said = say(alice.environment | {"SYNCLINE_PASSWORD": ""}, "login", alice.email, typed="")
    assert said.code == 2
    assert "SYNCLINE_PASSWORD" in said.err


def test_a_short_password_is_no_password(service: Service, tmp_path: Path) -> None:
    eve = Person("eve", service.url, tmp_path)
    said = say(eve.environment | {"SYNCLINE_PASSWORD": "short"}, "register", eve.email, "--name", "Eve")
    assert said.code == 2
    assert "8 characters" in said.err


def test_a_server_must_be_named_once(tmp_path: Path) -> None:
    eve = Person("eve", "", tmp_path)
    said = eve.tries("login", eve.email)
    assert said.code == 2
    assert "--server" in said.err


def test_the_session_is_good_for_its_own_server_only(alice: Person) -> None:
    said = alice.tries("--server", "https://elsewhere.example.org", "whoami")
    assert said.code == 3
    assert "https://elsewhere.example.org" in said.err


def test_a_server_that_is_not_there(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncline.client.http.PAUSE_FIRST_S", 0.0)
    session = json.loads((alice.home / "session.json").read_text())
    (alice.home / "session.json").write_text(json.dumps(session | {"server": "http://127.0.0.1:9"}))
    environment = alice.environment | {"SYNCLINE_SERVER": ""}
    said = say(environment, "whoami")
    assert said.code == 4
    assert "http://127.0.0.1:9" in said.err
    assert "Try again later." in said.err
    assert say(environment, "whoami", "--json").problem["kind"] == "try-later"


def test_quiet_says_nothing_when_all_went_well(alice: Person) -> None:
    assert alice.does("--quiet", "login", alice.email) == ""
    assert alice.does("login", alice.email, "-q") == ""
