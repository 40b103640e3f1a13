"""What becomes of a manifest file, as a matter of what was read and when: no file, no clock, no waiting."""

import functools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.deployment.settling import (
    HOLD,
    MISSING,
    QUIET,
    Absent,
    Known,
    Propose,
    Refuse,
    Seen,
    Settled,
    Settling,
    Verdict,
    Wait,
    hash_of,
)
from obelisk_daemon.deployment.watching import names_in

ROOT = Path(__file__).resolve().parents[3]
REAL = [ROOT / "obelisk.toml.example", ROOT / "components" / "obelisk.toml"]
A = b'[[activity]]\nname = "a"\npath = "a.wasm"\n'
B = b'[[workflow]]\nname = "b"\npath = "b.wasm"\n'
STUB = b'[[stub]]\nffqn = "a:b/c.d"\n'
ACTIVE = A + B
CHANGED = A + B + b'timeout = "1s"\n'
NO_TOML = b"[[activity]\n"
UNREADABLE = Absent("manifest_unreadable", "the file can't be read: Input/output error")
names = functools.partial(names_in, file=Path("/etc/obelisk.toml"))


def settling(active: bytes = ACTIVE, **known: str | None) -> Settling:
    return Settling(Known(active, known.get("proposed", hash_of(active)), known.get("refused")), names)


def stays(content: Seen, settles: Settling, seconds: float, *, start: float = 0.0) -> list[Verdict]:
    """Observe the same content every eighth of a second, also at the end; give the verdicts."""
    return [settles.observe(content, start + step / 8) for step in range(int(seconds * 8) + 1)]


def line_ends(content: bytes) -> list[int]:
    return [at + 1 for at, byte in enumerate(content) if byte == ord("\n") and at + 1 < len(content)]


# What is new is proposed when it is quiet


def test_the_file_as_it_was_last_proposed_is_settled() -> None:
    assert settling().observe(ACTIVE, 0) == Settled()


def test_new_content_is_proposed_once_it_has_been_the_same_for_the_quiet_time() -> None:
    settles = settling()
    assert settles.observe(CHANGED, 10) == Wait(QUIET)
    assert settles.observe(CHANGED, 10.125) == Wait(0.125)
    assert settles.observe(CHANGED, 10.25) == Propose(CHANGED)


def test_a_proposal_is_given_again_until_its_outcome_is_told() -> None:
    settles = settling()
    stays(CHANGED, settles, QUIET)
    assert settles.observe(CHANGED, 1) == Propose(CHANGED)
    settles.accepted(CHANGED)
    assert settles.observe(CHANGED, 2) == Settled()


def test_other_content_begins_the_quiet_time_anew() -> None:
    settles = settling()
    settles.observe(CHANGED, 0)
    assert settles.observe(CHANGED + b"#", 0.125) == Wait(QUIET)
    assert settles.observe(CHANGED, 0.25) == Wait(QUIET)


def test_a_touched_file_gives_nothing_however_often_it_is_looked_at() -> None:
    assert set(map(repr, stays(ACTIVE, settling(), 20))) == {repr(Settled())}


def test_an_edit_that_is_undone_gives_nothing_and_is_forgotten() -> None:
    settles = settling()
    settles.observe(CHANGED, 0)
    assert settles.observe(ACTIVE, 0.125) == Settled()
    assert settles.observe(CHANGED, 0.25) == Wait(QUIET)


def test_what_is_no_toml_is_proposed_at_once_so_that_the_check_can_say_where_it_is_wrong() -> None:
    assert stays(NO_TOML, settling(), QUIET)[-1] == Propose(NO_TOML)


def test_slow_writing_that_ends_whole_proposes_only_the_whole() -> None:
    settles = settling()
    verdicts = [settles.observe(CHANGED[:size], size / 8) for size in range(len(CHANGED))]
    assert not any(isinstance(verdict, Propose | Refuse) for verdict in verdicts)
    assert stays(CHANGED, settles, 1, start=len(CHANGED) / 8)[2:] == [Propose(CHANGED)] * 7


def test_a_manifest_written_line_by_line_may_pause_up_to_the_hold_while_components_are_lacking() -> None:
    new = b"# new\n" + ACTIVE + b"timeout = '1s'\n"
    settles = settling()
    for number, end in enumerate([line_ends(new)[0], new.index(B)]):
        verdicts = stays(new[:end], settles, HOLD - 0.125, start=number * HOLD)
        assert not any(isinstance(verdict, Propose | Refuse) for verdict in verdicts)
    assert stays(new, settles, QUIET, start=2 * HOLD)[-1] == Propose(new)


def test_of_100_contents_in_2_seconds_only_the_last_is_proposed() -> None:
    settles = settling()
    contents = [CHANGED + b"# %d\n" % number for number in range(100)]
    verdicts = [settles.observe(content, number / 50) for number, content in enumerate(contents)]
    assert not any(isinstance(verdict, Propose) for verdict in verdicts)
    assert stays(contents[-1], settles, QUIET, start=2)[-1] == Propose(contents[-1])


