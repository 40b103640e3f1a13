"""The description of the API is true: schemathesis sends what it allows and what it forbids to a real daemon.

`OBELISK_SOAK=1` runs for ten minutes.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jsonschema
import pytest

from tests.e2e.daemon import Api, Daemon, Json, Run, execution_id, run
from tests.guests import manifest_entry

HERE: Final = Path(__file__).parent / "openapi"
SECONDS: Final = 600 if os.environ.get("OBELISK_SOAK") else 120
STUB: Final = """
[[stub]]
ffqn = "testing:approval/approval.approve"
params = [{ name = "order", type = "u64" }]
returns = "result<bool, string>"
"""
LABELLED: Final = manifest_entry("nested", labels=["nobody-has-this"])
OK, ERR, TRAP, BLOCKED, CAUSED, NEVER, ASKED, PAUSED, CANCELLED, KEPT = map(execution_id, range(1, 11))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Daemon]:
    """Have executions in all states."""
    guests = ("fibo-activity", "faults")
    workflows = ("fibo-workflow", "faulty-caller", "sleeper", "fanout")
    tables = [manifest_entry(name, max_retries=0) for name in guests] + [manifest_entry(name) for name in workflows]
    directory = tmp_path_factory.mktemp("openapi")
    daemon = Daemon(directory, artifacts)
    daemon.write(*tables, LABELLED, STUB)
    try:
        daemon.start("--dev", "--listen", "127.0.0.1:0", "--listen", f"unix:{daemon.state_dir}/api.sock")
        _fill(daemon)
        yield daemon
        assert daemon.terminate() == 0
    finally:
        daemon.end()


@pytest.fixture
def api(daemon: Daemon) -> Iterator[Api]:
    with closing(daemon.new_api()) as api:
        yield api


def _fill(daemon: Daemon) -> None:
    api = daemon.api
    api.call(OK, "testing:fibo/workflow.fiboa", 10, 3)
    api.call(ERR, "testing:faults/faults.fail-with", "no")
    api.call(TRAP, "testing:faults/faults.trap")
    api.call(CAUSED, "testing:faulty-caller/caller.call-trap")
    for sleeping in (BLOCKED, PAUSED, CANCELLED, KEPT):
        api.submit(sleeping, "testing:sleeper/sleeper.nap", 3_600_000)
        api.until(sleeping, lambda event: event["type"] == "history_event" and event["event"]["type"] == "join_next")
    api.submit(NEVER, "testing:nested/outer.run", 1, 1)
    api.submit(ASKED, "testing:approval/approval.approve", 7)
    assert api.request("POST", f"/v1/executions/{PAUSED}/pause")[0] == 200
    assert api.request("POST", f"/v1/executions/{CANCELLED}/cancel", {"force": True})[0] == 200


def _known(daemon: Daemon) -> dict[str, list[str]]:
    api = daemon.api
    delays = [api.get(f"/v1/executions/{one}/delays")["delays"][0]["delay_id"] for one in (BLOCKED, KEPT)]
    failures = [api.show(one)["failure"]["failure_id"] for one in (TRAP, CANCELLED)]
    return {
        "execution_id": [*(execution_id(number) for number in range(1, 10)), *api.children(OK)[:1]],
        "delay_id": delays[1:],  # of an execution that is not told, so that nobody cancels it
        "POST /v1/delays/{delay_id}/cancel delay_id": delays[:1],
        "POST /v1/executions/{execution_id}/stub execution_id": [ASKED, OK],
        "failure_id": failures,
        "finished": [OK],
    }


def test_what_the_description_allows_is_accepted_and_answered_as_described(daemon: Daemon) -> None:
    url = f"http://{daemon.process.until_logged('ready')['listen'][0]}"
    known = json.dumps(_known(daemon))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
    options = ["--max-time", str(SECONDS), "--seed", "1", "--no-color", "--generation-database", "none"]
    options += ["--exclude-path", "/v1/follow"]  # it has no end; the tests of streams read it
    options += ["--exclude-path", "/v1/hosts/{host}/drain"]  # of this host: it is not ready then, as readyz must say
    options += ["--continue-on-failure", "--request-timeout", "20", "--checks", "all", "--workers", "1"]
    environ = {"PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "obelisk_hooks", "OBELISK_KNOWN_IDS": known}
    ended = run([*command, f"{url}/v1/openapi.json", *options], daemon.directory, SECONDS + 60, **environ)
    assert ended.code == 0, _explained(ended)


def _explained(ended: Run) -> str:
    return ended.out + ended.err


def test_a_client_made_from_the_description_submits_and_reads_the_result(api: Api) -> None:
    client = Client(api)
    status, made = client.call("submit_new_execution", {"ffqn": "testing:fibo/workflow.fiboa", "params": [10, 2]})
    assert status == 201
    status, result = client.call(
        "get_result", wait=30, **client.linked("submit_new_execution", 201, made, "get_result")
    )
    assert (status, result) == (200, {"ok": 55})
    assert client.call("show_execution", **made)[0] == 200
    assert client.call("show_execution", execution_id=execution_id(999))[1]["code"] == "execution_not_found"


class Client:
    """Knows nothing but the description: it finds operations by name, and checks each answer against its schema."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._document = self._api.get("/v1/openapi.json")
        self._operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in self._document["paths"].items()
            for method, operation in methods.items()
        }

    def call(self, name: str, body: object = None, /, **given: Any) -> tuple[int, Any]:
        method, path, operation = self._operations[name]
        query = {}
        for parameter in operation.get("parameters", ()):
            known = given.get(parameter["name"])
            if known is not None and parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(known, safe=""))
            elif known is not None:
                query[parameter["name"]] = known
        status, document = self._api.request(method.upper(), path, body, **query)
        (content,) = operation["responses"][str(status)]["content"].values()
        schema = {**content["schema"], "components": self._document["components"]}
        jsonschema.Draft202012Validator(schema).validate(document)
        return status, document

    def linked(self, name: str, status: int, answer: Json, to: str) -> Json:
        """Follow a link."""
        reference = self._operations[name][2]["responses"][str(status)]["links"][to]["$ref"]
        link = self._document["components"]["links"][reference.rpartition("/")[2]]
        return {name: answer[where.rpartition("/")[2]] for name, where in link["parameters"].items()}


def test_the_description_is_a_valid_document_of_openapi(api: Api) -> None:
    document = api.get("/v1/openapi.json")
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("examples") is None or isinstance(schema["examples"], list), name
