-- name: insert_execution
INSERT INTO execution (
    execution_id, ffqn, component, digest, parent_id, parent_join_set, labels, priority, rank, created_at,
    changed_at, version, status, lifecycle, due_at, executor_id, run_id, locked_version, failed_attempts, join_set,
    pause_reason, outcome, ending, started_at, tags, join_missing, response_count
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, 9 - coalesce(?8, (SELECT priority FROM allowed WHERE ffqn = ?2), 5)),
    ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27);

-- name: insert_event
INSERT INTO event (execution_id, version, created_at, body) VALUES (?, ?, ?, ?);

-- name: update_by_run
UPDATE execution SET
    digest = ?, changed_at = ?, version = ?, status = ?, lifecycle = ?, due_at = ?, executor_id = ?, run_id = ?,
    locked_version = ?, failed_attempts = ?, join_set = ?, pause_reason = ?, outcome = ?, ending = ?, started_at = ?,
    join_missing = ?, response_count = response_count + ?
WHERE execution_id = ? AND version = ? AND run_id = ?;

-- name: response_count
SELECT response_count FROM execution WHERE execution_id = ?;

-- name: update_by_version
UPDATE execution SET
    digest = ?, changed_at = ?, version = ?, status = ?, lifecycle = ?, due_at = ?, executor_id = ?, run_id = ?,
    locked_version = ?, failed_attempts = ?, join_set = ?, pause_reason = ?, outcome = ?, ending = ?, started_at = ?
WHERE execution_id = ? AND version = ?;

-- After `update_by_run`, which has locked the row: nothing answers between the count and this.
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
RETURNING response_count, status, lifecycle, due_at, run_id, executor_id;

-- After `deliver_response`, which counts it.
-- name: insert_response
INSERT INTO response (execution_id, seq, created_at, join_set, body)
SELECT execution_id, response_count, ?, ?, ? FROM execution WHERE execution_id = ? AND status <> 'finished';

-- The same where more were counted, of which so many came after it.
-- name: insert_response_before
INSERT INTO response (execution_id, seq, created_at, join_set, body)
SELECT execution_id, response_count - ?, ?, ?, ? FROM execution WHERE execution_id = ?;

-- name: insert_tag
INSERT INTO tag (key, value, created_at, execution_id) VALUES (?, ?, ?, ?);

-- name: insert_delay
INSERT INTO delay (delay_id, execution_id, join_set, due_at, requested_at) VALUES (?, ?, ?, ?, ?);

-- name: due_delays
SELECT delay_id, execution_id, join_set, requested_at FROM delay
WHERE due_at <= ? AND is_paused = 0 ORDER BY due_at LIMIT ?;

-- name: delete_delay
DELETE FROM delay WHERE delay_id = ?;

-- name: take_delay
DELETE FROM delay WHERE delay_id = ? RETURNING execution_id, join_set, requested_at;

-- name: set_delay_paused
UPDATE delay SET is_paused = ? WHERE delay_id = ? RETURNING due_at;

-- name: delays_of
SELECT delay_id, join_set, due_at, is_paused FROM delay
WHERE execution_id = ? AND delay_id > ? ORDER BY delay_id LIMIT ?;

-- name: delete_delays_of
DELETE FROM delay WHERE execution_id = ?;

-- name: insert_log_line
INSERT INTO log_line (execution_id, run_id, created_at, level, message) VALUES (?, ?, ?, ?, ?);

-- name: is_held_by
SELECT 1 FROM execution WHERE execution_id = ? AND run_id = ?;

-- name: insert_failure
INSERT INTO failure (failure_id, execution_id, kind, message, backtrace, cause, evidence)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: execution_row
SELECT * FROM execution WHERE execution_id = ?;

-- What is being deleted may have lost the end of its log.
-- name: outline
SELECT e.*, f.body AS first, l.body AS last
FROM execution e
LEFT JOIN event f ON f.execution_id = e.execution_id AND f.version = 0
LEFT JOIN event l ON l.execution_id = e.execution_id AND l.version = e.version - 1
WHERE e.execution_id = ?;

-- name: executions_of
SELECT * FROM execution WHERE execution_id IN (SELECT value FROM json_each(?));

-- Children in the order of the index: however many there are, only those that are wanted are read.
-- name: first_children
SELECT * FROM execution INDEXED BY execution_children WHERE parent_id = ? ORDER BY created_at, execution_id LIMIT ?;

