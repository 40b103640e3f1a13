-- The execution log is the truth; `execution` is its projection, written in the same transaction.
CREATE TABLE execution (
    execution_id TEXT PRIMARY KEY,
    ffqn TEXT NOT NULL,
    component TEXT NOT NULL,
    digest TEXT NOT NULL,
    parent_id TEXT,
    parent_join_set TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    due_at INTEGER,
    executor_id TEXT,
    run_id TEXT,
    locked_version INTEGER,
    failed_attempts INTEGER NOT NULL,
    join_set TEXT,
    -- while blocked: how many more responses of the join set it takes to go on
    join_missing INTEGER NOT NULL DEFAULT 0,
    pause_reason TEXT,
    outcome BLOB,
    response_count INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- lock_due, next_due, lost_runs, counts: all look at unfinished executions only
CREATE INDEX execution_unfinished ON execution (status, due_at) WHERE status <> 'finished';
-- children of an execution: cancellation, and the tree in the API
CREATE INDEX execution_children ON execution (parent_id) WHERE parent_id IS NOT NULL;
-- list by function
CREATE INDEX execution_function ON execution (ffqn, execution_id);

CREATE TABLE event (
    execution_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (execution_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE response (
    execution_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    join_set TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (execution_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE delay (
    delay_id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    join_set TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    is_paused INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX delay_due ON delay (due_at) WHERE is_paused = 0;
CREATE INDEX delay_execution ON delay (execution_id);

CREATE TABLE log_line (
    position INTEGER PRIMARY KEY,
    execution_id TEXT NOT NULL,
    run_id TEXT,
    created_at INTEGER NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX log_line_execution ON log_line (execution_id, position);

CREATE TABLE failure (
    failure_id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    backtrace TEXT NOT NULL,
    cause TEXT,
    -- the end of stderr and the HTTP requests of the attempt; NULL where there were none
    evidence BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE component (
    digest TEXT PRIMARY KEY,
    code BLOB NOT NULL
) STRICT;

CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    activated_at INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    manifest BLOB NOT NULL
) STRICT;
CREATE TABLE generation_component (
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (number, digest)
) STRICT, WITHOUT ROWID;
-- who may run what: replaced as a whole when a generation becomes active
CREATE TABLE allowed (
    ffqn TEXT PRIMARY KEY,
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE executor (
    executor_id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
