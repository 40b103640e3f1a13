-- The execution log is the truth; `execution` is its projection, written in the same transaction.
CREATE TABLE execution (
    execution_id TEXT PRIMARY KEY,
    ffqn TEXT NOT NULL,
    component TEXT NOT NULL,
    digest TEXT NOT NULL,
    parent_id TEXT,
    parent_join_set TEXT,
    -- what the submitter requires beside the function: sorted, with commas between
    labels TEXT NOT NULL,
    -- 0 to 9 as submitted; NULL: the manifest's
    priority INTEGER,
    -- 9 minus the priority that holds, so that what comes first is least
    rank INTEGER NOT NULL,
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
    -- ok, err or the kind of failure
    ending TEXT,
    -- when it was first locked
    started_at INTEGER,
    response_count INTEGER NOT NULL DEFAULT 0,
    -- a JSON object; NULL without any
    tags TEXT
) STRICT, WITHOUT ROWID;

-- next_pending, forsaken, dead_holders, lost_runs, release_hot, counts, locked_of, room_to_run, unfinished_ids: all look at unfinished executions
-- only. The lifecycle is there for what counts them, which reads nothing else then.
CREATE INDEX execution_unfinished ON execution (status, executor_id, due_at, lifecycle) WHERE status <> 'finished';
-- cancelling
CREATE INDEX execution_cancelling ON execution (lifecycle) WHERE lifecycle = 'cancelling' AND status <> 'finished';
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
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    execution_id TEXT NOT NULL,
    PRIMARY KEY (key, value, created_at, execution_id)
) STRICT, WITHOUT ROWID;
-- newest_with_key
CREATE INDEX tag_key ON tag (key, created_at, execution_id);

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
    requested_at INTEGER NOT NULL,
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
-- shorten_failures
CREATE INDEX failure_execution ON failure (execution_id);

-- Trees of executions of which a part is deleted, and the rest is to be.
CREATE TABLE removal (
    execution_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE component (
    digest TEXT PRIMARY KEY,
    code BLOB NOT NULL
) STRICT;

CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    activated_at INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    -- what led to it: start, file, reload, rollback
    cause TEXT NOT NULL,
    -- the generation that a rollback went back to
    restored INTEGER,
    manifest BLOB NOT NULL
) STRICT;
CREATE TABLE generation_component (
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (number, name)
) STRICT, WITHOUT ROWID;
-- unneeded_code, forget_component
CREATE INDEX generation_component_digest ON generation_component (digest);
-- the hash of the last file content of a host that became a generation, or was one already, and the number of that
CREATE TABLE proposal (
    host TEXT PRIMARY KEY,
    content_hash TEXT NOT NULL,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may run what, and how much: replaced as a whole when a generation becomes active.
CREATE TABLE allowed (
    ffqn TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    component TEXT NOT NULL,
    -- latest, replay, pin or force
    on_upgrade TEXT NOT NULL,
    -- required of the executor: sorted, with commas between
    labels TEXT NOT NULL,
    priority INTEGER NOT NULL,
    -- a hash of all that is said of the component, and the first of the generations that all say this and have this code
    settings TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- component '': of all together
CREATE TABLE queue_limit (
    component TEXT PRIMARY KEY,
    max_running INTEGER,
    max_pending INTEGER,
    when_full TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- digests on which an execution could not go on
CREATE TABLE failed_digest (
    execution_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    abi INTEGER NOT NULL,
    version INTEGER,
    message TEXT,
    PRIMARY KEY (execution_id, digest, abi)
) STRICT, WITHOUT ROWID;

-- What ran when its daemon died, until an attempt has ended: suspects are started one at a time, alone.
CREATE TABLE suspect (
    execution_id TEXT PRIMARY KEY,
    -- of the execution, after that death: once it is another one, this row says nothing any more
    version INTEGER NOT NULL,
    -- when it may start alone, and when also among others
    due_at INTEGER NOT NULL,
    shared_at INTEGER NOT NULL,
    -- how often it was started alone, and how many daemons died while it was
    turns INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    -- the run that is alone now
    run_id TEXT
) STRICT, WITHOUT ROWID;

-- How many executions of a component wait and were never started. No trigger keeps it: one would cost every step of
-- every workflow, and what begins or ends to wait is written in two places.
CREATE TABLE queue_length (
    component TEXT PRIMARY KEY,
    never_started INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE executor (
    executor_id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    -- what it was when it started: its name, what it offers, how many runs it takes
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    max_running INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    -- 0: it was declared dead, and never comes back
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per daemon, which has one or more executors.
CREATE TABLE host (
    host TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    -- what it runs; NULL: it has not said so yet
    generation INTEGER,
    -- 1: it is to take no more work
    draining INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who asked for what that changes something. ended_at NULL: not answered yet, or the daemon ended before.
CREATE TABLE audit (
    audit_id INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    peer TEXT NOT NULL,
    role TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- JSON
    params TEXT NOT NULL,
    refused INTEGER NOT NULL,
    -- refusals before this one that were not kept
    left_out INTEGER NOT NULL,
    ended_at INTEGER,
    status INTEGER,
    code TEXT
) STRICT;
-- audit_of_subject
CREATE INDEX audit_subject ON audit (subject);
-- audit_tidy
CREATE INDEX audit_refused ON audit (refused);