-- name: created_event
SELECT created_at, body FROM event WHERE execution_id = ? AND version = 0;

-- name: event_time
SELECT created_at FROM event WHERE execution_id = ? AND version = ?;

-- name: event_body
SELECT body FROM event WHERE execution_id = ? AND version = ?;

-- The next queue after another one: what waits under one rank, for one function, with the same labels. By `due_at`, what
-- else is in that other one is passed over in one step: no row has so late a time.
-- name: next_queue
SELECT q.rank, q.ffqn, q.labels, a.digest, a.component, a.on_upgrade, a.labels AS function_labels, a.since
FROM (
    SELECT rank, ffqn, labels FROM execution INDEXED BY execution_queue
    WHERE status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL AND (rank, ffqn, labels, due_at) > (?, ?, ?, 9223372036854775807)
    ORDER BY rank, ffqn, labels, due_at LIMIT 1
) q LEFT JOIN allowed a ON a.ffqn = q.ffqn;

-- Suspects have a turn of their own first.
-- name: due_in_queue
SELECT * FROM execution INDEXED BY execution_queue
WHERE status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL AND rank = ?1 AND ffqn = ?2 AND labels = ?3
  AND due_at <= ?4 AND (due_at, execution_id) > (?5, ?6) AND NOT EXISTS (
    SELECT 1 FROM suspect s
    WHERE s.execution_id = execution.execution_id AND s.version = execution.version AND s.shared_at > ?4
  )
ORDER BY due_at, execution_id LIMIT ?7;

-- Workflows that another executor keeps in memory, and has not gone on with in the time it had after their response.
-- In two parts, so that it passes over all that the asking executor has in memory itself.
-- name: forsaken
SELECT * FROM execution INDEXED BY execution_unfinished
WHERE status = 'pending_at' AND status <> 'finished' AND executor_id > '' AND executor_id < ?1 AND due_at <= ?2
  AND lifecycle = 'active'
UNION ALL
SELECT * FROM execution INDEXED BY execution_unfinished
WHERE status = 'pending_at' AND status <> 'finished' AND executor_id > ?1 AND due_at <= ?2 AND lifecycle = 'active';

-- The same of one queue as `next_queue` gives.
-- name: rule_of
SELECT ?1 AS rank, ?2 AS ffqn, ?3 AS labels, digest, component, on_upgrade, labels AS function_labels, since
FROM allowed WHERE ffqn = ?2;

-- In this and in the next ones, `status <> 'finished'` is what lets SQLite take the partial index.
-- name: locked_of
SELECT count(*) FROM execution WHERE status = 'locked' AND status <> 'finished' AND component = ?;

-- name: is_allowed
SELECT 1 FROM allowed WHERE ffqn = ?;

-- name: allows
SELECT 1 FROM allowed WHERE ffqn = ? AND digest = ?;

-- A child that its parent's executor locks as it makes it: that executor knows only the rules of its own generation.
-- name: rank_of_locked_child
SELECT 9 - priority AS rank FROM allowed WHERE ffqn = ? AND digest = ? AND ? = (SELECT max(number) FROM generation);

-- name: insert_failed_digest
INSERT INTO failed_digest (execution_id, digest, abi, version, message) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: failed_on
SELECT version, message FROM failed_digest WHERE execution_id = ? AND digest = ? AND abi = ?;

-- name: forget_failed_digest
DELETE FROM failed_digest WHERE execution_id = ? AND digest = ?;

-- name: count_queued
INSERT INTO queue_length (component, never_started) VALUES (?1, ?2)
ON CONFLICT (component) DO UPDATE SET never_started = never_started + ?2;

-- name: count_unqueued
UPDATE queue_length SET never_started = never_started - 1
WHERE component = (SELECT component FROM execution WHERE execution_id = ?);

-- name: forget_queue_lengths
DELETE FROM queue_length;

-- name: count_queues_again
INSERT INTO queue_length (component, never_started)
SELECT component, count(*) FROM execution INDEXED BY execution_unfinished
WHERE status = 'pending_at' AND status <> 'finished' AND started_at IS NULL GROUP BY component;

-- What waits of a component, and of all, and how much may.
-- name: queue_room
SELECT l.component, l.max_pending, l.when_full, coalesce(
    CASE WHEN l.component = '' THEN (SELECT sum(never_started) FROM queue_length)
    ELSE (SELECT never_started FROM queue_length WHERE component = l.component) END, 0) AS waiting
