"""Makes the OpenAPI document of all routes, and makes it exact."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from obelisk_daemon import __version__
from obelisk_daemon.api.openapi.forms import EXAMPLE_CALL, FORMS, LIMITS, REFUSED_ALONE, Schema, form_of, form_of_items
from obelisk_daemon.api.openapi.operations import ANSWERS, BODIES, LINKS, OPERATIONS, TAGS, refusals, tag_of
from obelisk_daemon.api.problems import MEDIA_TYPE
from obelisk_daemon.api.roles import OPEN, needed

_NULL: Final = {"type": "null"}
_DESCRIPTION: Final = """The HTTP API of the durable workflow engine obeliskd.

Every refusal is a problem (RFC 9457) with a `code` that stays the same. Lists come in pages: ask again with the `next`
of the page before as `cursor`. Submitting is idempotent by the execution's id, so a client makes the id itself and may
send the same request again. On TCP a request needs a token; the unix socket's file says who may use it.
"""


def configuration() -> OpenAPIConfig:
    """Say how litestar makes its document."""
    return OpenAPIConfig(
        title="obeliskd",
        version=__version__,
        description=_DESCRIPTION,
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, _method, _path: handler.handler_name,
    )


def make_document(app: Litestar) -> Schema:
    """Make the OpenAPI 3.1 document of an application that has the configuration above."""
    document = app.openapi_schema.to_schema()
    for handler, path, operation in _operations(app, document):
        _refine_operation(handler, path, operation)
    schemas: dict[str, Schema] = document["components"]["schemas"]
    for name, schema in schemas.items():
        _refine_fields(name, schema)
    _close(document, schemas)
    schemas |= FORMS
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["links"] = {
        name: {"operationId": name, "parameters": parameters} for name, parameters in LINKS.items()
    }
    schemas["Submission"]["examples"] = [EXAMPLE_CALL]
    _add_access(document)
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    return document


def _operations(app: Litestar, document: Schema) -> Iterator[tuple[HTTPRouteHandler, str, Schema]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                yield handler, route.path_format, operation


def _refine_operation(handler: HTTPRouteHandler, path: str, operation: Schema) -> None:
    name = handler.handler_name
    known = OPERATIONS.get(name)
    operation["operationId"] = name if known is None else known.name
    operation["tags"] = [tag_of(path)]
    for parameter in operation.get("parameters", ()):
        _refine_parameter(name, parameter)
    _refine_body(name, operation)
    _refine_answers(name, operation)
    role = needed(handler, path)
    if role == OPEN:
        operation["security"] = []
    else:
        operation["description"] = f"{operation['description']}\n\nNeeds the role `{role}`."


def _refine_parameter(operation: str, parameter: Schema) -> None:
    """Leave out what says nothing: null can't be in a URL, and the description is the parameter's own."""
    schema = _without_null(parameter["schema"])
    schema.pop("description", None)
    for noise in ("deprecated", "allowEmptyValue", "allowReserved"):
        parameter.pop(noise, None)
    items = schema.get("items")
    form = form_of(operation, parameter["name"])
    if form is not None and schema.get("type") == "string":
        schema = _reference(form)
    elif form is not None and items is not None and items.get("type") == "string":
        schema["items"] = _reference(form)
    parameter["schema"] = schema


def _without_null(schema: Schema) -> Schema:
    schema = dict(schema)
    branches = schema.pop("oneOf", None)
    if branches is not None:
        branches = [branch for branch in branches if branch != _NULL]
        schema |= branches[0] if len(branches) == 1 else {"oneOf": branches}
    if isinstance(schema.get("type"), list):
        types = [one for one in schema["type"] if one != "null"]
        schema["type"] = types[0] if len(types) == 1 else types
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    return schema


def _refine_body(operation: str, told: Schema) -> None:
    if operation in BODIES:
        content, description = BODIES[operation]
        told["requestBody"] = {"content": content, "description": description, "required": False}
    body = told.get("requestBody")
    if body is None or "application/json" not in body["content"]:
        return
    schema = body["content"]["application/json"]["schema"]
    if not schema or _NULL in schema.get("oneOf", ()):
        body["required"] = False


def _refine_answers(operation: str, told: Schema) -> None:
    responses = told["responses"]
    for status, response in responses.items():
        if status.startswith("2"):
            response.pop("headers", None)
            response["description"] = _meaning(response["description"])
    if operation in ANSWERS:
        media_type, schema = ANSWERS[operation]
        responses["200"]["content"] = {media_type: {"schema": _reference(schema)}}
    known = OPERATIONS.get(operation)
    parameters = frozenset(one["name"] for one in told.get("parameters", ()) if one["in"] == "path")
    codes = refusals(operation, parameters, has_body="requestBody" in told)
    if known is None or codes is None:
        return
    for status in [status for status in responses if int(status) >= 400]:
        del responses[status]
    responses |= {str(status): _refusal(status, names) for status, names in codes.items()}
    if known.links:
        links: Schema = {name: {"$ref": f"#/components/links/{name}"} for name in known.links}
        for status in ("200", "201"):
            if status in responses:
                responses[status]["links"] = links


def _meaning(text: str) -> str:
    """Replace the phrases of litestar, which speak of documents and URLs."""
    return {"Request fulfilled, document follows": "Done", "Document created, URL follows": "Created"}.get(text, text)


def _refusal(status: int, codes: Sequence[str]) -> Schema:
    told = ", ".join(f"`{code}`" for code in codes)
    return {
        "description": f"{HTTPStatus(status).phrase}: {told}",
        "content": {MEDIA_TYPE: {"schema": _reference("Problem")}},
    }


def _refine_fields(document: str, schema: Schema) -> None:
    if document in REFUSED_ALONE:
        return
    for name, field in schema.get("properties", {}).items():
        if (document, name) in LIMITS:
            next(branch for branch in (*field.get("oneOf", ()), field) if branch != _NULL).update(
                LIMITS[document, name]
            )
        form = form_of(document, name)
        if form is not None:
            _put_form(schema["properties"], name, form)
        items = form_of_items(name)
        if items is not None:
            for branch in (field, *field.get("oneOf", ())):
                if "items" in branch and "$ref" not in branch["items"]:
                    branch["items"] = _reference(items)
        if form is None and name.endswith("digest"):
            _put_form(schema["properties"], name, "Digest")


def _close(document: Schema, schemas: dict[str, Schema]) -> None:
    """Say that objects in bodies have no other fields: requests with such are refused."""
    bodies = [operation.get("requestBody") for path in document["paths"].values() for operation in path.values()]
    wanted = [name for body in bodies for name in _referred(body)]
    while wanted:
        schema = schemas.get(wanted.pop(), {})
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
            wanted += _referred(schema)


def _referred(part: object) -> Iterator[str]:
    match part:
        case {"$ref": str(reference)}:
            yield reference.rpartition("/")[2]
        case dict():
            for value in part.values():
                yield from _referred(value)
        case list():
            for value in part:
                yield from _referred(value)


def _put_form(properties: Schema, name: str, form: str) -> None:
    field = properties[name]
    if _fits(field):
        properties[name] = _reference(form)
    elif "oneOf" in field:
        field["oneOf"] = [_reference(form) if _fits(branch) else branch for branch in field["oneOf"]]


def _fits(field: Schema) -> bool:
    """Tell a text, or an object of which nothing else is known."""
    return (field.get("type") == "string" and "enum" not in field) or set(field) == {"type", "additionalProperties"}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _add_access(document: Schema) -> None:
    document["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the manifest: `obelisk-ctl token new` makes one. Not needed on the unix socket.",
        }
    }
    document["security"] = [{"token": []}, {}]
    document["servers"] = [{"url": "/"}]
