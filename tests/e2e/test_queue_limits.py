"""50 clients at once against a queue that takes 100."""

from concurrent.futures import ThreadPoolExecutor

from tests import guests
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id

FIBO = "testing:fibo/fibo.fibo"
CLIENTS, EACH, MOST = 50, 6, 100


def full(new_daemon: NewDaemon, when_full: str) -> Daemon:
    """Run a daemon whose activity nobody may run, so that all that is submitted waits."""
    entry = guests.manifest_entry("fibo-activity", labels=["nobody"], max_pending=MOST, when_full=when_full)
    daemon = new_daemon(entry)
    daemon.start()
    return daemon


def submitted(daemon: Daemon) -> dict[str, tuple[int, Json]]:
    """Submit from many clients at once; give the answers by execution, in the order in which each client asked."""

    def client(number: int) -> dict[str, tuple[int, Json]]:
        api, answers = daemon.new_api(), {}
        for one in range(EACH):
            known = execution_id(1 + number * EACH + one)
            answers[known] = api.request("PUT", f"/v1/executions/{known}", {"ffqn": FIBO, "params": [10]})
            assert api.get("/v1/status")["executions"].get("pending_at", 0) <= MOST
        api.close()
        return answers

    with ThreadPoolExecutor(CLIENTS) as clients:
        found = list(clients.map(client, range(CLIENTS)))
    return {known: answer for answers in found for known, answer in answers.items()}


def pending(daemon: Daemon) -> list[str]:
    rows = daemon.api.get("/v1/executions", state="pending_at", limit=500)["executions"]
    return [row["execution_id"] for row in rows]


def test_never_more_wait_than_may_and_who_was_refused_left_nothing(new_daemon: NewDaemon) -> None:
    daemon = full(new_daemon, "reject")
    answers = submitted(daemon)
    accepted = [known for known, (status, _) in answers.items() if status == 201]
    refused = {known: answer for known, answer in answers.items() if answer[0] != 201}
    assert len(accepted) == MOST
    assert sorted(pending(daemon)) == sorted(accepted)
    for known, (status, problem) in refused.items():
        assert (status, problem["code"]) == (429, "queue_full")
        assert daemon.api.request("GET", f"/v1/executions/{known}")[0] == 404
    run = daemon.ctl("submit", FIBO, "[10]")
    assert (run.code, "max_pending is 100" in run.err) == (75, True)
    assert daemon.api.request("PUT", f"/v1/executions/{accepted[0]}", {"ffqn": FIBO, "params": [10]})[0] == 200
    assert daemon.terminate() == 0


def test_the_oldest_that_was_never_started_gives_way_where_that_is_the_rule(new_daemon: NewDaemon) -> None:
    daemon = full(new_daemon, "evict-oldest")
    answers = submitted(daemon)
    assert {status for status, _ in answers.values()} == {201}
    waiting = set(pending(daemon))
    assert len(waiting) == MOST
    created = {known: daemon.api.show(known)["created_at"] for known in answers}
    evicted = [known for known in answers if known not in waiting]
    assert max(created[known] for known in evicted) <= min(created[known] for known in waiting)
    for known in evicted:
        assert daemon.api.result(known)["execution_failure"]["kind"] == "evicted"
        assert [event["type"] for event in daemon.api.events(known)] == ["created", "finished"]
    assert daemon.terminate() == 0
