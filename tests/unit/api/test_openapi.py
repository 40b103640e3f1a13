import json
import re

import jsonschema

from obelisk_daemon.api.app import _ROUTES, openapi_document
from obelisk_daemon.api.openapi.operations import OPERATIONS


def test_every_route_is_in_the_openapi_document_with_its_problems() -> None:
    document = openapi_document()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/me",
        "/v1/audit",
        "/v1/status",
        "/v1/queues",
        "/v1/executions/batch",
        "/v1/executions/bulk",
        "/v1/executors",
        "/v1/hosts/{host}/drain",
        "/v1/hosts/{host}/undrain",
        "/v1/components",
        "/v1/functions",
        "/v1/wit",
        "/v1/healthz",
        "/v1/readyz",
        "/v1/executions",
        "/v1/executions/{execution_id}",
        "/v1/executions/{execution_id}/events",
        "/v1/executions/{execution_id}/responses",
        "/v1/executions/{execution_id}/logs",
        "/v1/executions/{execution_id}/follow",
        "/v1/executions/{execution_id}/tree",
        "/v1/executions/{execution_id}/state",
        "/v1/executions/{execution_id}/result",
        "/v1/executions/{execution_id}/cancel",
        "/v1/executions/{execution_id}/pause",
        "/v1/executions/{execution_id}/resume",
        "/v1/executions/{execution_id}/upgrade",
        "/v1/executions/{execution_id}/why",
        "/v1/executions/{execution_id}/retry",
        "/v1/executions/{execution_id}/stub",
        "/v1/executions/{execution_id}/delays",
        "/v1/executions/{execution_id}/replay",
        "/v1/executions/{execution_id}/export",
        "/v1/delays/{delay_id}/cancel",
        "/v1/delays/{delay_id}/pause",
        "/v1/delays/{delay_id}/resume",
        "/v1/failures/{failure_id}",
        "/v1/follow",
        "/v1/db/stats",
        "/v1/db/check",
        "/v1/db/vacuum",
        "/v1/db/backup",
        "/v1/manifest",
        "/v1/manifest/generations",
        "/v1/manifest/generations/{number}",
        "/v1/manifest/diff",
        "/v1/manifest/plan",
        "/v1/manifest/reload",
        "/v1/manifest/rollback",
    }
    for path in document["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["400"]["content"]


def test_operations_are_named_once_and_plainly() -> None:
    names = [operation["operationId"] for path in openapi_document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert {"submit_execution", "list_executions", "show_execution", "get_result", "cancel_execution"} <= set(names)


def test_submitting_tells_what_200_and_202_mean() -> None:
    paths = openapi_document()["paths"]
    assert {"200", "201", "409", "507"} <= set(paths["/v1/executions/{execution_id}"]["put"]["responses"])
    assert {"200", "202"} <= set(paths["/v1/executions/{execution_id}/result"]["get"]["responses"])


def test_every_operation_is_known_and_has_a_group_a_summary_and_a_description() -> None:
    document = openapi_document()
    assert {handler.handler_name for handler in _ROUTES} <= set(OPERATIONS)
    groups = {tag["name"] for tag in document["tags"]}
    for path in document["paths"].values():
        for operation in path.values():
            assert set(operation["tags"]) <= groups
            assert operation["summary"]
            assert operation["description"]


def test_every_reference_leads_somewhere() -> None:
    document = openapi_document()
    references = set(re.findall(r'"#/([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        found = document
        for step in reference.split("/"):
            found = found[step]


def test_ids_times_and_digests_have_their_forms() -> None:
    schemas = openapi_document()["components"]["schemas"]
    execution = schemas["ExecutionDocument"]["properties"]
    assert execution["execution_id"] == {"$ref": "#/components/schemas/ExecutionId"}
    assert execution["created_at"] == {"$ref": "#/components/schemas/Time"}
    assert execution["component_digest"] == {"$ref": "#/components/schemas/Digest"}
    assert execution["result"]["oneOf"][0] == {"$ref": "#/components/schemas/Result"}
    assert schemas["Submission"]["properties"]["ffqn"] == {"type": "string"}
    assert schemas["Submission"]["additionalProperties"] is False


def test_the_examples_have_the_forms_that_they_are_examples_of() -> None:
    document = openapi_document()
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            jsonschema.validate(example, {**schema, "components": document["components"]})


def test_parameters_that_may_be_left_out_are_not_null() -> None:
    for path in openapi_document()["paths"].values():
        for operation in path.values():
            assert "null" not in json.dumps(operation.get("parameters", []))


def test_what_needs_a_body_says_so_and_what_does_not_does_not() -> None:
    paths = openapi_document()["paths"]
    assert paths["/v1/executions"]["post"]["requestBody"]["required"] is True
    for path in ("/v1/executions/{execution_id}/cancel", "/v1/manifest/plan", "/v1/executions/{execution_id}/replay"):
        assert paths[path]["post"]["requestBody"]["required"] is False


def test_streams_are_told_from_documents() -> None:
    paths = openapi_document()["paths"]
    for path in ("/v1/follow", "/v1/executions/{execution_id}/follow"):
        operation = paths[path]["get"]
        assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
        assert ("Last-Event-ID", "header") in [(one["name"], one["in"]) for one in operation["parameters"]]
