-- Retention walks all executions by their ids: an index on when they finished would cost every finish of every child.
-- name: end_of_window
SELECT execution_id FROM execution WHERE execution_id > ? ORDER BY execution_id LIMIT 1 OFFSET ?;

-- What is below an execution has ids from its own and a dot on; what has finished stays finished.
-- name: due_for_removal
SELECT execution_id FROM execution e
WHERE execution_id > :after AND execution_id <= :last AND parent_id IS NULL AND status = 'finished'
  AND changed_at <= :before AND NOT EXISTS (
    SELECT 1 FROM execution d
    WHERE d.execution_id > e.execution_id || '.' AND d.execution_id < e.execution_id || '/' AND d.status <> 'finished'
  );

-- name: half_removed
SELECT execution_id FROM removal ORDER BY execution_id LIMIT 1000;

-- name: may_be_removed
SELECT 1 FROM execution
WHERE execution_id = :root AND status = 'finished' AND parent_id IS NULL
  AND (changed_at <= :before OR EXISTS (SELECT 1 FROM removal WHERE execution_id = :root));

-- name: note_removal
INSERT INTO removal (execution_id) VALUES (?) ON CONFLICT DO NOTHING;

-- name: forget_removal
DELETE FROM removal WHERE execution_id = ?;

-- name: last_of_tree
SELECT execution_id, version, response_count, tags, created_at, coalesce(length(outcome), 0) AS outcome_bytes FROM execution
WHERE execution_id >= ? AND execution_id < ? ORDER BY execution_id DESC LIMIT ?;

-- What is said of a value's length is in its row: the value itself is not read.
-- name: bytes_at_end
SELECT coalesce((SELECT sum(length(body)) FROM event
        WHERE execution_id = ?1 AND version > (SELECT max(version) FROM event WHERE execution_id = ?1) - ?2), 0)
    + coalesce((SELECT sum(length(body)) FROM response
        WHERE execution_id = ?1 AND seq > (SELECT max(seq) FROM response WHERE execution_id = ?1) - ?2), 0);

-- name: shorten_logs
DELETE FROM log_line WHERE position IN (
    SELECT position FROM log_line WHERE execution_id >= ? AND execution_id <= ? LIMIT ?
);

-- name: shorten_failures
DELETE FROM failure WHERE failure_id IN (
    SELECT failure_id FROM failure WHERE execution_id >= ? AND execution_id <= ? LIMIT ?
);

-- name: shorten_responses
DELETE FROM response WHERE execution_id = ?1 AND seq > (
    SELECT max(seq) FROM response WHERE execution_id = ?1
) - ?2 AND seq > ?2;

-- name: shorten_events
DELETE FROM event WHERE execution_id = ?1 AND version >= ?2 AND version > (
    SELECT max(version) FROM event WHERE execution_id = ?1
) - ?2;

-- name: forget_responses
DELETE FROM response WHERE execution_id >= ? AND execution_id <= ?;

-- name: forget_delays
DELETE FROM delay WHERE execution_id >= ? AND execution_id <= ?;

-- name: forget_failed_digests
DELETE FROM failed_digest WHERE execution_id >= ? AND execution_id <= ?;

-- name: forget_events
DELETE FROM event WHERE execution_id >= ? AND execution_id <= ?;

-- name: forget_tag
DELETE FROM tag WHERE key = ? AND value = ? AND created_at = ? AND execution_id = ?;

-- name: forget_executions
DELETE FROM execution WHERE execution_id >= ? AND execution_id <= ?;

-- name: outdated_generations
SELECT number FROM generation WHERE number < (SELECT max(number) FROM generation) - ? ORDER BY number LIMIT ?;

-- name: forget_generation_components
DELETE FROM generation_component WHERE number = ?;

-- name: forget_generation
DELETE FROM generation WHERE number = ?;

-- New executions are on code of the active generation only, so that what nobody is on now stays so until it is activated.
-- name: unneeded_code
SELECT digest FROM component c
WHERE NOT EXISTS (SELECT 1 FROM generation_component g WHERE g.digest = c.digest)
  AND digest NOT IN (SELECT digest FROM allowed)
  AND digest NOT IN (
    SELECT digest FROM execution INDEXED BY execution_unfinished
    WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked')
  );

-- name: forget_component
DELETE FROM component
WHERE digest = :digest AND NOT EXISTS (SELECT 1 FROM generation_component WHERE digest = :digest);

-- name: stored_digests
SELECT digest FROM component;
