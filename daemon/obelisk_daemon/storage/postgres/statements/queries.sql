-- What PostgreSQL has to be asked in other words than SQLite.

-- name: deliver_response
UPDATE execution SET
    response_count = response_count + 1,
    join_missing = join_missing - CASE WHEN status = 'blocked' AND join_set = :join_set THEN 1 ELSE 0 END,
    due_at = CASE WHEN status = 'blocked' AND join_set = :join_set AND join_missing <= 1
        THEN CASE WHEN executor_id IS NULL THEN :at ELSE :hot_until END ELSE due_at END,
    status = CASE WHEN status = 'blocked' AND join_set = :join_set AND join_missing <= 1
        THEN 'pending_at' ELSE status END
WHERE execution_id = :execution_id AND status <> 'finished'
RETURNING response_count, status, lifecycle, due_at, run_id, executor_id;

-- What another host is at is passed over.
-- name: due_delays
SELECT delay_id, execution_id, join_set, requested_at FROM delay
WHERE due_at <= ? AND is_paused = 0 ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED;

-- name: due_in_queue
SELECT * FROM execution
WHERE status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL AND rank = ?1 AND ffqn = ?2 AND labels = ?3
  AND due_at <= ?4 AND (due_at, execution_id) > (?5, ?6) AND NOT EXISTS (
    SELECT 1 FROM suspect s
    WHERE s.execution_id = execution.execution_id AND s.version = execution.version AND s.shared_at > ?4
  )
ORDER BY due_at, execution_id LIMIT ?7 FOR UPDATE SKIP LOCKED;

-- name: forsaken
SELECT * FROM execution
WHERE status = 'pending_at' AND status <> 'finished' AND executor_id <> ?1 AND due_at <= ?2 AND lifecycle = 'active'
FOR UPDATE SKIP LOCKED;

-- Each connection counts in a row of its own, so that hosts don't wait for each other: only the sum means something.
-- name: count_queued
INSERT INTO queue_length (component, share, never_started) VALUES (?1, pg_backend_pid() % 64, ?2)
ON CONFLICT (component, share) DO UPDATE SET never_started = queue_length.never_started + ?2;

-- name: count_unqueued
INSERT INTO queue_length (component, share, never_started)
SELECT component, pg_backend_pid() % 64, -1 FROM execution WHERE execution_id = ?
ON CONFLICT (component, share) DO UPDATE SET never_started = queue_length.never_started - 1;

-- name: count_queues_again
INSERT INTO queue_length (component, share, never_started)
SELECT component, 0, count(*) FROM execution
WHERE status = 'pending_at' AND status <> 'finished' AND started_at IS NULL GROUP BY component;

-- name: read_queue_lengths
SELECT component, sum(never_started)::bigint AS never_started FROM queue_length GROUP BY component;

-- name: queue_room
SELECT l.component, l.max_pending, l.when_full, coalesce(
    CASE WHEN l.component = '' THEN (SELECT sum(never_started) FROM queue_length)
    ELSE (SELECT sum(never_started) FROM queue_length WHERE component = l.component) END, 0)::bigint AS waiting
FROM queue_limit l WHERE l.component IN ('', ?) AND l.max_pending IS NOT NULL ORDER BY l.component DESC;

-- name: wrong_queue_lengths
WITH counted (component, number) AS (
    SELECT component, count(*) FROM execution
    WHERE status = 'pending_at' AND status <> 'finished' AND started_at IS NULL GROUP BY component
), kept (component, number) AS (
    SELECT component, sum(never_started)::bigint FROM queue_length GROUP BY component
)
SELECT component, coalesce(k.number, 0), coalesce(c.number, 0) FROM kept k FULL JOIN counted c USING (component)
WHERE coalesce(k.number, 0) <> coalesce(c.number, 0);

-- name: follow_functions
UPDATE execution
SET component = a.component, rank = CASE WHEN execution.priority IS NULL THEN 9 - a.priority ELSE execution.rank END
FROM allowed a
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') AND a.ffqn = execution.ffqn
  AND (execution.component <> a.component OR execution.priority IS NULL AND execution.rank <> 9 - a.priority);

-- name: automatic_pauses
SELECT pause_reason, count(*) FROM execution
WHERE status IN ('pending_at', 'blocked') AND status <> 'finished' AND lifecycle = 'paused' AND pause_reason <> 'operator'
GROUP BY pause_reason;

