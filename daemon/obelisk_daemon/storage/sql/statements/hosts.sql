-- name: register_host
INSERT INTO host (host, version, started_at, seen_at, lease_until, draining) VALUES (?, ?, ?, ?, ?, 0)
ON CONFLICT (host) DO UPDATE SET version = excluded.version, started_at = excluded.started_at,
    seen_at = excluded.seen_at, lease_until = excluded.lease_until, generation = NULL;

-- name: forget_hosts
DELETE FROM host WHERE seen_at < ?;

-- name: beat_of_host
UPDATE host SET seen_at = ?, lease_until = ? WHERE host = ? RETURNING draining;

-- What was declared dead stays so.
-- name: beat_of_executor
UPDATE executor SET seen_at = ?, lease_until = ? WHERE executor_id = ? AND lease_until > 0;

-- name: note_generation
UPDATE host SET generation = ? WHERE host = ?;

-- name: describe_executor
UPDATE executor SET labels = ?, max_running = ? WHERE host = ? AND name = ? AND lease_until > 0;

-- name: set_draining
UPDATE host SET draining = ? WHERE host = ?;

-- name: hosts
SELECT host, version, started_at, seen_at, lease_until, generation, draining FROM host ORDER BY host;
