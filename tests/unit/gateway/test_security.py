"""What must not work: forged and stolen tokens, oversized and damaged bodies, and any request that ends in a 500."""

import asyncio
import base64
import gzip
import itertools
import json
import logging
import random
import re
import zlib
from typing import Any

import jwt
import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings, strategies as st

from services.gateway.table import COMMIT_BODY_BYTES, ROUTES
from syncline.domain.ids import id_from_bytes
from syncline.messages import api as m
from syncline.serving.auth import ACCESS_TOKEN_S, Caller, Tokens
from syncline.serving.logging import configure_logging
from syncline.serving.routes import SMALL_BODY_BYTES
from syncline.store.directory import Directory
from tests.unit.gateway.world import PASSWORD, TOKEN_KEYS, TestKey, World, checksum, running_world

ID = "a" * 20


async def kind_for(world: World, token: str, scheme: str = "Bearer ") -> tuple[int, str]:
    status, body, response = await world.ask("GET", "/v1/me", headers={"Authorization": scheme + token})
    if status == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
    return status, body["type"].rsplit("/")[-1] if status != 200 else ""


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_forged_tokens_are_refused(world: World) -> None:
    alice = await world.person("alice")
    now = world.clock.now_ms() // 1000
    claims = {"sub": alice.account, "dev": alice.device, "aud": "syncline", "iat": now, "exp": now + 600}
    key = TOKEN_KEYS[0]
    headers = {"kid": key.id}

    def signed(secret: bytes = key.secret, alg: str = "HS256", headers: dict[str, Any] = headers, **other: Any) -> str:
        return jwt.encode({**claims, **other}, secret, alg, headers=headers)

    def lacking(claim: str) -> str:
        rest = {name: value for name, value in claims.items() if name != claim}
        return jwt.encode(rest, key.secret, "HS256", headers=headers)

    assert (await kind_for(world, signed()))[0] == 200
    assert (await kind_for(world, signed(TOKEN_KEYS[1].secret, headers={"kid": "t1"})))[0] == 200
    body = signed().split(".")[1]
    forged = {
        "another key": signed(b"x" * 32),
        "a key under another's id": signed(TOKEN_KEYS[1].secret),
        "an unknown key id": signed(headers={"kid": "t9"}),
        "no key id": signed(headers={}),
        "a key id that is no string": segment({"alg": "HS256", "kid": ["t2"]}) + f".{body}.x",
        "another service": signed(aud="other"),
        "no audience": lacking("aud"),
        "another algorithm": signed(b"y" * 64, "HS512"),
        "the right key, another algorithm": signed(alg="HS384"),
        "alg none": f"{segment({'alg': 'none', 'kid': key.id})}.{body}.",
        "alg None": f"{segment({'alg': 'None', 'kid': key.id})}.{body}.",
        "alg none without key id": f"{segment({'alg': 'none'})}.{body}.",
        "no signature": signed().rsplit(".", 1)[0] + ".",
        "another's claims": ".".join([signed().split(".")[0], segment({**claims, "sub": ID}), signed().split(".")[2]]),
        "a string for the end": signed(exp="tomorrow"),
        "no end": lacking("exp"),
        "a subject that is no id": signed(sub="../" + alice.account),
        "garbage": "a.b.c",
        "more garbage": "\u00e9.\u00e9.\u00e9",
        "nothing": "",
        "very long": "a" * 7000,
    }  # fmt: skip
    for what, token in forged.items():
        assert await kind_for(world, token) == (401, "not-signed-in"), what
    for scheme in ("Basic ", "", "Bearer"):
        assert (await kind_for(world, signed(), scheme))[0] == 401
    # A token of another's account with one's own device.
    other = await world.person("mallory")
    stolen = signed(dev=other.device)
    assert await kind_for(world, stolen) == (401, "device-revoked")


async def test_tokens_end(world: World) -> None:
    alice = await world.person("alice")
    world.clock.advance(ACCESS_TOKEN_S - 5)
    assert await kind_for(world, alice.token) == (200, "")
    world.clock.advance(6)
    assert await kind_for(world, alice.token) == (401, "token-expired")


def test_tokens_need_a_long_key(world: World) -> None:
    from syncline.domain.errors import Broken

    for keys in ((), (TestKey("k", b"short"),)):
        with pytest.raises(Broken):
            Tokens(keys, world.clock)
    tokens = Tokens(TOKEN_KEYS, world.clock)
    assert tokens.read(tokens.issue(Caller(ID, ID))) == Caller(ID, ID)