-- name: matching
SELECT e.execution_id, e.ffqn, e.component, e.digest, e.status, e.lifecycle, e.created_at, e.changed_at, e.version,
    e.failed_attempts, e.due_at, e.join_set, e.pause_reason, e.parent_id, e.labels, e.priority, e.started_at,
    e.executor_id, e.ending, e.tags, CASE WHEN length(e.outcome) <= :longest THEN e.outcome END AS outcome
FROM execution e
WHERE e.execution_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))
  AND (e.created_at, e.execution_id) < (:at, :before) AND e.created_at >= :since
  AND (:status::text IS NULL OR e.status = :status)
  AND (:lifecycle::text IS NULL OR e.lifecycle = :lifecycle)
  AND (:unfinished = 0 OR e.status <> 'finished')
  AND (:prefix::text IS NULL OR e.ffqn >= :prefix AND e.ffqn < :prefix_end)
  AND (:parent::text IS NULL OR e.parent_id = :parent)
  AND (:top_level = 0 OR e.parent_id IS NULL)
  AND (:component::text IS NULL OR e.component = :component)
  AND (:digest::text IS NULL OR starts_with(e.digest, :digest))
  AND (:outcome::text IS NULL OR :outcome = CASE WHEN e.ending IN ('ok', 'err') THEN e.ending WHEN e.ending <> '' THEN 'failed' END)
  AND (:failure::text IS NULL OR e.ending = :failure)
  AND (:label::text IS NULL OR strpos(',' || e.labels || ',', ',' || :label || ',') > 0
       OR e.ffqn IN (SELECT jsonb_array_elements_text(:requiring::jsonb)))
  AND (:tags::text IS NULL OR NOT EXISTS (
    SELECT 1 FROM jsonb_array_elements(:tags::jsonb) w WHERE NOT EXISTS (
      SELECT 1 FROM jsonb_each_text(e.tags::jsonb) t
      WHERE t.key = w.value ->> 0 AND (w.value ->> 1 IS NULL OR t.value = w.value ->> 1))))
ORDER BY e.created_at DESC, e.execution_id DESC LIMIT :limit;

-- name: bytes_at_end
SELECT (coalesce((SELECT sum(length(body)) FROM event
        WHERE execution_id = ?1 AND version > (SELECT max(version) FROM event WHERE execution_id = ?1) - ?2), 0)
    + coalesce((SELECT sum(length(body)) FROM response
        WHERE execution_id = ?1 AND seq > (SELECT max(seq) FROM response WHERE execution_id = ?1) - ?2), 0))::bigint;

-- One host removes a tree, the others pass it over.
-- name: may_be_removed
SELECT 1 FROM execution
WHERE execution_id = :root AND status = 'finished' AND parent_id IS NULL
  AND (changed_at <= :before OR EXISTS (SELECT 1 FROM removal WHERE execution_id = :root))
FOR UPDATE SKIP LOCKED;

-- name: component_bytes
SELECT coalesce(sum(length(code)), 0)::bigint FROM component;

-- Held until the transaction ends. Whoever wants it alone waits for all who share it.
-- name: guard
SELECT pg_advisory_xact_lock(hashtextextended('obelisk ' || ?::text, 0));

-- name: guard_shared
SELECT pg_advisory_xact_lock_shared(hashtextextended('obelisk ' || ?::text, 0));

-- name: note_commit
INSERT INTO committed (writer, number) VALUES (?, ?)
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = now();

-- Waits for a transaction of the same writer whose connection is lost, and which may still be at work.
-- name: last_commit
SELECT number FROM committed WHERE writer = ? FOR UPDATE;

-- A writer is a daemon from start to stop, so each start leaves a row.
-- name: forget_commits
DELETE FROM committed WHERE at < now() - interval '7 days';

-- name: generation_in_force
SELECT max(number) AS number FROM generation;

-- name: database_size
SELECT pg_database_size(current_database()) AS bytes;

-- name: database_time
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at;

-- name: announce
SELECT pg_notify('obelisk', ?);

-- name: begin
BEGIN;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: server
SELECT (current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery())::int AS read_only,
    current_setting('server_encoding') AS encoding, current_setting('server_version_num')::bigint AS version;
