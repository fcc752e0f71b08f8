"""The OpenAPI 3.1 document, written from the routes: what is served and what is described cannot part."""

from __future__ import annotations

from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic.json_schema import models_json_schema

from mft.api.fault import PROBLEM
from mft.api.route import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel

    from mft.api.route import Route

BASE = "/api/v1"
_REF = "#/components/schemas/{model}"
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "`urn:mft:problem:` and the kind: what a program looks at."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, and what to do: for people."},
        "instance": {"type": "string", "description": "The request's id, as it stands in the server's log."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_HEADERS = {
    "repeatable": (
        "Takes `Idempotency-Key`: a random text of your own (8 to 255 letters, digits, `.`, `_`, `:` or `-`). The same "
        "request sent again with it gets the first answer, marked `Idempotency-Replayed: true`; another request with "
        "it gets 422, one that comes while the first is under way 409."
    ),
    "conditional": "Takes `If-Match` with the entity tag that you read: if it was changed since, the answer is 412.",
    "tagged": "Answers with an `ETag`, and takes `If-None-Match`: if it is still that, the answer is 304.",
}
"""What a route says of the headers that it takes."""
_TAG = '(?:W/)?"?[A-Za-z0-9_-]{1,200}"?'
_TAGS = rf"^(?:\*|{_TAG}(?:, *{_TAG})*)$"
_KEY = "[A-Za-z0-9._:-]{8,255}"
_TAKEN: dict[str, tuple[str, str, str]] = {
    "repeatable": ("Idempotency-Key", rf'^(?:{_KEY}|"{_KEY}")$', "A random text of your own for this request, once."),
    "conditional": ("If-Match", _TAGS, "The entity tag that you read, or `*`."),
    "tagged": ("If-None-Match", _TAGS, "The entity tag that you have."),
}
"""The same as parameters: name, form, and what it is."""
_PACE_HEADERS = {
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": "What one login may ask of one worker."},
    "RateLimit": {"schema": {"type": "string"}, "description": "What is left of it."},
}


def document(
    routes: Sequence[Route[Any, Any, Any]],
    *,
    title: str,
    version: str,
    others: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Describe *routes* as an OpenAPI 3.1 document, and *others*: by their paths, what describes themselves."""
    models: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {}
    for route in routes:
        if route.has_body:
            models[route.body_model, "validation"] = None
        if route.answer_model is not None:
            models[route.answer_model, "serialization"] = None
    names, definitions = models_json_schema(list(models), ref_template=_REF)
    schemas: dict[tuple[Any, str], dict[str, Any]] = {(model, mode): found for (model, mode), found in names.items()}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": (
                "Sign in with HTTP Basic (login and password, or a token in its place), or with a token as bearer. "
                "Errors are problem documents (RFC 9457). Lists come in pages: `next_cursor` asks for the next."
            ),
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": {**paths, **others},
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM_SCHEMA},
            "responses": {status.name: _problem(status) for status in sorted(set().union(*map(statuses, routes)))},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "mftt_… or mftc_…"},
            },
        },
    }


def _operation(route: Route[Any, Any, Any], schemas: dict[tuple[Any, str], dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": list(_parameters(route)),
        "responses": _responses(route, schemas),
    }
    needed = [route.permission.value] if route.permission is not None else []
    told["security"] = [] if route.public else [{"basic": needed}, {"bearer": needed}]
    told["description"] = " ".join(_words(route, needed))
    if route.has_body:
        told["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": schemas[route.body_model, "validation"]}},
        }
    return told


def _words(route: Route[Any, Any, Any], needed: list[str]) -> Iterable[str]:
    if not route.public:
        yield f"Needs `{needed[0]}`." if needed else "Any login may ask."
    if route.repeatable:
        yield _HEADERS["repeatable"]
    if route.conditional:
        yield _HEADERS["conditional"]
    if is_read_if_changed(route):
        yield _HEADERS["tagged"]


def _parameters(route: Route[Any, Any, Any]) -> Iterable[dict[str, Any]]:
    for model, place in ((route.path_model, "path"), (route.query_model, "query")):
        yield from _fields(model, place)
    takes = {"repeatable": route.repeatable, "conditional": route.conditional, "tagged": is_read_if_changed(route)}
    for name, form, what in (_TAKEN[kind] for kind, taken in takes.items() if taken):
        schema = {"type": "string", "pattern": form}
        yield {"name": name, "in": "header", "required": False, "description": what, "schema": schema}


def is_read_if_changed(route: Route[Any, Any, Any]) -> bool:
    """Say whether *route* takes If-None-Match."""
    return route.tagged and route.method == "GET"


def _fields(model: type[BaseModel], place: str) -> Iterable[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=_REF)
    required = set(schema.get("required", ()))
    for name, described in schema.get("properties", {}).items():
        plain = _without_null(dict(described))
        plain.pop("title", None)
        told: dict[str, Any] = {"name": name, "in": place, "required": place == "path" or name in required}
        if "description" in plain:
            told["description"] = plain.pop("description")
        yield {**told, "schema": _inlined(plain, schema.get("$defs", {}))}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is never null: there is no way to write that."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
        return {**choices[0], **rest}
    return schema


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    rest = {name: value for name, value in schema.items() if name != "$ref"}
    return {**definitions[str(reference).rpartition("/")[2]], **rest}


def _responses(route: Route[Any, Any, Any], schemas: dict[tuple[Any, str], dict[str, Any]]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": route.status.phrase}
    if not route.public:
        good["headers"] = dict(_PACE_HEADERS)
    if route.tagged:
        good.setdefault("headers", {})["ETag"] = {"schema": {"type": "string"}}
    if route.answer_model is not None:
        good["content"] = {route.media: {"schema": schemas[route.answer_model, "serialization"]}}
    elif route.media != JSON:
        good["content"] = {route.media: {"schema": {"type": "string"}}}
    told = {str(route.status.value): good}
    if is_read_if_changed(route):
        told["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase}
    for status in sorted(statuses(route)):
        told[str(status.value)] = {"$ref": f"#/components/responses/{status.name}"}
    return told


def _problem(status: HTTPStatus) -> dict[str, Any]:
    return {
        "description": status.phrase,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def statuses(route: Route[Any, Any, Any]) -> set[HTTPStatus]:
    """Return what *route* may answer besides success."""
    found = {HTTPStatus.BAD_REQUEST, *route.errors}
    if not route.public:
        found |= {
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
        }
    if "{" in route.path or "cursor" in route.query_model.model_fields:
        found.add(HTTPStatus.NOT_FOUND)
    if route.has_body:
        found |= {
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        }
    if route.repeatable:
        found |= {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
    if route.conditional:
        found.add(HTTPStatus.PRECONDITION_FAILED)
    return found
