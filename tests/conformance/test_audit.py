"""What the audit log keeps, and in which order it gives it."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.storage import audit
from obelisk_daemon.storage.audit import AuditEntry, AuditFilter, AuditOutcome
from obelisk_daemon.storage.sql import auditing
from obelisk_daemon.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio
DONE = AuditOutcome(Instant(2_000), 200)


def entry(at: int = 1_000, *, actor: str = "ci", action: str = "cancel", subject: str = "E_1") -> AuditEntry:
    return AuditEntry(
        at=Instant(at),
        actor=actor,
        peer="192.0.2.7",
        role="operate",
        action=action,
        subject=subject,
        params='{"force":true}',
    )


async def test_a_row_has_no_outcome_until_it_is_completed(store: SqlStore) -> None:
    audit_id = await store.audit_begin(entry())
    (begun,) = await store.audit_rows(AuditFilter(limit=10))
    assert (begun.audit_id, begun.entry, begun.outcome, begun.refused) == (audit_id, entry(), None, False)
    outcome = AuditOutcome(Instant(3_000), 409, "not_cancellable")
    await store.audit_end(audit_id, outcome)
    (ended,) = await store.audit_rows(AuditFilter(limit=10))
    assert (ended.entry, ended.outcome) == (entry(), outcome)


async def test_a_refusal_is_kept_with_its_outcome_and_with_how_many_were_not(store: SqlStore) -> None:
    await store.audit_refused(entry(), AuditOutcome(Instant(1_000), 403, "forbidden"), 7)
    (row,) = await store.audit_rows(AuditFilter(limit=10))
    assert (row.refused, row.left_out, row.outcome) == (True, 7, AuditOutcome(Instant(1_000), 403, "forbidden"))


async def test_rows_are_given_newest_first_page_by_page(store: SqlStore) -> None:
    ids = [await store.audit_begin(entry(at)) for at in (1_000, 2_000, 3_000)]
    first = await store.audit_rows(AuditFilter(limit=2))
    second = await store.audit_rows(AuditFilter(limit=2, cursor=first[-1].audit_id))
    assert [row.audit_id for row in (*first, *second)] == ids[::-1]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"actor": "ops"}, [2]),
        ({"action": "pause"}, [3]),
        ({"subject": "E_2"}, [4, 2]),
        ({"subject": "E_2", "actor": "ci"}, [4]),
        ({"subject": "E_2", "after": Instant(4)}, [4]),
        ({"after": Instant(2), "before": Instant(4)}, [3, 2]),
        ({"subject": "nothing"}, []),
        ({"before": Instant(0)}, []),
    ],
)
async def test_rows_are_found_by_who_what_whom_and_when(
    store: SqlStore, chosen: dict[str, object], found: list[int]
) -> None:
    for number, more in enumerate(({}, {"actor": "ops", "subject": "E_2"}, {"action": "pause"}, {"subject": "E_2"}), 1):
        await store.audit_begin(entry(number, **more))
    rows = await store.audit_rows(AuditFilter(limit=10, **chosen))  # type: ignore[arg-type]
    assert [row.entry.at for row in rows] == found


async def test_refusals_push_out_only_refusals(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (audit.KEPT, audit.KEPT_REFUSED) == (100_000, 10_000)
    monkeypatch.setattr(auditing, "KEPT", 5)
    monkeypatch.setattr(auditing, "KEPT_REFUSED", 3)
    monkeypatch.setattr(auditing, "_TIDY_EVERY", 10)
    for number in range(8):
        await store.audit_begin(entry(number))
    for number in range(8, 40):
        await store.audit_refused(entry(number), DONE, 0)
    rows = await store.audit_rows(AuditFilter(limit=100))
    assert [row.entry.at for row in rows if row.refused] == [39, 38, 37]
    assert [row.entry.at for row in rows if not row.refused] == [7, 6, 5, 4, 3]
