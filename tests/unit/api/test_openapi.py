from obelisk_daemon.api.app import openapi_document


def test_every_route_is_in_the_openapi_document_with_its_problems() -> None:
    document = openapi_document()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/me",
        "/v1/audit",
        "/v1/status",
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
    assert {"submit_as", "submit_new", "list_executions", "show", "result", "cancel"} <= set(names)


def test_submitting_tells_what_200_and_202_mean() -> None:
    paths = openapi_document()["paths"]
    assert {"200", "201", "409", "507"} <= set(paths["/v1/executions/{execution_id}"]["put"]["responses"])
    assert {"200", "202"} <= set(paths["/v1/executions/{execution_id}/result"]["get"]["responses"])


def test_streams_are_told_from_documents() -> None:
    paths = openapi_document()["paths"]
    for path in ("/v1/follow", "/v1/executions/{execution_id}/follow"):
        operation = paths[path]["get"]
        assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
        assert ("Last-Event-ID", "header") in [(one["name"], one["in"]) for one in operation["parameters"]]
