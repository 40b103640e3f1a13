-- name: register_host
INSERT INTO host (host, version, started_at, seen_at, lease_until, draining) VALUES (?, ?, ?, ?, ?, 0)
ON CONFLICT (host) DO UPDATE SET version = excluded.version, started_at = excluded.started_at,
    seen_at = excluded.seen_at, lease_until = excluded.lease_until, generation = NULL;

-- name: forget_hosts
DELETE FROM host WHERE seen_at < ?;

-- name: beat_of_host
UPDATE host SET seen_at = ?, lease_until = ? WHERE host = ? AND started_at = ? RETURNING draining;

-- What was declared dead stays so.
-- name: beat_of_executor
UPDATE executor SET seen_at = ?, lease_until = ? WHERE executor_id = ? AND lease_until > 0;

-- name: end_lease_of_host
UPDATE host SET lease_until = 0 WHERE host = ? AND started_at = ?;

-- name: end_lease_of_executor
UPDATE executor SET lease_until = 0 WHERE executor_id = ?;

-- name: end_leases_of_hosts
UPDATE host SET lease_until = 0;

-- name: end_leases_of_executors
UPDATE executor SET lease_until = 0;

-- name: lease_of_host
SELECT lease_until FROM host WHERE host = ? AND lease_until > ?;

-- name: is_alive
SELECT 1 FROM executor WHERE executor_id = ? AND lease_until > 0;

-- name: declare_dead
UPDATE executor SET lease_until = 0 WHERE lease_until > 0 AND lease_until <= ?;

-- Executors that hold something, each found from the one before, and of these the dead: there are few of either.
-- name: dead_holders
WITH RECURSIVE held (status, executor_id) AS (
    SELECT s.status, (SELECT min(executor_id) FROM execution INDEXED BY execution_unfinished
        WHERE status <> 'finished' AND status = s.status AND executor_id > '')
    FROM (SELECT 'locked' AS status UNION ALL SELECT 'blocked' UNION ALL SELECT 'pending_at') s
    UNION ALL
    SELECT held.status, (SELECT min(e.executor_id) FROM execution e INDEXED BY execution_unfinished
        WHERE e.status <> 'finished' AND e.status = held.status AND e.executor_id > held.executor_id)
    FROM held WHERE held.executor_id IS NOT NULL
)
SELECT DISTINCT executor_id FROM held
WHERE executor_id IS NOT NULL AND executor_id NOT IN (SELECT executor_id FROM executor WHERE lease_until > 0);

-- A run that is being cancelled is the canceller's to end.
-- name: lost_runs
SELECT * FROM execution INDEXED BY execution_unfinished
WHERE status = 'locked' AND status <> 'finished' AND lifecycle <> 'cancelling'
  AND executor_id IN (SELECT value FROM json_each(?)) LIMIT ?;

-- name: release_hot
UPDATE execution SET
    executor_id = NULL, run_id = NULL, locked_version = NULL,
    due_at = CASE WHEN status = 'pending_at' THEN changed_at ELSE due_at END
WHERE status IN ('blocked', 'pending_at') AND status <> 'finished'
  AND executor_id IN (SELECT value FROM json_each(?))
RETURNING execution_id, status, lifecycle, due_at;

-- name: note_generation
UPDATE host SET generation = ? WHERE host = ?;

-- name: describe_executor
UPDATE executor SET labels = ?, max_running = ? WHERE host = ? AND name = ? AND lease_until > 0;

-- name: set_draining
UPDATE host SET draining = ? WHERE host = ?;

-- name: hosts
SELECT host, version, started_at, seen_at, lease_until, generation, draining FROM host ORDER BY host;