FROM queue_limit l WHERE l.component IN ('', ?) AND l.max_pending IS NOT NULL ORDER BY l.component DESC;

-- How many more of a component may run; no row where that is not limited.
-- name: room_to_run
SELECT max_running - (
    SELECT count(*) FROM execution WHERE status = 'locked' AND status <> 'finished' AND component = l.component
) AS room
FROM queue_limit l WHERE l.component = ? AND l.max_running IS NOT NULL;

-- name: limits_running
SELECT 1 FROM queue_limit WHERE component = ? AND max_running IS NOT NULL;

-- name: rank_of
SELECT 9 - coalesce(?, (SELECT priority FROM allowed WHERE ffqn = ?), 5) AS rank;

-- The oldest of those whose priority is not above a newcomer's: the oldest under each rank, of which there are ten, and
-- of these the oldest.
-- name: eviction_victim
WITH RECURSIVE ranks (rank) AS (SELECT :rank UNION ALL SELECT rank + 1 FROM ranks WHERE rank < 9)
SELECT e.execution_id FROM ranks CROSS JOIN execution e ON e.execution_id = (
    SELECT execution_id FROM execution INDEXED BY execution_never_started
    WHERE status = 'pending_at' AND started_at IS NULL AND parent_id IS NULL
      AND component = :component AND rank = ranks.rank
    ORDER BY created_at, execution_id LIMIT 1
)
ORDER BY e.created_at, e.execution_id LIMIT 1;

-- name: next_pending
SELECT min(due_at) FROM execution
WHERE status = 'pending_at' AND status <> 'finished' AND due_at > ? AND lifecycle = 'active' AND executor_id IS NULL;

-- name: next_delay
SELECT min(due_at) FROM delay WHERE is_paused = 0;

-- name: children
SELECT execution_id, ffqn FROM execution WHERE parent_id = ? AND status <> 'finished';

-- name: release_run
UPDATE execution SET
    executor_id = NULL, run_id = NULL, locked_version = NULL,
    due_at = CASE WHEN status = 'pending_at' THEN ? ELSE due_at END
WHERE execution_id = ?;

-- name: cancelling
SELECT execution_id FROM execution INDEXED BY execution_cancelling WHERE lifecycle = 'cancelling' AND status <> 'finished';

-- Executions that were paused since their code could not go on, where other code may now.
-- name: liftable
SELECT e.execution_id FROM execution e JOIN allowed a ON a.ffqn = e.ffqn
WHERE e.status IN ('pending_at', 'blocked') AND e.status <> 'finished'
  AND e.lifecycle = 'paused' AND e.pause_reason IN ('nondeterminism', 'trap') AND a.on_upgrade <> 'pin'
  AND NOT EXISTS (
    SELECT 1 FROM failed_digest d WHERE d.execution_id = e.execution_id AND d.digest = a.digest AND d.abi = ?
  );