@pytest.mark.parametrize("cache_away", [False, True])
async def test_a_revoked_device_is_out_at_the_next_request(world: World, cache_away: bool) -> None:
    alice = await world.person("alice")
    assert await kind_for(world, alice.token) == (200, "")
    world.cache.away = cache_away
    # Revoked behind this instance's back, say by another one.
    await Directory(world.tables).revoke_device(alice.device, at_ms=0)
    assert await kind_for(world, alice.token) == (401, "device-revoked")


async def test_oversized_bodies_are_refused_before_they_are_read_whole(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    for path, limit in [("/v1/libraries", SMALL_BODY_BYTES), (f"/v1/libraries/{library}/commits", COMMIT_BODY_BYTES)]:
        body = b'{"name": "' + b"x" * limit + b'"}'
        status, problem = await alice.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
        assert (status, problem["type"].rsplit("/")[-1], problem["limit_bytes"]) == (413, "body-too-large", limit)

        async def pieces(size: int = limit) -> Any:
            for _ in range(size // 8192 + 2):
                yield b"x" * 8192

        headers = {"Content-Type": "application/json"}
        status, problem = await alice.ask("POST", path, data=pieces(), headers=headers)
        assert (status, problem["limit_bytes"]) == (413, limit)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_small_body_that_inflates_without_end_is_refused(world: World, encoding: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    zeros = b"0" * (64 * 1024 * 1024)
    bomb = gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros)
    assert len(bomb) < 70_000
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    path = f"/v1/libraries/{library}/commits"
    status, problem = await alice.ask("POST", path, data=bomb, headers=headers)
    assert (status, problem["type"].rsplit("/")[-1]) == (413, "body-too-large")
    small = gzip.compress(b'{"name": "L"}') if encoding == "gzip" else zlib.compress(b'{"name": "L"}')
    assert (await alice.ask("POST", "/v1/libraries", data=small, headers=headers))[0] == 201
    for damaged in (b"not compressed at all", small[:-6] + b"garbage"):
        status, problem = await alice.ask("POST", "/v1/libraries", data=damaged, headers=headers)
        # What does not even end as it should is answered below our handlers, not as a problem document.
        assert status == 400


@pytest.mark.parametrize(
    ("kind", "body", "status", "slug"),
    [
        ("application/json", b"", 400, "malformed-body"),
        ("application/json", b"{", 400, "malformed-body"),
        ("application/json", b"\xff\xfe", 400, "malformed-body"),
        ("application/json", b'{"name": "\\ud800"}', 400, "malformed-body"),
        ("application/json", b'{"name": "\xed\xa0\x80"}', 400, "malformed-body"),
        ("application/json", b'{"x":' + b"[" * 50_000, 400, "malformed-body"),
        ("application/json", b'{"name": 1}', 422, "invalid-body"),
        ("application/json", b"[]", 422, "invalid-body"),
        ("application/json", b"null", 422, "invalid-body"),
        ("application/json", b"{}", 422, "invalid-body"),
        ("application/msgpack", b"", 400, "malformed-body"),
        ("application/msgpack", b"\xc1", 400, "malformed-body"),
        ("application/msgpack", b"\xdd\xff\xff\xff\xff", 422, "invalid-body"),
        ("application/msgpack", b"\x81\xa4name\xa1\xff", 400, "malformed-body"),
        ("application/msgpack", b"\x81\xa1x" + b"\x91" * 50_000, 400, "malformed-body"),
        ("text/plain", b'{"name": "L"}', 415, "unsupported-media-type"),
        ("multipart/form-data", b"", 415, "unsupported-media-type"),
        ("nonsense", b"", 415, "unsupported-media-type"),
        (";a*", b"", 415, "unsupported-media-type"),  # an IndexError in Python's own header parser
        ("application/json;a*", b"{}", 422, "invalid-body"),
    ],
)
async def test_damaged_bodies_are_named(world: World, kind: str, body: bytes, status: int, slug: str) -> None:
    alice = await world.person("alice")
    got, problem = await alice.ask("POST", "/v1/libraries", data=body, headers={"Content-Type": kind})
    assert (got, problem["type"].rsplit("/")[-1]) == (status, slug)


async def test_msgpack_is_spoken_both_ways(world: World) -> None:
    alice = await world.person("alice")
    wire = msgspec.msgpack.encode({"name": "L", "unknown": [1]})
    headers = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}
    _, raw, response = await world.ask("POST", "/v1/libraries", data=wire, headers=headers, token=alice.token)
    assert response.content_type == "application/msgpack"
    assert msgspec.msgpack.decode(raw, type=m.Library).name == "L"


def fill(path: str, values: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: values.get(found[1], ID), path)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(["", ID, "a" * 19 + "\n", "../..", "\0", checksum(b""), "a@b", "owner", "add", "x" * 3000])
)
_NAMES = st.sampled_from(
    sorted({f for t in (m.NewAccount, m.SignIn, m.Refresh, m.NewLibrary, m.NewMember, m.Intent, m.UploadRequest,
                        m.CommitBody, m.CopyVersion, m.Move, m.Remove, m.MakeFolder, m.AddVersion)
            for f in t.__struct_fields__} | {"op"})
)  # fmt: skip
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=12,
)
_BODIES = st.one_of(
    _ANYTHING.map(lambda value: ("application/json", json.dumps(value).encode())),
    _ANYTHING.map(lambda value: ("application/msgpack", _msgpack(value))),
    st.binary(max_size=60).map(lambda raw: ("application/json", raw)),
    st.binary(max_size=60).map(lambda raw: ("application/msgpack", raw)),
    st.tuples(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=20), st.binary(max_size=10)),
)


