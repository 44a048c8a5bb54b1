"""The OpenAPI document and what it says of problems."""

from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from services.gateway import openapi
from services.gateway.table import ROUTES
from syncline.serving.problems import PROBLEMS
from syncline.serving.sync_routes import SYNC_ROUTES
from tests.unit.gateway.world import World

ROOT = Path(__file__).parents[3]


def test_the_document_is_valid_openapi() -> None:
    validate(openapi.whole_document())
    validate(openapi.whole_document("https://files.example.org"))


def test_every_operation_has_its_own_id_and_known_problems() -> None:
    made = openapi.whole_document()
    ids = [op["operationId"] for methods in made["paths"].values() for op in methods.values()]
    assert len(set(ids)) == len(ids) == len(ROUTES) + len(SYNC_ROUTES)
    for route in (*ROUTES, *SYNC_ROUTES):
        assert set(route.problems) <= set(PROBLEMS)


def test_the_committed_document_is_up_to_date() -> None:
    assert openapi.main(["--check", str(ROOT / "docs" / "openapi.json")]) == 0


def test_an_old_document_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "openapi.json"
    assert openapi.main(["--check", str(file)]) == 1
    assert openapi.main(["--write", str(file)]) == 0
    assert openapi.main(["--check", str(file)]) == 0
    file.write_text(file.read_text().replace("Papers", "") + " ")
    assert openapi.main(["--check", str(file)]) == 1
    assert "out of date" in capsys.readouterr().err


async def test_the_service_hands_out_its_document(world: World) -> None:
    status, served, _ = await world.ask("GET", "/v1/openapi.json")
    assert status == 200
    assert served == openapi.whole_document("http://syncline.test")


async def test_the_table_and_what_is_served_are_the_same(world: World) -> None:
    served = {
        (route.method, route.resource.canonical)
        for route in world.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    listed = {(route.method, route.path) for route in ROUTES}
    assert served == listed | {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}


async def test_every_problem_has_its_page(world: World) -> None:
    for slug, kind in PROBLEMS.items():
        status, page, _ = await world.ask("GET", f"/problems/{slug}")
        assert status == 200
        assert kind.title.encode() in page
    assert (await world.ask("GET", "/problems/none-such"))[0] == 404


async def test_bodies_have_the_documented_form(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    result = await alice.put(library, "f", b"0")
    made = openapi.whole_document()
    asked = {
        "/v1/me": "Me",
        "/v1/libraries": "Libraries",
        f"/v1/libraries/{library}": "Library",
        f"/v1/libraries/{library}/members": "Members",
        f"/v1/libraries/{library}/folders/{library}/children": "Children",
        f"/v1/libraries/{library}/nodes/{result['node']}": "NodeState",
        f"/v1/libraries/{library}/files/{result['node']}/versions": "Versions",
        "/v1/follows": "Follows",
    }
    for path, name in asked.items():
        status, body = await alice.ask("GET", path)
        assert status == 200
        schema: dict[str, Any] = {"$ref": f"#/components/schemas/{name}", "components": made["components"]}
        OAS31Validator(schema).validate(body)


def test_the_guide_names_every_route() -> None:
    guide = (ROOT / "docs" / "api.md").read_text()
    for route in (*ROUTES, *SYNC_ROUTES):
        assert f"`{route.method} {route.path}`" in guide
