-- What happened, and who took which password. The running service may add rows here and read them, nothing else:
-- its role gets no UPDATE, DELETE or TRUNCATE (`rolecall migrate` grants and revokes).

CREATE TABLE audit_inbox (
    seq         bigint      GENERATED ALWAYS AS IDENTITY,
    event_id    uuid        NOT NULL DEFAULT gen_random_uuid(),
    event       text        NOT NULL,
    -- By the clock of the process that did it; recorded_at is by the clock of this server.
    at          timestamptz NOT NULL,
    ticket      uuid,
    account     text        NOT NULL,
    owner       text        NOT NULL,
    address     text,
    env         text        COLLATE "C",
    database    text        COLLATE "C",
    host        text,
    operation   text,
    kind        text,
    role        text,
    outcome     text,
    detail      jsonb       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT audit_inbox_pkey PRIMARY KEY (seq),
    CONSTRAINT audit_inbox_event_id UNIQUE (event_id),
    -- A job that runs again after a crash leaves one row per event. Rows without a ticket are not compared.
    CONSTRAINT audit_inbox_once UNIQUE (ticket, event),
    CONSTRAINT audit_inbox_event_form CHECK (event ~ '^[a-z_]+\.[a-z_]+$'),
    CONSTRAINT audit_inbox_target_whole CHECK (num_nonnulls(env, database) IN (0, 2)),
    CONSTRAINT audit_inbox_detail_object CHECK (jsonb_typeof(detail) = 'object')
);

CREATE INDEX audit_inbox_by_account ON audit_inbox (account, seq);
CREATE INDEX audit_inbox_by_target ON audit_inbox (env, database, seq);
CREATE INDEX audit_inbox_by_host ON audit_inbox (host, seq);
CREATE INDEX audit_inbox_by_role ON audit_inbox (role, seq);
CREATE INDEX audit_inbox_by_time ON audit_inbox (at);

-- The row that decides who gets a password: whoever inserts it.
CREATE TABLE secrets_taken (
    ticket  uuid        NOT NULL,
    -- Random, one per call: by it a call whose COMMIT went unanswered knows its own row again.
    claim   uuid        NOT NULL,
    at      timestamptz NOT NULL,
    account text        NOT NULL,
    owner   text        NOT NULL,
    address text,

    CONSTRAINT secrets_taken_pkey PRIMARY KEY (ticket)
);