_CONTENT = {"size_bytes": 1, "checksum": checksum(b"0"), "mtime_ns": 0}
_VALID: dict[str, dict[str, Any]] = {
    "NewAccount": {"email": "a@b.example", "password": "long enough", "name": "A"},
    "SignIn": {"email": "alice@example.org", "password": PASSWORD, "device_name": "D"},
    "Refresh": {"refresh_token": f"{ID}.x.y"},
    "NewLibrary": {"name": "L"},
    "NewMember": {"email": "alice@example.org", "role": "owner"},
    "UploadRequest": {"intents": [{"parent": ID, "name": "n", **_CONTENT}], "direct": False, "grant": ""},
    "DownloadRequest": {},
    "ResetRequest": {"email": "alice@example.org"},
    "NewPassword": {"token": "x", "password": "long enough", "keep_this_device": True},
    "PasswordChange": {"password": "wrong", "new_password": PASSWORD},
    "AddressRequest": {"email": "alice@example.com", "password": "wrong"},
    "LinkToken": {"token": "x"},
    "Transfer": {"email": "alice@example.org", "keep": "owner"},
    "NewGroup": {"name": "G"},
    "NewGroupMember": {"email": "alice@example.org"},
    "GroupRole": {"role": "viewer"},
    "MailTerms": {"window": "daily", "hour": 8, "zone": "Europe/Berlin", "kinds": ["added"]},
    "MailPreferences": {"window": "hourly", "zone": "UTC", "language": "de"},
    "NewOutsideFollower": {"email": "eve@example.net", "node": ID, "language": "en", "hour": 8},
    "OutsideRules": {"links": True},
    "RestoreNode": {"to": ID, "name": "n"},
    "Rewind": {"at": "2026-11-23T12:00:00Z", "dry_run": False},
    "Purge": {"node": ID, "versions_before": "2026-11-23T12:00:00Z", "upto": 3, "dry_run": False},
    "Retention": {"versions_days": 30, "versions_max": 10, "trash_days": 30, "hold": False},
    "NewWebhook": {"url": "https://hooks.example.org/x"},
    "CommitBody": {
        "requests": [
            {"op": "folder", "node": ID, "parent": ID, "name": "n"},
            {"op": "move", "node": ID, "base_seq": 0, "parent": ID, "name": "n"},
            {"op": "remove", "node": ID, "base_seq": 0, "held_all": True},
            {"op": "copy", "source": ID, "parent": ID, "name": "n", **_CONTENT},
            {"op": "withdraw", "permit": "x"},
        ],
        "counter": 0,
    },
}


def nearly(valid: Any, chance: random.Random, odd: Any) -> Any:
    """The body with about one of its values replaced."""
    if chance.random() < 0.12:
        return odd
    if isinstance(valid, dict):
        return {name: nearly(value, chance, odd) for name, value in valid.items() if chance.random() > 0.03}
    if isinstance(valid, list):
        return [nearly(value, chance, odd) for value in valid if chance.random() > 0.3]
    return valid


