-- Every job that ended. Written in the transaction of its audit row, read when the ticket store knows nothing of a
-- ticket any more. Insert-only for the running service, like the audit: an ending is never rewritten.

CREATE TABLE history (
    ticket       uuid        NOT NULL,
    -- The whole job and its ending as the programs serialise them; the columns below repeat what is searched for.
    job          jsonb       NOT NULL,
    ending       jsonb       NOT NULL,
    state        text        NOT NULL,
    attempts     integer     NOT NULL,
    owner        text        NOT NULL,
    account      text        NOT NULL,
    env          text        COLLATE "C" NOT NULL,
    database     text        COLLATE "C" NOT NULL,
    host         text        NOT NULL,
    operation    text        NOT NULL,
    kind         text,
    role         text        NOT NULL,
    submitted_at timestamptz NOT NULL,
    finished_at  timestamptz NOT NULL,

    CONSTRAINT history_pkey PRIMARY KEY (ticket),
    CONSTRAINT history_state_final CHECK (state IN ('succeeded', 'failed', 'cancelled', 'expired')),
    CONSTRAINT history_attempts_range CHECK (attempts >= 0)
);

CREATE INDEX history_by_owner ON history (owner, submitted_at);
CREATE INDEX history_by_role ON history (env, database, role, finished_at);
CREATE INDEX history_by_end ON history (finished_at);
