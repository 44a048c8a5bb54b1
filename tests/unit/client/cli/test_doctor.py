"""doctor, on a terminal."""

from pathlib import Path

from tests.unit.client.cli.people import Person


def test_all_is_well_and_then_it_is_not(alice: Person, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    alice.does("link", "Shared", str(folder))
    (folder / "plan.txt").write_text("one")
    alice.does("sync")
    said = alice.does("doctor")
    assert said.endswith("0 problems, 0 warnings.\n")
    document = alice.asks("doctor")
    assert document["well"] is True
    checks = {one["check"] for one in document["findings"]}
    assert {"home", "index", "sign-in", "server", "token", "library", "s3", "folder", "room", "keeper"} <= checks
    folder.rename(tmp_path / "elsewhere")
    told = alice.tries("doctor", "--json")
    assert told.code == 1
    assert [one["check"] for one in told.json["findings"] if one["level"] == "problem"] == ["folder"]
    alice.does("logout")
    told = alice.tries("doctor")
    assert (told.code, told.err) == (1, "")
    assert "→ syncline login EMAIL" in told.out


def test_before_anything_was_done(alice: Person, tmp_path: Path) -> None:
    alice.environment["SYNCLINE_HOME"] = str(tmp_path / "fresh")
    told = alice.tries("doctor", "--json")
    assert told.code == 1
    assert [(one["check"], one["level"]) for one in told.json["findings"]] == [
        ("home", "ok"), ("daemon", "ok"), ("sign-in", "problem"),
    ]  # fmt: skip
