-- What PostgreSQL has beside the shared schema.

-- Each connection counts in a row of its own, so that hosts don't wait for each other: only the sum means something.
ALTER TABLE queue_length DROP CONSTRAINT queue_length_pkey;
ALTER TABLE queue_length ADD COLUMN share BIGINT NOT NULL;
ALTER TABLE queue_length ADD PRIMARY KEY (component, share);

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
ALTER TABLE queue_length SET (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
