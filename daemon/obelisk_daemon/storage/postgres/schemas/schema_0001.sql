-- The execution log is the truth; `execution` is its projection, written in the same transaction.
CREATE TABLE execution (
    execution_id TEXT COLLATE "C" PRIMARY KEY,
    ffqn TEXT COLLATE "C" NOT NULL,
    component TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    parent_id TEXT COLLATE "C",
    parent_join_set TEXT COLLATE "C",
    -- what the submitter requires beside the function: sorted, with commas between
    labels TEXT COLLATE "C" NOT NULL,
    -- 0 to 9 as submitted; NULL: the manifest's
    priority BIGINT,
    -- 9 minus the priority that holds, so that what comes first is least
    rank BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    lifecycle TEXT COLLATE "C" NOT NULL,
    due_at BIGINT,
    executor_id TEXT COLLATE "C",
    run_id TEXT COLLATE "C",
    locked_version BIGINT,
    failed_attempts BIGINT NOT NULL,
    join_set TEXT COLLATE "C",
    -- while blocked: how many more responses of the join set it takes to go on
    join_missing BIGINT NOT NULL DEFAULT 0,
    pause_reason TEXT COLLATE "C",
    outcome BYTEA,
    -- ok, err or the kind of failure
    ending TEXT COLLATE "C",
    -- when it was first locked
    started_at BIGINT,
    response_count BIGINT NOT NULL DEFAULT 0,
    -- a JSON object; NULL without any
    tags TEXT COLLATE "C"
);

-- next_pending, forsaken, lost_runs, counts, locked_of, room_to_run, unfinished_ids: all look at unfinished executions
-- only. The lifecycle is there for what counts them, which reads nothing else then.
CREATE INDEX execution_unfinished ON execution (status, executor_id, due_at, lifecycle) WHERE status <> 'finished';
-- next_queue, due_in_queue: each (rank, ffqn, labels) is a queue. What an executor has in memory is in none: it would
-- come and go with every response.
CREATE INDEX execution_queue ON execution (rank, ffqn, labels, due_at)
    WHERE status = 'pending_at' AND lifecycle = 'active' AND executor_id IS NULL;
-- eviction_victim
CREATE INDEX execution_never_started ON execution (component, rank, created_at)
    WHERE status = 'pending_at' AND started_at IS NULL AND parent_id IS NULL;
-- children of an execution: cancellation, and newest_children
CREATE INDEX execution_children ON execution (parent_id, created_at) WHERE parent_id IS NOT NULL;
-- functions_with_prefix, newest_of_function: what any list walks that has nothing narrower
CREATE INDEX execution_function ON execution (ffqn, created_at);
-- newest_ending: most executions end well, and are not in it
CREATE INDEX execution_ending ON execution (ending, created_at) WHERE ending <> 'ok';
-- newest_labelled
CREATE INDEX execution_labelled ON execution (created_at, execution_id, labels) WHERE labels <> '';

-- newest_tagged
CREATE TABLE tag (
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    execution_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key, value, created_at, execution_id)
);
-- newest_with_key
CREATE INDEX tag_key ON tag (key, created_at, execution_id);

CREATE TABLE event (
    execution_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (execution_id, version)
);

CREATE TABLE response (
    execution_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    join_set TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (execution_id, seq)
);

