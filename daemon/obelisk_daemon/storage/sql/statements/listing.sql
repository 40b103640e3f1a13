-- Lists of executions, newest first: by `created_at`, then by id. Each of the `newest_` statements walks one index in that
-- order, from a place in the list on. None sorts, and each stops where its reader does, or after `most`.

-- name: newest_of_function
SELECT created_at, execution_id FROM execution INDEXED BY execution_function
WHERE ffqn = :ffqn AND created_at >= :since AND (created_at, execution_id) < (:at, :before)
ORDER BY created_at DESC, execution_id DESC LIMIT :most;

-- name: newest_children
SELECT created_at, execution_id FROM execution INDEXED BY execution_children
WHERE parent_id = :parent AND created_at >= :since AND (created_at, execution_id) < (:at, :before)
ORDER BY created_at DESC, execution_id DESC LIMIT :most;

-- name: newest_ending
SELECT created_at, execution_id FROM execution INDEXED BY execution_ending
WHERE ending <> 'ok' AND ending = :ending AND created_at >= :since AND (created_at, execution_id) < (:at, :before)
ORDER BY created_at DESC, execution_id DESC LIMIT :most;

-- name: newest_labelled
SELECT created_at, execution_id FROM execution INDEXED BY execution_labelled
WHERE labels <> '' AND created_at >= :since AND (created_at, execution_id) < (:at, :before)
ORDER BY created_at DESC, execution_id DESC LIMIT :most;

-- name: newest_tagged
SELECT created_at, execution_id FROM tag
WHERE key = :key AND value = :value AND created_at >= :since AND (created_at, execution_id) < (:at, :before)
ORDER BY created_at DESC, execution_id DESC LIMIT :most;

-- name: newest_with_key
SELECT created_at, execution_id FROM tag INDEXED BY tag_key
WHERE key = :key AND created_at >= :since AND (created_at, execution_id) < (:at, :before)
ORDER BY created_at DESC, execution_id DESC LIMIT :most;

-- Each is found from the one before, past all executions of that.
-- name: functions_with_prefix
WITH RECURSIVE found (ffqn) AS (
    SELECT (SELECT min(ffqn) FROM execution INDEXED BY execution_function WHERE ffqn >= :prefix AND ffqn < :prefix_end)
    UNION ALL
    SELECT (SELECT min(ffqn) FROM execution INDEXED BY execution_function WHERE ffqn > found.ffqn AND ffqn < :prefix_end)
    FROM found WHERE found.ffqn IS NOT NULL
)
SELECT ffqn FROM found WHERE ffqn IS NOT NULL;

-- name: functions_requiring
SELECT ffqn FROM allowed WHERE instr(',' || labels || ',', ',' || ? || ',') > 0;

-- name: unfinished_ids
SELECT execution_id FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status IN (SELECT value FROM json_each(:statuses))
  AND (:lifecycle IS NULL OR lifecycle = :lifecycle)
LIMIT :most;

-- name: generation_span
SELECT g.activated_at AS began, (SELECT n.activated_at FROM generation n WHERE n.number = g.number + 1) AS ended
FROM generation g WHERE g.number = ?;

-- The rows of some ids that fit a filter. Long results are not read.
-- name: matching
SELECT e.execution_id, e.ffqn, e.component, e.digest, e.status, e.lifecycle, e.created_at, e.changed_at, e.version,
    e.failed_attempts, e.due_at, e.join_set, e.pause_reason, e.parent_id, e.labels, e.priority, e.started_at,
    e.executor_id, e.ending, e.tags, CASE WHEN length(e.outcome) <= :longest THEN e.outcome END AS outcome
FROM json_each(:ids) wanted CROSS JOIN execution e ON e.execution_id = wanted.value
WHERE (e.created_at, e.execution_id) < (:at, :before) AND e.created_at >= :since
  AND (:status IS NULL OR e.status = :status)
  AND (:lifecycle IS NULL OR e.lifecycle = :lifecycle)
  AND (:unfinished = 0 OR e.status <> 'finished')
  AND (:prefix IS NULL OR e.ffqn >= :prefix AND e.ffqn < :prefix_end)
  AND (:parent IS NULL OR e.parent_id = :parent)
  AND (:top_level = 0 OR e.parent_id IS NULL)
  AND (:component IS NULL OR e.component = :component)
  AND (:digest IS NULL OR substr(e.digest, 1, length(:digest)) = :digest)
  AND (:outcome IS NULL OR :outcome = CASE WHEN e.ending IN ('ok', 'err') THEN e.ending WHEN e.ending <> '' THEN 'failed' END)
  AND (:failure IS NULL OR e.ending = :failure)
  AND (:label IS NULL OR instr(',' || e.labels || ',', ',' || :label || ',') > 0
       OR e.ffqn IN (SELECT value FROM json_each(:requiring)))
  AND (:tags IS NULL OR NOT EXISTS (
    SELECT 1 FROM json_each(:tags) w WHERE NOT EXISTS (
      SELECT 1 FROM json_each(e.tags) t
      WHERE t.key = w.value ->> 0 AND (w.value ->> 1 IS NULL OR t.value = w.value ->> 1))))
ORDER BY e.created_at DESC, e.execution_id DESC LIMIT :limit;