-- name: register_executor
INSERT INTO executor (executor_id, host, name, labels, max_running, started_at, seen_at, lease_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- A row is made at every start, so there are few.
-- name: forget_executors
DELETE FROM executor WHERE seen_at < ?;

-- name: executors
SELECT x.executor_id, x.host, x.name, x.labels, x.max_running, x.started_at, x.seen_at,
    (SELECT count(*) FROM execution INDEXED BY execution_unfinished
     WHERE status <> 'finished' AND status = 'locked' AND executor_id = x.executor_id) AS running,
    (SELECT count(*) FROM execution INDEXED BY execution_unfinished
     WHERE status <> 'finished' AND status IN ('blocked', 'pending_at') AND executor_id = x.executor_id) AS hot
FROM executor x WHERE x.seen_at >= ? ORDER BY x.started_at DESC, x.executor_id LIMIT ?;

-- name: read_queue_lengths
SELECT component, never_started FROM queue_length;

-- name: active_generation
SELECT * FROM generation ORDER BY number DESC LIMIT 1;

-- name: generation
SELECT * FROM generation WHERE number = ?;

-- name: newest_generation
SELECT coalesce(max(number), 0) AS number, (SELECT generation FROM host WHERE host = ?) AS told FROM generation;

-- name: generations
SELECT number, activated_at, content_hash, cause, restored FROM generation
WHERE number < ? ORDER BY number DESC LIMIT ?;

-- name: insert_generation
INSERT INTO generation (number, activated_at, content_hash, cause, restored, manifest) VALUES (?, ?, ?, ?, ?, ?);

-- name: insert_generation_component
INSERT INTO generation_component (number, name, digest) VALUES (?, ?, ?);

-- name: generation_components
SELECT name, digest FROM generation_component WHERE number = ? ORDER BY name;

-- name: set_proposal
INSERT INTO proposal (host, content_hash, generation) VALUES (?, ?, ?)
ON CONFLICT (host) DO UPDATE SET content_hash = excluded.content_hash, generation = excluded.generation;

-- name: proposal
SELECT content_hash, generation FROM proposal WHERE host = ?;

-- name: clear_allowed
DELETE FROM allowed;

-- name: insert_allowed
INSERT INTO allowed (ffqn, digest, component, on_upgrade, labels, priority, settings, since)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_allowed
SELECT * FROM allowed ORDER BY ffqn;

-- What is unfinished gets the priority that its function has now, and goes with it to another component.
-- name: follow_functions
UPDATE execution INDEXED BY execution_unfinished
SET component = a.component, rank = CASE WHEN execution.priority IS NULL THEN 9 - a.priority ELSE rank END
FROM allowed a
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') AND a.ffqn = execution.ffqn
  AND (execution.component <> a.component OR execution.priority IS NULL AND rank <> 9 - a.priority);

-- name: clear_queue_limits
DELETE FROM queue_limit;

-- name: insert_queue_limit
INSERT INTO queue_limit (component, max_running, max_pending, when_full) VALUES (?, ?, ?, ?);

-- name: read_queue_limits
SELECT * FROM queue_limit ORDER BY component;

-- name: work_in_progress
SELECT ffqn, component, digest, count(*) AS unfinished, count(started_at) AS started FROM execution
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') GROUP BY ffqn, component, digest;

-- By function, this and the next one would read all that ever finished.
-- name: unfinished_of
SELECT execution_id FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') AND ffqn = ? AND execution_id > ?
ORDER BY execution_id LIMIT ?;

-- name: started_on_other_code
SELECT execution_id, digest FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') AND ffqn = ? AND digest <> ?
  AND started_at IS NOT NULL AND lifecycle <> 'cancelling'
ORDER BY execution_id LIMIT ?;

-- name: insert_component
INSERT INTO component (digest, code) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING;

-- name: component_code
SELECT code FROM component WHERE digest = ?;

-- name: automatic_pauses
SELECT pause_reason, count(*) FROM (
    SELECT execution_id AS id FROM execution INDEXED BY execution_unfinished
    WHERE status IN ('pending_at', 'blocked') AND status <> 'finished' AND lifecycle = 'paused'
) CROSS JOIN execution ON execution_id = id
WHERE pause_reason <> 'operator' GROUP BY pause_reason;

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
SELECT status, lifecycle, count(*) FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' GROUP BY status, lifecycle;

-- name: census
SELECT component, status, lifecycle, count(*) AS number,
    count(CASE WHEN status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL AND due_at <= :at THEN 1 END)
        AS due,
    min(CASE WHEN status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL AND due_at <= :at THEN due_at END)
        AS oldest_due_at
FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') GROUP BY component, status, lifecycle;

-- What a workflow waits for: in one join set, or in all where none is given. Those that are being cancelled come last.
-- name: unfinished_children
SELECT execution_id, ffqn, status, lifecycle FROM execution
WHERE parent_id = :parent AND status <> 'finished' AND (:join_set IS NULL OR parent_join_set = :join_set)
ORDER BY lifecycle = 'cancelling', created_at, length(execution_id), execution_id LIMIT :limit;

-- name: count_unfinished_children
SELECT count(*) FROM execution
WHERE parent_id = :parent AND status <> 'finished' AND (:join_set IS NULL OR parent_join_set = :join_set);

-- name: delays_in
SELECT delay_id, join_set, due_at, is_paused FROM delay
WHERE execution_id = ? AND join_set = ? ORDER BY is_paused, due_at, delay_id LIMIT ?;

-- name: count_delays_in
SELECT count(*) FROM delay WHERE execution_id = ? AND join_set = ?;

-- Counts no further than a limit.
-- name: queued_before
SELECT count(*) FROM (
    SELECT 1 FROM execution INDEXED BY execution_queue
    WHERE status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL AND rank = ? AND ffqn = ? AND labels = ?
      AND (due_at, execution_id) < (?, ?)
    LIMIT ?
) q;

-- name: audit_insert
INSERT INTO audit (created_at, actor, peer, role, action, subject, params, refused, left_out, ended_at, status, code)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING audit_id;

-- name: audit_complete
UPDATE audit SET ended_at = ?, status = ?, code = ? WHERE audit_id = ?;

-- name: audit_tidy
DELETE FROM audit WHERE refused = :refused AND audit_id <= (
    SELECT audit_id FROM audit WHERE refused = :refused ORDER BY audit_id DESC LIMIT 1 OFFSET :kept
);

-- name: audit_page
SELECT audit_id, created_at, actor, peer, role, action, subject, params, refused, left_out, ended_at, status, code
FROM audit WHERE audit_id < :cursor AND created_at >= :after AND created_at < :before
    AND (:actor IS NULL OR actor = :actor) AND (:action IS NULL OR action = :action)
ORDER BY audit_id DESC LIMIT :limit;

-- name: audit_of_subject
SELECT audit_id, created_at, actor, peer, role, action, subject, params, refused, left_out, ended_at, status, code
FROM audit WHERE subject = :subject AND audit_id < :cursor AND created_at >= :after AND created_at < :before
    AND (:actor IS NULL OR actor = :actor) AND (:action IS NULL OR action = :action)
ORDER BY audit_id DESC LIMIT :limit;

-- What a check of the database asks.
-- name: count_executions
SELECT count(*) FROM execution;

-- name: all_executions
SELECT execution_id FROM execution;

-- name: newest_executions
SELECT execution_id FROM execution ORDER BY execution_id DESC LIMIT ?;

-- name: some_unfinished
SELECT execution_id FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') LIMIT ?;

-- name: finished_children
SELECT execution_id FROM execution WHERE parent_id = ? AND status = 'finished';

-- name: parentless
SELECT c.execution_id FROM execution c
WHERE c.parent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM execution p WHERE p.execution_id = c.parent_id);