def test_without_an_active_manifest_everything_but_an_empty_file_is_new() -> None:
    assert stays(CHANGED, settling(b"", proposed=None), QUIET)[-1] == Propose(CHANGED)


# What seems to be cut off is held


@pytest.mark.parametrize(
    ("seen", "code", "why"),
    [
        (MISSING, "manifest_missing", "not there"),
        (b"", "manifest_empty", "empty"),
        (b" \r\n\t\n", "manifest_empty", "empty"),
        (A, "manifest_truncated", "beginning of the active manifest"),
        (UNREADABLE, "manifest_unreadable", "can't be read"),
    ],
)
def test_what_seems_to_be_no_whole_manifest_is_held_and_then_refused_once(seen: Seen, code: str, why: str) -> None:
    settles = settling()
    *early, last = stays(seen, settles, HOLD)
    assert all(isinstance(verdict, Wait) for verdict in early)
    assert isinstance(early[-1], Wait)
    assert why in early[-1].why
    assert isinstance(last, Refuse)
    assert last.code == code
    assert settles.observe(seen, HOLD + 1) == Settled()


def test_a_hold_says_how_long_it_still_is() -> None:
    settles = settling()
    assert settles.observe(A, 0) == Wait(QUIET)
    assert settles.observe(A, 1) == Wait(HOLD - 1, "the file is the beginning of the active manifest")


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.name)
def test_a_real_manifest_cut_off_at_any_line_is_never_proposed(file: Path) -> None:
    whole = file.read_bytes()
    for end in line_ends(whole):
        *early, last = stays(whole[:end], settling(whole), HOLD)
        assert all(isinstance(verdict, Wait) for verdict in early), end
        assert isinstance(last, Refuse), end
        assert last.code == "manifest_truncated", end


def test_a_manifest_cut_off_at_any_byte_is_never_proposed() -> None:
    for end in range(len(ACTIVE)):
        *early, last = stays(ACTIVE[:end], settling(), HOLD)
        assert all(isinstance(verdict, Wait) for verdict in early), end
        assert isinstance(last, Refuse), end
        assert last.code == ("manifest_truncated" if end else "manifest_empty"), end


def test_a_cut_off_manifest_that_is_completed_within_the_hold_gives_nothing() -> None:
    settles = settling()
    stays(A, settles, HOLD - 0.125)
    assert settles.observe(ACTIVE, HOLD) == Settled()
    assert isinstance(settles.observe(A, HOLD + 1), Wait)


def test_the_refusal_of_a_cut_off_manifest_names_the_cure() -> None:
    refusal = stays(A, settling(), HOLD)[-1]
    assert isinstance(refusal, Refuse)
    assert "save it whole" in refusal.message
    assert "`obelisk-ctl manifest reload --allow-remove`" in refusal.message


@pytest.mark.parametrize("content", [B, b"# only this\n", b"# renamed\n" + ACTIVE.replace(b'"a"', b'"c"')])
def test_a_manifest_that_lacks_a_component_is_proposed_only_after_the_hold(content: bytes) -> None:
    *early, last = stays(content, settling(), HOLD)
    assert all(isinstance(verdict, Wait) for verdict in early)
    assert last == Propose(content)


def test_a_manifest_that_lacks_a_stub_is_held_too() -> None:
    settles = settling(ACTIVE + STUB)
    stays(CHANGED, settles, QUIET)
    assert settles.observe(CHANGED, 1) == Wait(HOLD - 1, 'the file lacks "a:b/c.d"')


def test_many_lacking_components_are_counted_and_not_all_named() -> None:
    settles = settling(b"".join(A.replace(b'"a"', b'"a%d"' % number) for number in range(9)))
    stays(B, settles, QUIET)
    assert settles.observe(B, 1) == Wait(HOLD - 1, 'the file lacks "a0", "a1", "a2" and 6 more')


def test_components_added_and_moved_are_not_held() -> None:
    new = STUB + B + A
    assert stays(new, settling(), QUIET)[-1] == Propose(new)


def test_names_are_not_read_before_the_content_is_quiet() -> None:
    def unexpected(content: bytes) -> frozenset[str]:
        raise AssertionError("an editor at work costs a parse for each of its writes")

    settles = Settling(Known(ACTIVE, hash_of(ACTIVE)), unexpected)
    assert settles.observe(CHANGED, 0) == Wait(QUIET)


# What was refused, and what is active now


def test_what_was_refused_is_not_proposed_again() -> None:
    settles = settling()
    stays(NO_TOML, settles, QUIET)
    settles.refused(NO_TOML)
    assert set(map(repr, stays(NO_TOML, settles, 20, start=1))) == {repr(Settled())}


def test_what_was_refused_before_the_start_is_settled() -> None:
    assert settling(refused=hash_of(CHANGED)).observe(CHANGED, 0) == Settled()


def test_the_same_mistake_made_again_after_it_was_put_right_is_proposed_again() -> None:
    settles = settling()
    settles.refused(NO_TOML)
    assert settles.observe(ACTIVE, 1) == Settled()
    assert stays(NO_TOML, settles, QUIET, start=2)[-1] == Propose(NO_TOML)