CREATE TABLE delay (
    delay_id TEXT COLLATE "C" PRIMARY KEY,
    execution_id TEXT COLLATE "C" NOT NULL,
    join_set TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    is_paused BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX delay_due ON delay (due_at) WHERE is_paused = 0;
CREATE INDEX delay_execution ON delay (execution_id);

CREATE TABLE log_line (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    level TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL
);
CREATE INDEX log_line_execution ON log_line (execution_id, position);

CREATE TABLE failure (
    failure_id TEXT COLLATE "C" PRIMARY KEY,
    execution_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    backtrace TEXT COLLATE "C" NOT NULL,
    cause TEXT COLLATE "C",
    -- the end of stderr and the HTTP requests of the attempt; NULL where there were none
    evidence BYTEA
);
-- shorten_failures
CREATE INDEX failure_execution ON failure (execution_id);

-- Trees of executions of which a part is deleted, and the rest is to be.
CREATE TABLE removal (
    execution_id TEXT COLLATE "C" PRIMARY KEY
);

CREATE TABLE component (
    digest TEXT COLLATE "C" PRIMARY KEY,
    code BYTEA NOT NULL
);

CREATE TABLE generation (
    number BIGINT PRIMARY KEY,
    activated_at BIGINT NOT NULL,
    content_hash TEXT COLLATE "C" NOT NULL,
    -- what led to it: start, file, reload, rollback
    cause TEXT COLLATE "C" NOT NULL,
    -- the generation that a rollback went back to
    restored BIGINT,
    manifest BYTEA NOT NULL
);
CREATE TABLE generation_component (
    number BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (number, name)
);
-- unneeded_code, forget_component
CREATE INDEX generation_component_digest ON generation_component (digest);
-- the hash of the last file content of a host that became a generation
CREATE TABLE proposal (
    host TEXT COLLATE "C" PRIMARY KEY,
    content_hash TEXT COLLATE "C" NOT NULL
);

-- Who may run what, and how much: replaced as a whole when a generation becomes active.
CREATE TABLE allowed (
    ffqn TEXT COLLATE "C" PRIMARY KEY,
    digest TEXT COLLATE "C" NOT NULL,
    component TEXT COLLATE "C" NOT NULL,
    -- latest, replay, pin or force
    on_upgrade TEXT COLLATE "C" NOT NULL,
    -- required of the executor: sorted, with commas between
    labels TEXT COLLATE "C" NOT NULL,
    priority BIGINT NOT NULL
);
-- component '': of all together
CREATE TABLE queue_limit (
    component TEXT COLLATE "C" PRIMARY KEY,
    max_running BIGINT,
    max_pending BIGINT,
    when_full TEXT COLLATE "C" NOT NULL
);
-- digests on which an execution could not go on
CREATE TABLE failed_digest (
    execution_id TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    abi BIGINT NOT NULL,
    version BIGINT,
    message TEXT COLLATE "C",
    PRIMARY KEY (execution_id, digest, abi)
);

-- How many executions of a component wait and were never started. No trigger keeps it: one would cost every step of
-- every workflow, and what begins or ends to wait is written in two places. Only the sum over all shares means something.
CREATE TABLE queue_length (
    component TEXT COLLATE "C" NOT NULL,
    share BIGINT NOT NULL,
    never_started BIGINT NOT NULL,
    PRIMARY KEY (component, share)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE executor (
    executor_id TEXT COLLATE "C" PRIMARY KEY,
    host TEXT COLLATE "C" NOT NULL,
    -- what it was when it started: its name, what it offers, how many runs it takes
    name TEXT COLLATE "C" NOT NULL,
    labels TEXT COLLATE "C" NOT NULL,
    max_running BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    -- 0: it was declared dead, and never comes back
    lease_until BIGINT NOT NULL
);

-- One row per daemon, which has one or more executors.
CREATE TABLE host (
    host TEXT COLLATE "C" PRIMARY KEY,
    version TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- what it runs; NULL: it has not said so yet
    generation BIGINT,
    -- 1: it is to take no more work
    draining BIGINT NOT NULL
);

-- Who asked for what that changes something. ended_at NULL: not answered yet, or the daemon ended before.
CREATE TABLE audit (
    audit_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    -- JSON
    params TEXT COLLATE "C" NOT NULL,
    refused BIGINT NOT NULL,
    -- refusals before this one that were not kept
    left_out BIGINT NOT NULL,
    ended_at BIGINT,
    status BIGINT,
    code TEXT COLLATE "C"
);
-- audit_of_subject
CREATE INDEX audit_subject ON audit (subject);
-- audit_tidy
CREATE INDEX audit_refused ON audit (refused);

-- The last group that each connection has committed: who lost the answer to a COMMIT finds here what became of it.
CREATE TABLE committed (
    writer TEXT COLLATE "C" PRIMARY KEY,
    number BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- Rows that change with every step are cleaned up early, and find room on their page.
ALTER TABLE execution SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE delay SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE executor SET (fillfactor = 50);
ALTER TABLE host SET (fillfactor = 50);
-- What is only added to until retention deletes it is vacuumed for its visibility map, and rarely.
ALTER TABLE event SET (autovacuum_vacuum_insert_scale_factor = 0.1);
ALTER TABLE response SET (autovacuum_vacuum_insert_scale_factor = 0.1);
ALTER TABLE log_line SET (autovacuum_vacuum_insert_scale_factor = 0.1);