-- name: outliving
SELECT c.execution_id FROM execution c INDEXED BY execution_unfinished JOIN execution p ON p.execution_id = c.parent_id
WHERE c.status <> 'finished' AND c.status IN ('pending_at', 'locked', 'blocked') AND p.status = 'finished';

-- name: never_woken
SELECT execution_id FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status = 'blocked' AND join_missing <= 0;

-- Stubs that the manifest has as text have no code; nor is any of their executions ever started.
-- name: codeless
SELECT digest FROM generation_component WHERE digest NOT IN (SELECT digest FROM component)
UNION
SELECT digest FROM execution INDEXED BY execution_unfinished
WHERE status <> 'finished' AND status IN ('pending_at', 'locked', 'blocked') AND started_at IS NOT NULL
  AND digest NOT IN (SELECT digest FROM component);

-- name: late_delays
SELECT d.delay_id FROM delay d LEFT JOIN execution e ON e.execution_id = d.execution_id
WHERE e.execution_id IS NULL OR e.status = 'finished';

-- name: wrong_queue_lengths
WITH counted (component, number) AS (
    SELECT component, count(*) FROM execution INDEXED BY execution_unfinished
    WHERE status = 'pending_at' AND status <> 'finished' AND started_at IS NULL GROUP BY component
)
SELECT l.component, l.never_started, coalesce(c.number, 0) FROM queue_length l LEFT JOIN counted c USING (component)
WHERE l.never_started <> coalesce(c.number, 0)
UNION ALL
SELECT component, 0, number FROM counted WHERE component NOT IN (SELECT component FROM queue_length);

-- With the name of a table that has rows of executions.
-- name: orphans
SELECT DISTINCT o.execution_id FROM :table o
WHERE NOT EXISTS (SELECT 1 FROM execution e WHERE e.execution_id = o.execution_id);

-- No count(*): that is one step of SQLite's machine, which nothing can end before it has read all.
-- name: rows_of
SELECT coalesce(sum(1), 0) FROM :table;

-- name: component_bytes
SELECT coalesce(sum(length(code)), 0) FROM component;

-- name: count_generations
SELECT count(*) FROM generation;