def test_other_content_that_never_became_quiet_does_not_bring_a_refused_one_back() -> None:
    settles = settling()
    settles.refused(NO_TOML)
    settles.observe(CHANGED, 1)
    assert settles.observe(NO_TOML, 2) == Settled()
    assert settles.observe(CHANGED, 3) == Wait(QUIET)


def test_a_refused_manifest_is_tried_again_when_a_file_beside_it_has_changed() -> None:
    settles = settling()
    settles.refused(CHANGED)
    settles.retry()
    assert settles.observe(CHANGED, 1) == Wait(QUIET)
    assert settles.observe(CHANGED, 1 + QUIET) == Propose(CHANGED)


def test_a_manifest_waits_until_the_files_beside_it_are_quiet_as_well() -> None:
    settles = settling()
    settles.observe(CHANGED, 0)
    settles.retry()
    assert settles.observe(CHANGED, QUIET) == Wait(QUIET)


def test_a_retry_does_not_propose_what_was_accepted() -> None:
    settles = settling()
    settles.retry()
    assert settles.observe(ACTIVE, 1) == Settled()


def test_after_a_rollback_the_file_is_not_proposed_though_it_differs_from_what_is_active() -> None:
    settles = settling()
    settles.accepted(CHANGED)
    settles.activated(CHANGED)
    settles.activated(ACTIVE)
    assert set(map(repr, stays(CHANGED, settles, 20))) == {repr(Settled())}
    assert settles.known == Known(ACTIVE, hash_of(CHANGED))


def test_a_prefix_is_one_of_what_is_active_now() -> None:
    settles = settling()
    settles.activated(CHANGED)
    stays(ACTIVE + b"\n", settles, QUIET)
    assert settles.observe(ACTIVE + b"\n", 1) == Propose(ACTIVE + b"\n")
    stays(CHANGED[:-1], settles, QUIET, start=2)
    assert isinstance(settles.observe(CHANGED[:-1], 3), Wait)


def test_what_is_lacking_is_told_by_what_is_active_now() -> None:
    settles = settling()
    settles.activated(B)
    assert stays(b"\n" + B, settles, QUIET)[-1] == Propose(b"\n" + B)


def test_a_manifest_that_was_refused_and_is_accepted_later_is_no_longer_refused() -> None:
    settles = settling()
    settles.refused(CHANGED)
    settles.accepted(CHANGED)
    assert settles.known == Known(ACTIVE, hash_of(CHANGED))


def test_a_file_that_is_brought_to_what_a_rollback_made_active_is_proposed_so_that_it_counts_again() -> None:
    settles = settling(proposed=hash_of(CHANGED))
    assert stays(ACTIVE, settles, QUIET)[-1] == Propose(ACTIVE)


# For any sequence of looks

contents = st.sampled_from([ACTIVE, CHANGED, A, B, NO_TOML, b"", MISSING, UNREADABLE, STUB + ACTIVE])
pauses = st.integers(1, 64).map(lambda sixteenths: sixteenths / 16)
outcomes = st.sampled_from(["accepted", "refused", "untold"])
looks = st.lists(st.tuples(contents, st.lists(pauses, min_size=1, max_size=4), outcomes), max_size=20)


@given(looks)
def test_only_what_every_look_of_the_quiet_time_saw_is_proposed(
    looks: list[tuple[Seen, list[float], str]],
) -> None:
    settles, now, since, before = settling(), 0.0, 0.0, None
    for seen, pauses, outcome in looks:
        for pause in pauses:
            now += pause
            since = since if seen == before else now
            before = seen
            lacking = (names(settles.known.active) or set()) - (
                names(seen) or set() if isinstance(seen, bytes) else set()
            )
            verdict = settles.observe(seen, now)
            if isinstance(verdict, Propose):
                assert verdict.content == seen
                assert now - since >= (QUIET if names(verdict.content) is None or not lacking else HOLD)
                assert seen == settles.known.active or not settles.known.active.startswith(verdict.content)
                tell(settles, verdict.content, outcome)
            elif isinstance(verdict, Refuse):
                assert now - since >= HOLD
                assert settles.observe(seen, now) == Settled()
            elif isinstance(verdict, Wait):
                assert 0 < verdict.seconds <= HOLD - (now - since)


def tell(settles: Settling, content: bytes, outcome: str) -> None:
    if outcome == "accepted":
        settles.accepted(content)
        settles.activated(content)
    elif outcome == "refused":
        settles.refused(content)


@given(looks, contents)
def test_whatever_was_seen_before_the_end_is_the_same(looks: list[tuple[Seen, list[float], str]], last: Seen) -> None:
    """Quiet for the hold, the file has come to its end: it is settled, proposed, or was refused."""
    settles, now = settling(), 0.0
    for seen, pauses, _ in looks:
        for pause in pauses:
            now += pause
            settles.observe(seen, now)
    verdicts = stays(last, settles, HOLD, start=now + 1)
    whole = isinstance(last, bytes) and last not in (ACTIVE, A, b"")
    assert (verdicts[-1] == Propose(last)) == whole
    assert whole or settles.observe(last, now + 20) == Settled()
