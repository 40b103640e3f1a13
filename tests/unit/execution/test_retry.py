"""Whether a failed attempt is repeated, and how long to wait before."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.execution.retry import Cause, backoff, is_permanent, is_retried
from tests.building import POLICY, execution_id

CAUSES: tuple[Cause, ...] = ("error", "trap", "timeout", "lost")
STEADY = msgspec.structs.replace(POLICY, jitter=0.0)


@pytest.mark.parametrize("cause", CAUSES)
def test_an_attempt_is_repeated_as_often_as_the_policy_says(cause: Cause) -> None:
    assert [is_retried(POLICY, attempt, cause) for attempt in (1, 5, 6)] == [True, True, False]


@pytest.mark.parametrize("cause", CAUSES)
def test_no_retries_means_at_most_once(cause: Cause) -> None:
    assert not is_retried(msgspec.structs.replace(POLICY, max_retries=0), 1, cause)


@pytest.mark.parametrize("cause", ["error", "trap", "timeout"])
def test_a_cause_that_retry_on_leaves_out_is_final(cause: Cause) -> None:
    others = tuple(other for other in POLICY.retry_on if other != cause)
    assert not is_retried(msgspec.structs.replace(POLICY, retry_on=others), 1, cause)


def test_a_lost_run_is_repeated_whatever_retry_on_says() -> None:
    assert is_retried(msgspec.structs.replace(POLICY, retry_on=()), 1, "lost")


def test_the_wait_grows_by_the_factor_up_to_the_maximum() -> None:
    policy = msgspec.structs.replace(STEADY, initial=1.0, factor=3.0, max=10.0)
    assert [backoff(policy, execution_id(), n).total_seconds() for n in (1, 2, 3, 4)] == [1.0, 3.0, 9.0, 10.0]


def test_the_wait_is_the_same_every_time_it_is_computed() -> None:
    waits = [backoff(POLICY, execution_id(), 3) for _ in range(2)]
    assert waits[0] == waits[1]


def test_jitter_differs_between_executions_and_between_attempts() -> None:
    flat = msgspec.structs.replace(POLICY, factor=1.0)
    waits = {backoff(flat, execution_id(number), attempt) for number in range(5) for attempt in (1, 2)}
    assert len(waits) == 10


@given(attempt=st.integers(1, 50), jitter=st.floats(0, 1), number=st.integers(0, 10**20))
def test_jitter_only_adds_and_only_its_part(attempt: int, jitter: float, number: int) -> None:
    plain = backoff(STEADY, execution_id(number), attempt)
    wait = backoff(msgspec.structs.replace(POLICY, jitter=jitter), execution_id(number), attempt)
    assert plain <= wait <= plain * (1 + jitter) + timedelta(microseconds=1)


@pytest.mark.parametrize("initial", [0.0, 0.1, 1e300])
@pytest.mark.parametrize("attempt", [1_025, 1_000_000_000])
def test_a_power_that_no_float_holds_waits_the_maximum(initial: float, attempt: int) -> None:
    policy = RetryPolicy(attempt, initial=initial, factor=1e30, max=60.0, jitter=0.0, retry_on=())
    assert backoff(policy, execution_id(), attempt) == timedelta(seconds=60 if initial else 0)


@pytest.mark.parametrize("error", ["permanent", "permanent_thing", "not_permanent", {"permanent": 1}])
def test_a_case_that_says_permanent_is_permanent(error: object) -> None:
    assert is_permanent(error)


@pytest.mark.parametrize(
    "error", ["transient", {"transient": "permanent"}, None, 7, ["permanent"], {"a": 1, "permanent": 2}]
)
def test_only_the_name_of_the_case_counts(error: object) -> None:
    assert not is_permanent(error)