def nearly_right(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
    made = st.builds(nearly, st.just(_VALID[name]), st.randoms(use_true_random=False), _SCALARS)
    return made.map(lambda value: ("application/json", json.dumps(value).encode()))


def _msgpack(value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        return b"\xcf" + b"\xff" * 8


class Fuzzed:
    """One world for all examples of a fuzz test, on a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._context = running_world(wait_s=0.05)
        self.world = self.loop.run_until_complete(self._context.__aenter__())
        self.alice = self.loop.run_until_complete(self.world.person("alice"))
        self.library = self.loop.run_until_complete(self.alice.library())
        self.file = self.loop.run_until_complete(self.alice.put(self.library, "f", b"0"))

    def ask(self, *arguments: Any, **more: Any) -> tuple[int, Any, Any]:
        return self.loop.run_until_complete(self.world.ask(*arguments, **more))

    def close(self) -> None:
        self.loop.run_until_complete(self._context.__aexit__(None, None, None))
        self.loop.close()

    def values(self) -> dict[str, str]:
        return {"library": self.library, "node": self.file["node"], "version": self.file["version"]}


@pytest.fixture(scope="module")
def fuzzed() -> Any:
    made = Fuzzed()
    yield made
    made.close()


ENDING = ("/v1/sessions/current", "/v1/me/removal", "/v1/devices/{device}")
WITHOUT_SIGN_OUT = [route for route in ROUTES if route.path not in ENDING]


@pytest.mark.parametrize("route", WITHOUT_SIGN_OUT, ids=lambda route: f"{route.method} {route.path}")
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_request_ends_in_a_500(fuzzed: Fuzzed, route: Any, data: st.DataObject) -> None:
    odd = st.text(st.characters(blacklist_characters="/", blacklist_categories=["Cs"]), max_size=12)
    values = {
        name: data.draw(st.sampled_from([value] * 6 + [ID, ""]), name) or data.draw(odd) or ID
        for name, value in fuzzed.values().items()
    }
    values["token"] = data.draw(odd, "token") or "x"
    bodies = nearly_right(route.body.__name__) | _BODIES if route.has_body else _BODIES
    kind, body = data.draw(bodies, "body")
    query = data.draw(
        st.dictionaries(st.sampled_from([q.name for q in route.query] or ["x"]), st.text(max_size=300)), "query"
    )
    query = {name: value.encode(errors="ignore").decode() for name, value in query.items()}
    headers = {
        "Content-Type": kind.replace("\n", " "),
        "Accept": data.draw(st.sampled_from(["", "application/msgpack", "*/*"])),
    }
    if data.draw(st.booleans(), "with a key"):
        headers["Idempotency-Key"] = data.draw(st.sampled_from(["k", "", "x" * 300, "é"]))
    status, got, response = fuzzed.ask(
        route.method,
        fill(route.path, values),
        data=body,
        params=query,
        headers=headers,
        token=fuzzed.alice.token,
    )
    assert status < 500, got
    if status >= 400 and response.content_type != "text/html":
        assert response.content_type == "application/problem+json"
        assert {"type", "title", "status"} <= set(got)


_counter = itertools.count()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nearly_right_commits_never_end_in_a_500(fuzzed: Fuzzed, seed: int) -> None:
    """Well-formed requests about nodes that are there, with wrong bases, names and places."""
    chance = random.Random(seed)
    nodes = [fuzzed.library, fuzzed.file["node"], ID, id_from_bytes(chance.randbytes(13))]
    names = ["f", "g", "f (conflict)", "..", "ä" * 60, "con", "x" * 255]

    def request() -> dict[str, object]:
        node, parent, name = chance.choice(nodes), chance.choice(nodes), chance.choice(names)
        base = chance.choice([0, 1, 2**62, 5])
        content = {"size_bytes": 1, "checksum": checksum(b"0"), "mtime_ns": chance.choice([-(2**63), 0])}
        return chance.choice(
            [
                {"op": "folder", "node": node, "parent": parent, "name": name},
                {"op": "move", "node": node, "base_seq": base, "parent": parent, "name": name},
                {"op": "remove", "node": node, "base_seq": base, "held_all": chance.random() < 0.5},
                {"op": "copy", "source": fuzzed.file["version"], "parent": parent, "name": name, **content},
                {"op": "copy", "source": fuzzed.file["version"], "node": node, "base_version": ID, **content},
                {"op": "copy", "source": ID, "parent": parent, "name": name, **content},
            ]
        )

    body = {"requests": [request() for _ in range(chance.randint(1, 5))], "counter": next(_counter)}
    path = f"/v1/libraries/{fuzzed.library}/commits"
    status, got, _ = fuzzed.ask("POST", path, body, token=fuzzed.alice.token)
    assert status in (200, 422), got


@pytest.fixture
def logs(capsys: pytest.CaptureFixture[str]) -> Any:
    """What goes to standard error with our own logging set up."""
    before = logging.getLogger().handlers[:]
    level = logging.getLogger().level
    configure_logging("gateway", "debug")
    yield capsys
    structlog.reset_defaults()
    logging.getLogger().handlers = before
    logging.getLogger().setLevel(level)


async def test_passwords_and_tokens_stay_out_of_the_logs(world: World, logs: pytest.CaptureFixture[str]) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await alice.put(library, "secret-name.txt", b"0")
    await alice.ask("GET", f"/v1/libraries/{library}/nodes?path=secret-name.txt")
    await alice.ask("GET", f"/v1/unsubscribe?token={alice.token}")
    logged = logs.readouterr().err
    assert '"event":"request"' in logged
    assert alice.account in logged
    for secret in (PASSWORD, alice.token, alice.session["refresh_token"], "secret-name", alice.email):
        assert secret not in logged
