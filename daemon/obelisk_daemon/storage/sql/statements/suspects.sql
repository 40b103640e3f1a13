-- name: suspicion
SELECT version, turns, deaths, run_id FROM suspect WHERE execution_id = ?;

-- name: suspect
INSERT INTO suspect (execution_id, version, due_at, shared_at, turns, deaths) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (execution_id) DO UPDATE SET
    version = excluded.version, due_at = excluded.due_at, shared_at = excluded.shared_at,
    turns = excluded.turns, deaths = excluded.deaths, run_id = NULL;

-- name: acquit
DELETE FROM suspect WHERE execution_id = ?;

-- Those that have gone on since, also among others. There are few suspects, as many as ran when a daemon died.
-- name: acquit_who_went_on
DELETE FROM suspect WHERE NOT EXISTS (
    SELECT 1 FROM execution e WHERE e.execution_id = suspect.execution_id
      AND (e.version = suspect.version OR e.status = 'locked')
);

-- name: next_suspect
SELECT min(due_at) FROM suspect WHERE shared_at > ? AND EXISTS (
    SELECT 1 FROM execution e
    WHERE e.execution_id = suspect.execution_id AND e.version = suspect.version AND e.status = 'pending_at'
);

-- name: due_suspects
SELECT execution_id, version, turns FROM suspect WHERE due_at <= ?1 AND shared_at > ?1
ORDER BY deaths DESC, turns, execution_id LIMIT ?2;

-- name: begin_turn
UPDATE suspect SET run_id = ?, turns = turns + 1 WHERE execution_id = ?;

-- name: end_turn
UPDATE suspect SET run_id = NULL WHERE execution_id = ? AND run_id = ?;

-- name: acquit_after_turn
DELETE FROM suspect WHERE execution_id = ? AND run_id = ?;

-- name: forget_suspects
DELETE FROM suspect WHERE execution_id >= ? AND execution_id <= ?;
