"""The OpenAPI 3.1 document, made from the routes and the bodies' own types.

``python -m services.gateway.openapi`` prints it; ``--write FILE`` writes it; ``--check FILE`` exits 1 when the file is
out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import syncline
from services.gateway.table import ROUTES
from syncline.messages.api import Problem
from syncline.serving import problems
from syncline.serving.bodies import JSON, MSGPACK
from syncline.serving.problems import PROBLEMS
from syncline.serving.routes import Nothing, Query, Route
from syncline.serving.sync_routes import SYNC_ROUTES

Document = dict[str, Any]

_ANY = ("internal", "temporarily-unavailable")
_SIGNED_IN = ("not-signed-in", "token-expired", "device-revoked")
_WITH_BODY = ("malformed-request", "malformed-body", "invalid-body", "body-too-large", "unsupported-media-type")
_WITH_QUERY = ("invalid-query",)
_PARAMETER = re.compile(r"{(\w+)}")
_IN_PATH = {
    "library": "The library's id.",
    "node": "The id of a file or folder; the root folder has the library's id.",
    "version": "The version's id.",
    "command": "The command's id.",
    "account": "The account's id.",
    "device": "The device's id.",
    "group": "The group's id.",
    "invitation": "The invitation's id.",
    "follower": "The outside follower's id.",
    "webhook": "The webhook's id.",
    "token": "The token in the link.",
    "slug": "The last part of the problem's type.",
}
_REFERENCE = "#/components/schemas/{name}"
_INTRODUCTION = """Files are shared in libraries; their bytes go straight to and from S3 with short-lived credentials.

Bodies are JSON or msgpack, as `Content-Type` and `Accept` say; members that a reader does not know are ignored.
Every error is a problem document (RFC 9457) with a stable `type`, whatever `Accept` says. See docs/api.md.
"""


def document(routes: Sequence[Route[Any, Any]], *, public_url: str = "") -> Document:
    """The document of these routes. ``public_url`` is where they are served, this very server when it is ""."""
    bodies = [body for route in routes for body in (route.body, route.answer) if body is not Nothing]
    _, components = msgspec.json.schema_components(dict.fromkeys([Problem, *bodies]), ref_template=_REFERENCE)
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Syncline",
            "version": syncline.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": service} for service in sorted({route.service for route in routes})],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(route: Route[Any, Any]) -> Document:
    operation: Document = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.service],
        "parameters": _parameters(route),
        "responses": _responses(route),
        "security": [{"token": []}] if route.signed_in else [],
    }
    if route.has_body:
        operation["requestBody"] = {"required": not route.body_optional, "content": _content(route.body)}
    return operation


def _operation_id(route: Route[Any, Any]) -> str:
    words = re.sub(r"[^a-z0-9]+", " ", route.path.removeprefix("/v1").lower()).split()
    return "_".join([route.method.lower(), *words])


def _parameters(route: Route[Any, Any]) -> list[Document]:
    in_path = [
        {"name": name, "in": "path", "required": True, "description": _IN_PATH[name], "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    in_query = [
        {
            "name": query.name,
            "in": "query",
            "required": query.required,
            "description": query.meaning,
            "schema": _query_schema(query),
        }
        for query in route.query
    ]
    in_headers = [
        {"name": name, "in": "header", "required": False, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in route.headers
    ]
    return [*in_path, *in_query, *in_headers]


def _query_schema(query: Query) -> Document:
    if query.kind == "integer":
        return {"type": "integer", "minimum": query.minimum, "maximum": query.maximum}
    return {"type": "string"}


def _responses(route: Route[Any, Any]) -> Document:
    responses: Document = {str(route.status): {"description": "Done."}}
    if route.answer is not Nothing:
        responses[str(route.status)] = {"description": route.summary, "content": _content(route.answer)}
    for status, meaning in route.also:
        also: Document = {"description": meaning}
        if status == 202:
            also["content"] = _content(route.answer)
        responses[str(status)] = also
    for status, slugs in _problems_by_status(_problems(route)).items():
        meanings = "\n".join(f"- `{slug}`: {PROBLEMS[slug].meaning}" for slug in slugs)
        schema = {"$ref": _REFERENCE.format(name=Problem.__name__)}
        responses[str(status)] = {"description": meanings, "content": {problems.CONTENT_TYPE: {"schema": schema}}}
    return dict(sorted(responses.items()))


def _problems(route: Route[Any, Any]) -> list[str]:
    return [
        *route.problems,
        *(_SIGNED_IN if route.signed_in else ()),
        *(_WITH_BODY if route.has_body else ()),
        *(_WITH_QUERY if route.query else ()),
        *_ANY,
    ]


def _problems_by_status(slugs: Iterable[str]) -> dict[int, list[str]]:
    by_status: dict[int, list[str]] = {}
    for slug in dict.fromkeys(slugs):
        by_status.setdefault(PROBLEMS[slug].status, []).append(slug)
    return by_status


def _content(body: type[Any]) -> Document:
    schema = {"schema": {"$ref": _REFERENCE.format(name=body.__name__)}}
    return {JSON: schema, MSGPACK: schema}


def whole_document(public_url: str = "") -> Document:
    """The document of gateway and syncer together, as clients see one service."""
    return document([*ROUTES, *SYNC_ROUTES], public_url=public_url)


def as_text(made: Document) -> str:
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.gateway.openapi", description="The OpenAPI document.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--write", metavar="FILE", type=Path, help="write the document to FILE")
    where.add_argument("--check", metavar="FILE", type=Path, help="exit 1 when FILE is out of date")
    chosen = parser.parse_args(arguments)
    text = as_text(whole_document())
    if chosen.write:
        chosen.write.write_text(text)
    elif chosen.check:
        if not chosen.check.exists() or chosen.check.read_text() != text:
            sys.stderr.write(f"{chosen.check} is out of date: run `make openapi`.\n")
            return 1
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
