"""The command as a whole: its contents, its help, docs/cli.md, its errors, how fast it starts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from syncline.client.cli.app import CONTENTS, load, root, run
from syncline.client.cli.calling import Teaching, server_address
from syncline.client.cli.exits import MEANING, Exit
from syncline.client.cli.manual import manual
from syncline.client.cli.output import columns, one_line, size_text, time_text
from tests.unit.client.cli.people import Person, say

ROOT = Path(__file__).parents[4]
HEAVY = {"aiohttp", "msgspec", "platformdirs", "rich", "sqlite3", "asyncio"}


def commands() -> Iterator[tuple[str, click.Command]]:
    for section in CONTENTS.values():
        for name, entry in section.items():
            command = load(name, entry)
            yield name, command
            if isinstance(command, click.Group):
                yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())


def test_the_contents_say_what_the_commands_say() -> None:
    for section in CONTENTS.values():
        for name, entry in section.items():
            command = load(name, entry)
            assert command.name == name
            assert (command.help or "").splitlines()[0] == entry.summary


def test_every_command_has_examples_that_it_understands() -> None:
    for name, command in commands():
        if isinstance(command, click.Group):
            continue
        assert isinstance(command, Teaching)
        assert command.examples
        for example in command.examples:
            words = example.partition(" | ")[0].split()
            assert words[: 1 + name.count(" ") + 1] == ["syncline", *name.split()], example


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_help_teaches_with_an_example(name: str, tmp_path: Path) -> None:
    said = say({"SYNCLINE_HOME": str(tmp_path)}, *name.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert "Usage: syncline " + name in said.out
    assert "--json" in said.out
    if not isinstance(dict(commands())[name], click.Group):
        assert re.search(r"^Examples?:\n  syncline " + name, said.out, re.MULTILINE)


def test_the_help_lists_commands_codes_and_variables() -> None:
    said = say({}, "--help").out
    assert all(f"  {name} " in said for section in CONTENTS.values() for name in section)
    assert all(re.search(rf"^  {int(code)} ", said, re.MULTILINE) for code in MEANING)
    assert "SYNCLINE_HOME" in said
    assert say({}, "-h").out == said


def test_the_manual_is_what_the_command_says() -> None:
    """If this fails: python -m syncline.client.cli.manual > docs/cli.md"""
    assert (ROOT / "docs" / "cli.md").read_text() == manual()


def test_help_is_loaded_fast() -> None:
    """What would make it slow is not loaded at all; no clock is looked at."""
    program = (
        "import sys\nfrom syncline.client.cli import main\nsys.argv = ['syncline', '--help']\ncode = main()\n"
        "print(*sorted(m for m in sys.modules if '.' not in m), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Usage: syncline" in done.stdout
    assert HEAVY.isdisjoint(done.stderr.split()), HEAVY & set(done.stderr.split())


def test_what_is_not_understood() -> None:
    for words in (["nothing"], ["ls", "--nothing"], ["put"], ["--nothing"]):
        said = say({}, *words)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("syncline: ")
        assert said.err.count("\n") == 1
        assert "--help" in said.err
        problem = say({}, *words, "--json").problem
        assert (problem["kind"], problem["exit_code"]) == ("usage", 2)


def test_words_after_the_dashes_are_no_options(tmp_path: Path) -> None:
    said = say({"SYNCLINE_HOME": str(tmp_path)}, "put", "--", "--json", "Shared:")
    assert said.code == 2
    assert said.err.startswith("syncline: ")


def test_without_words_the_help_is_shown() -> None:
    said = say({})
    assert said.code == 2
    assert "Usage: syncline" in said.out + said.err


def test_nobody_signed_in(tmp_path: Path) -> None:
    nobody = Person("nobody", "", tmp_path)
    for words in (["whoami"], ["ls"], ["sync"], ["status"], ["library", "list"], ["follows"]):
        told = nobody.is_refused("not-signed-in", *words, code=3)
        assert "syncline login" in told


def test_json_before_and_after_the_command(tmp_path: Path) -> None:
    environment = {"SYNCLINE_HOME": str(tmp_path)}
    assert say(environment, "--json", "whoami").problem == say(environment, "whoami", "--json").problem


def test_the_traceback_is_for_those_who_ask(tmp_path: Path) -> None:
    environment = {"SYNCLINE_HOME": str(tmp_path), "SYNCLINE_DEBUG": "1"}
    assert "Traceback" in say(environment, "whoami").err
    assert "Traceback" not in say(environment | {"SYNCLINE_DEBUG": "0"}, "whoami").err


def test_the_unforeseen_is_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "session.json").mkdir()
    said = say({"SYNCLINE_HOME": str(tmp_path)}, "whoami")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "session.json" in said.err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    program = (
        "from syncline.client.cli import main; import sys; sys.argv = ['syncline', *sys.argv[1:]]; sys.exit(main())"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program, "status", "--help"],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.PIPE_CLOSED, b"")


def test_the_version() -> None:
    assert re.fullmatch(r"syncline \d+\.\d+\.\d+\n", say({}, "--version").out)


def test_running_without_arguments_takes_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["syncline", "--version"])
    assert run() == 0
    assert root.name == "syncline"


# -- how answers look


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_188, "9.9 KiB"),
        (10_189, "10 KiB"),
        (1024**2 * 3 // 2, "1.5 MiB"),
        (1024**4 * 80, "80 TiB"),
        (1024**6, "1024 PiB"),
    ],
)
def test_sizes(size_bytes: int, shown: str) -> None:
    assert size_text(size_bytes) == shown


def test_times_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert time_text(1_700_000_000) == "2023-11-15 07:13"
        assert time_text(1e30) == "?"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_columns_know_wide_characters() -> None:
    assert columns([("a", "1"), ("日本", "22")], right=frozenset({1})) == "a      1\n日本  22"
    assert columns([], header=("a", "b")) == ""


def test_messages_are_one_safe_line() -> None:
    assert one_line("first\n second\x1b[31m\n\n") == "first second\\x1b[31m"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("files.example.org/", "https://files.example.org"),
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://files.example.org", "http://files.example.org"),
        ("", ""),
    ],
)
def test_addresses_of_servers(written: str, address: str) -> None:
    assert server_address(written) == address
