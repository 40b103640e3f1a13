-- name: insert_execution
INSERT INTO execution (
    execution_id, ffqn, component, digest, parent_id, parent_join_set, created_at, changed_at, version, status,
    lifecycle, due_at, executor_id, run_id, locked_version, failed_attempts, join_set, pause_reason, outcome
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_event
INSERT INTO event (execution_id, version, created_at, body) VALUES (?, ?, ?, ?);

-- name: update_by_run
UPDATE execution SET
    digest = ?, changed_at = ?, version = ?, status = ?, lifecycle = ?, due_at = ?, executor_id = ?, run_id = ?,
    locked_version = ?, failed_attempts = ?, join_set = ?, pause_reason = ?, outcome = ?
WHERE execution_id = ? AND version = ? AND run_id = ?;

-- name: update_by_version
UPDATE execution SET
    digest = ?, changed_at = ?, version = ?, status = ?, lifecycle = ?, due_at = ?, executor_id = ?, run_id = ?,
    locked_version = ?, failed_attempts = ?, join_set = ?, pause_reason = ?, outcome = ?
WHERE execution_id = ? AND version = ?;

-- name: await_responses
UPDATE execution SET
    join_missing = :missing,
    status = CASE WHEN :missing <= 0 THEN 'pending_at' ELSE status END,
    due_at = CASE WHEN :missing <= 0 THEN :due_at ELSE due_at END
WHERE execution_id = :execution_id;

-- name: count_responses
SELECT count(*) FROM response WHERE execution_id = ? AND join_set = ?;

-- name: deliver_response
UPDATE execution SET
    response_count = response_count + 1,
    join_missing = join_missing - (status = 'blocked' AND join_set = :join_set),
    due_at = CASE WHEN status = 'blocked' AND join_set = :join_set AND join_missing <= 1
        THEN CASE WHEN executor_id IS NULL THEN :at ELSE :hot_until END ELSE due_at END,
    status = CASE WHEN status = 'blocked' AND join_set = :join_set AND join_missing <= 1
        THEN 'pending_at' ELSE status END
WHERE execution_id = :execution_id AND status <> 'finished'
RETURNING response_count, status, lifecycle, due_at, run_id;

-- name: insert_response
INSERT INTO response (execution_id, seq, created_at, join_set, body) VALUES (?, ?, ?, ?, ?);

-- name: insert_delay
INSERT INTO delay (delay_id, execution_id, join_set, due_at) VALUES (?, ?, ?, ?);

-- name: due_delays
SELECT delay_id, execution_id, join_set FROM delay
WHERE due_at <= ? AND is_paused = 0 ORDER BY due_at LIMIT ?;

-- name: delete_delay
DELETE FROM delay WHERE delay_id = ?;

-- name: take_delay
DELETE FROM delay WHERE delay_id = ? RETURNING execution_id, join_set;

-- name: set_delay_paused
UPDATE delay SET is_paused = ? WHERE delay_id = ? RETURNING due_at;

-- name: delays_of
SELECT delay_id, join_set, due_at, is_paused FROM delay
WHERE execution_id = ? AND delay_id > ? ORDER BY delay_id LIMIT ?;

-- name: delete_delays_of
DELETE FROM delay WHERE execution_id = ?;

-- name: insert_log_line
INSERT INTO log_line (execution_id, run_id, created_at, level, message) VALUES (?, ?, ?, ?, ?);

-- name: insert_failure
INSERT INTO failure (failure_id, execution_id, kind, message, backtrace, cause, evidence)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: execution_row
SELECT * FROM execution WHERE execution_id = ?;

-- name: created_event
SELECT created_at, body FROM event WHERE execution_id = ? AND version = 0;

-- name: event_body
SELECT body FROM event WHERE execution_id = ? AND version = ?;

-- In this and in the next ones, `status <> 'finished'` is what lets SQLite take the partial index. In this one the
-- index and the order of the join are fixed: by function it would read all that ever finished.
-- name: lock_due
SELECT e.* FROM execution e INDEXED BY execution_unfinished
CROSS JOIN allowed a ON a.ffqn = e.ffqn
WHERE e.status = 'pending_at' AND e.status <> 'finished' AND e.due_at <= :at AND e.lifecycle = 'active'
  AND (e.executor_id IS NULL OR e.executor_id <> :executor_id)
  AND (a.ffqn, a.digest) IN (SELECT key, value FROM json_each(:runnable))
ORDER BY e.due_at LIMIT :limit;

-- name: next_pending
SELECT min(due_at) FROM execution
WHERE status = 'pending_at' AND status <> 'finished' AND due_at > ? AND lifecycle = 'active' AND executor_id IS NULL;

-- name: next_delay
SELECT min(due_at) FROM delay WHERE is_paused = 0;

-- name: children
SELECT execution_id, ffqn FROM execution WHERE parent_id = ? AND status <> 'finished';

-- A run that is being cancelled is the canceller's to end.
-- name: lost_runs
SELECT * FROM execution
WHERE status = 'locked' AND status <> 'finished' AND executor_id <> ? AND lifecycle <> 'cancelling' LIMIT ?;

-- name: release_hot
UPDATE execution SET
    executor_id = NULL, run_id = NULL, locked_version = NULL,
    due_at = CASE WHEN status = 'pending_at' THEN changed_at ELSE due_at END
WHERE status IN ('blocked', 'pending_at') AND status <> 'finished' AND executor_id IS NOT NULL AND executor_id <> ?;

-- name: release_run
UPDATE execution SET
    executor_id = NULL, run_id = NULL, locked_version = NULL,
    due_at = CASE WHEN status = 'pending_at' THEN ? ELSE due_at END
WHERE execution_id = ?;

-- name: heartbeat
UPDATE executor SET seen_at = ? WHERE executor_id = ?;

-- name: cancelling
SELECT execution_id FROM execution
WHERE status IN ('pending_at', 'locked', 'blocked') AND status <> 'finished' AND lifecycle = 'cancelling';

-- name: paused_automatically
SELECT execution_id, ffqn, digest FROM execution
WHERE status IN ('pending_at', 'blocked') AND status <> 'finished'
  AND lifecycle = 'paused' AND pause_reason = 'nondeterminism';

-- name: register_executor
INSERT INTO executor (executor_id, host, started_at, seen_at) VALUES (?, ?, ?, ?);

-- name: active_generation
SELECT number, activated_at, content_hash, manifest FROM generation ORDER BY number DESC LIMIT 1;

-- name: insert_generation
INSERT INTO generation (number, activated_at, content_hash, manifest) VALUES (?, ?, ?, ?);

-- name: insert_generation_component
INSERT INTO generation_component (number, digest) VALUES (?, ?);

-- name: generation_components
SELECT digest FROM generation_component WHERE number = ? ORDER BY digest;

-- name: clear_allowed
DELETE FROM allowed;

-- name: insert_allowed
INSERT INTO allowed (ffqn, digest) VALUES (?, ?);

-- name: read_allowed
SELECT ffqn, digest FROM allowed ORDER BY ffqn;

-- name: insert_component
INSERT INTO component (digest, code) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING;

-- name: component_code
SELECT code FROM component WHERE digest = ?;

-- name: list_executions
SELECT * FROM execution
WHERE (:before IS NULL OR execution_id < :before)
  AND (:status IS NULL OR status = :status)
  AND (:top_level = 0 OR parent_id IS NULL)
ORDER BY execution_id DESC LIMIT :limit;

-- name: list_children
SELECT * FROM execution
WHERE parent_id = :parent
  AND (:before IS NULL OR execution_id < :before)
  AND (:status IS NULL OR status = :status)
ORDER BY execution_id DESC LIMIT :limit;

-- name: list_by_function
SELECT * FROM execution
WHERE ffqn >= :prefix AND ffqn < :prefix_end
  AND (:before IS NULL OR execution_id < :before)
  AND (:status IS NULL OR status = :status)
  AND (:top_level = 0 OR parent_id IS NULL)
ORDER BY execution_id DESC LIMIT :limit;

-- name: events_from
SELECT version, created_at, body FROM event WHERE execution_id = ? AND version >= ? ORDER BY version LIMIT ?;

-- name: responses_from
SELECT seq, created_at, join_set, body FROM response WHERE execution_id = ? AND seq >= ? ORDER BY seq LIMIT ?;

-- name: log_lines_after
SELECT position, run_id, created_at, level, message FROM log_line
WHERE execution_id = ? AND position > ? ORDER BY position LIMIT ?;

-- name: failure
SELECT failure_id, execution_id, kind, message, backtrace, cause, evidence FROM failure WHERE failure_id = ?;

-- name: counts
SELECT status, lifecycle, count(*) FROM execution WHERE status <> 'finished' GROUP BY status, lifecycle;
