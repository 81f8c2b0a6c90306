-- History by month: partitions by when a job ended (UTC), so that a month is archived and dropped as one.
--
-- A partitioned table can be unique only over what it is partitioned by, so that a ticket ends once is held by a table
-- of its own, which is never cut: it also says where an ending is, and through which target a role was made, when the
-- month is long gone.

CREATE TABLE history_tickets (
    ticket      uuid        NOT NULL,
    -- With it the row is found in its month.
    finished_at timestamptz NOT NULL,
    env         text        COLLATE "C" NOT NULL,
    database    text        COLLATE "C" NOT NULL,

    CONSTRAINT history_tickets_pkey PRIMARY KEY (ticket)
);

-- Months that were written to a file. The file's name and what must be in it; never where it lies.
CREATE TABLE history_archives (
    period      date        NOT NULL,
    file        text        NOT NULL,
    rows        bigint      NOT NULL,
    bytes       bigint      NOT NULL,
    sha256      bytea       NOT NULL,
    archived_at timestamptz NOT NULL,
    archived_by text        NOT NULL,
    -- When the month was dropped here: from then on it is in the file alone.
    dropped_at  timestamptz,

    CONSTRAINT history_archives_pkey PRIMARY KEY (period),
    CONSTRAINT history_archives_period_is_a_month CHECK (extract(day FROM period) = 1),
    CONSTRAINT history_archives_file_form CHECK (file ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    CONSTRAINT history_archives_numbers CHECK (rows > 0 AND bytes > 0),
    CONSTRAINT history_archives_sha256_length CHECK (octet_length(sha256) = 32)
);

-- Where in a file to look: it is a row of blocks that can be read one by one, newest first, and this is each one's first
-- row. A block's digest is here too, so that what is read is what was written.
CREATE TABLE history_archive_blocks (
    period        date        NOT NULL,
    newest_at     timestamptz NOT NULL,
    newest_ticket uuid        NOT NULL,
    starts_at     bigint      NOT NULL,
    bytes         integer     NOT NULL,
    sha256        bytea       NOT NULL,

    CONSTRAINT history_archive_blocks_pkey PRIMARY KEY (period, newest_at, newest_ticket),
    CONSTRAINT history_archive_blocks_archive FOREIGN KEY (period) REFERENCES history_archives ON DELETE CASCADE,
    CONSTRAINT history_archive_blocks_numbers CHECK (starts_at >= 0 AND bytes > 0),
    CONSTRAINT history_archive_blocks_sha256_length CHECK (octet_length(sha256) = 32)
);

ALTER TABLE history RENAME TO history_unsplit;
ALTER TABLE history_unsplit RENAME CONSTRAINT history_pkey TO history_unsplit_pkey;
DROP INDEX history_by_owner, history_by_role, history_by_end, history_by_secret_expiry;

CREATE TABLE history (
    ticket            uuid        NOT NULL,
    -- The whole job and its ending as the programs serialise them; the columns below repeat what is searched for.
    job               jsonb       NOT NULL,
    ending            jsonb       NOT NULL,
    state             text        NOT NULL,
    attempts          integer     NOT NULL,
    owner             text        NOT NULL,
    account           text        NOT NULL,
    env               text        COLLATE "C" NOT NULL,
    database          text        COLLATE "C" NOT NULL,
    host              text        NOT NULL,
    operation         text        NOT NULL,
    kind              text,
    role              text        NOT NULL,
    submitted_at      timestamptz NOT NULL,
    finished_at       timestamptz NOT NULL,
    secret_expires_at timestamptz,

    -- The order of the list, and how a ticket is found.
    CONSTRAINT history_pkey PRIMARY KEY (finished_at, ticket),
    CONSTRAINT history_state_final CHECK (state IN ('succeeded', 'failed', 'cancelled', 'expired')),
    CONSTRAINT history_attempts_range CHECK (attempts >= 0)
) PARTITION BY RANGE (finished_at);

CREATE INDEX history_by_account ON history (account, finished_at, ticket);
CREATE INDEX history_by_role ON history (env, database, role, finished_at);
CREATE INDEX history_by_secret_expiry ON history (secret_expires_at) WHERE secret_expires_at IS NOT NULL;
-- A job without labels costs nothing here.
CREATE INDEX history_by_metadata ON history USING gin ((job -> 'metadata') jsonb_path_ops) WHERE job ? 'metadata';

-- What ended in a month that has no partition: it is kept and found, and moved when its month is made.
CREATE TABLE history_others PARTITION OF history DEFAULT;

-- Makes a month, if it is not there; whether it did. A month that was dropped after it was archived is not made again: what
-- comes late for it stays where it is.
CREATE FUNCTION history_make_month(month date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    first  date        := date_trunc('month', month);
    part   text        := 'history_' || to_char(first, 'YYYY_MM');
    starts timestamptz := first::timestamp AT TIME ZONE 'UTC';
    ends   timestamptz := (first + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'history'::regclass AND c.relname = part)
       OR EXISTS (SELECT FROM history_archives a WHERE a.period = first AND a.dropped_at IS NOT NULL) THEN
        RETURN false;
    END IF;
    -- Nothing may come into it between the move and the attaching.
    LOCK TABLE history_others IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE history INCLUDING ALL)', part);
    EXECUTE format('WITH moved AS (DELETE FROM history_others WHERE finished_at >= $1 AND finished_at < $2 RETURNING *)
                    INSERT INTO %I SELECT * FROM moved', part) USING starts, ends;
    EXECUTE format('ALTER TABLE history ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, starts, ends);
    RETURN true;
END
$$;

-- Makes this month, so many that follow, and those of what waits in `history_others`; how many it made. The service calls
-- it: its role may make no tables, and this is all it can have made.
CREATE FUNCTION history_make_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    this_month date    := date_trunc('month', now() AT TIME ZONE 'UTC');
    wanted     date;
    made       integer := 0;
BEGIN
    IF ahead NOT BETWEEN 0 AND 60 THEN
        RAISE EXCEPTION 'from 0 to 60 months ahead' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- One at a time; whoever comes second finds them made.
    PERFORM pg_advisory_xact_lock(x'726f6c656d6f6e74'::bigint);
    FOR wanted IN
        SELECT this_month + make_interval(months => n) FROM generate_series(0, ahead) AS n
        UNION
        SELECT date_trunc('month', finished_at AT TIME ZONE 'UTC') FROM history_others
        ORDER BY 1
    LOOP
        made := made + history_make_month(wanted)::integer;
    END LOOP;
    RETURN made;
END
$$;

REVOKE ALL ON FUNCTION history_make_month(date), history_make_months(integer) FROM PUBLIC;

-- Whose names they mean is settled now, and nothing that a caller makes comes before ours. Whoever waits for a lock here has
-- others waiting behind him, and comes back in an hour.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION history_make_month(date) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION history_make_months(integer) SET search_path = %I, pg_temp', current_schema());
END
$$;
ALTER FUNCTION history_make_months(integer) SET lock_timeout = '1s';

-- What was kept until now.
DO $$
DECLARE
    month date;
BEGIN
    FOR month IN
        SELECT DISTINCT date_trunc('month', finished_at AT TIME ZONE 'UTC') FROM history_unsplit
        UNION
        SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n) FROM generate_series(0, 3) AS n
    LOOP
        PERFORM history_make_month(month);
    END LOOP;
END
$$;

INSERT INTO history_tickets (ticket, finished_at, env, database)
SELECT ticket, finished_at, env, database FROM history_unsplit;

INSERT INTO history (ticket, job, ending, state, attempts, owner, account, env, database, host, operation, kind, role,
                     submitted_at, finished_at, secret_expires_at)
SELECT ticket, job, ending, state, attempts, owner, account, env, database, host, operation, kind, role,
       submitted_at, finished_at, secret_expires_at
FROM history_unsplit;

DROP TABLE history_unsplit;
