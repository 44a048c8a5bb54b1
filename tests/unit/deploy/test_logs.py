"""What a program's log looks like on the terminal and on the disk."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest

from deploy.local import logs
from deploy.local.logs import Console, RotatedLog, readable

NOW = datetime(2026, 11, 23, 17, 14, 5, tzinfo=UTC)


def line(**fields: object) -> str:
    return json.dumps({"time": "2026-11-23T16:00:01.5Z", "level": "info", "service": "gateway", **fields})


def test_a_json_line_becomes_time_service_level_event_and_fields():
    level, text = readable("gateway", line(event="permit refused", level="warning", library="abc", n=3), NOW)
    assert level == "warning"
    assert text == "16:00:01 gateway  warning  permit refused  library=abc  n=3"


def test_ids_of_requests_are_left_to_the_files():
    _, text = readable("gateway", line(event="request", request="r1", device="d1", status=200), NOW)
    assert text == "16:00:01 gateway  info     request  status=200"


def test_plain_lines_keep_their_own_words_and_level():
    assert readable("aws", "2026-11-23 17:25 ERROR [s3] broken", NOW)[0] == "error"
    assert readable("alice", "3 files sent", NOW) == ("info", "17:14:05 alice    info     3 files sent")


def test_what_a_service_prints_besides_json_is_a_warning():
    assert readable("gateway", "ModuleNotFoundError: No module named 'x'", NOW)[0] == "warning"
    assert readable("aws", "Traceback (most recent call last):", NOW)[0] == "warning"
    assert readable("valkey", "7:M 23 Nov 2026 17:24:58.355 # WARNING Memory overcommit", NOW)[0] == "debug"


def test_a_line_that_only_looks_like_json_is_shown_as_it_is():
    assert readable("gateway", "{oops", NOW)[1].endswith("{oops")


def test_quiet_shows_warnings_and_worse():
    out = io.StringIO()
    console = Console(quiet=True, out=out)
    console.log("gateway", line(event="started"))
    console.log("gateway", line(event="slow", level="warning"))
    console.log("gateway", line(event="broken", level="error"))
    console.say("ready")
    assert [text.split()[-1] for text in out.getvalue().splitlines()] == ["slow", "broken", "ready"]


def test_a_full_log_is_rotated_and_old_ones_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "LOG_BYTES_MAX", 100)
    log = RotatedLog(tmp_path / "aws.log")
    for number in range(40):
        log.write(f"line {number:03d} {'.' * 20}".encode())
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["aws.log", "aws.log.1", "aws.log.2", "aws.log.3"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    kept = [text for name in reversed(names) for text in (tmp_path / name).read_text().splitlines()]
    assert [int(text.split()[1]) for text in kept] == list(range(40 - len(kept), 40))


@pytest.mark.parametrize("verbose", [False, True])
def test_a_line_for_each_request_and_pulse_is_shown_only_when_asked_for(verbose: bool):
    out = io.StringIO()
    console = Console(verbose=verbose, out=out)
    console.log("gateway", '{"event": "request", "level": "info", "status": 200}')
    console.log("gateway", '{"event": "request", "level": "warning", "status": 500}')
    console.log("gateway", '{"event": "pulse", "level": "info", "state": "ready"}')
    console.log("metadata", '{"event": "published", "level": "info", "seq": 7}')
    shown = out.getvalue().splitlines()
    assert len(shown) == 2 + 2 * verbose
    assert "published" in shown[-1]
