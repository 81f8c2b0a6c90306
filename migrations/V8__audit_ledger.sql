-- The audit's ledger: what enters the inbox is moved into blocks that are chained and signed, so that nobody can change
-- the record unseen, not even a superuser. See docs/AUDIT.md.

-- What waits for its block. A trigger fills it, so that no way into the inbox can forget it; it is empty but for
-- moments.
CREATE TABLE audit_pending (
    seq bigint NOT NULL,

    CONSTRAINT audit_pending_pkey PRIMARY KEY (seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE audit_blocks (
    number    bigint      NOT NULL,
    first     bigint      NOT NULL,
    count     integer     NOT NULL,
    root      bytea       NOT NULL,
    previous  bytea       NOT NULL,
    closed_at timestamptz NOT NULL,
    hash      bytea       NOT NULL,

    CONSTRAINT audit_blocks_pkey PRIMARY KEY (number),
    -- A chain has no branches.
    CONSTRAINT audit_blocks_first UNIQUE (first),
    CONSTRAINT audit_blocks_previous UNIQUE (previous),
    CONSTRAINT audit_blocks_count_range CHECK (count BETWEEN 1 AND 500),
    CONSTRAINT audit_blocks_hash_lengths CHECK (
        octet_length(root) = 32 AND octet_length(previous) = 32 AND octet_length(hash) = 32
    )
);

CREATE TABLE audit_ledger (
    -- From 1, without gaps, in the order of the blocks.
    seq      bigint      NOT NULL,
    -- The number of the same row in the inbox.
    inbox    bigint      NOT NULL,
    -- The hash of the text below.
    leaf     bytea       NOT NULL,
    -- The row as canonical JSON (RFC 8785): this is what the audit says.
    body     text        NOT NULL,
    -- What is searched for, repeated from the text.
    event    text        NOT NULL,
    at       timestamptz NOT NULL,
    account  text        NOT NULL,
    ticket   uuid,
    env      text        COLLATE "C",
    database text        COLLATE "C",
    host     text,
    role     text,

    CONSTRAINT audit_ledger_pkey PRIMARY KEY (seq),
    CONSTRAINT audit_ledger_inbox UNIQUE (inbox),
    CONSTRAINT audit_ledger_leaf_length CHECK (octet_length(leaf) = 32)
);

-- The list is read from the ledger, and so the inbox needs these no more.
DROP INDEX audit_inbox_by_account, audit_inbox_by_target, audit_inbox_by_host, audit_inbox_by_role, audit_inbox_by_time;
CREATE INDEX audit_ledger_by_account ON audit_ledger (account, seq);
CREATE INDEX audit_ledger_by_ticket ON audit_ledger (ticket, seq) WHERE ticket IS NOT NULL;
CREATE INDEX audit_ledger_by_target ON audit_ledger (env, database, seq) WHERE env IS NOT NULL;
CREATE INDEX audit_ledger_by_host ON audit_ledger (host, seq) WHERE host IS NOT NULL;
CREATE INDEX audit_ledger_by_role ON audit_ledger (role, seq) WHERE role IS NOT NULL;
CREATE INDEX audit_ledger_by_time ON audit_ledger (at);

CREATE TABLE audit_checkpoints (
    -- From 1, without gaps.
    number bigint      NOT NULL,
    block  bigint      NOT NULL,
    rows   bigint      NOT NULL,
    at     timestamptz NOT NULL,
    -- The signed note.
    note   text        NOT NULL,

    CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (number)
);

CREATE INDEX audit_checkpoints_by_block ON audit_checkpoints (block, number);

CREATE FUNCTION audit_is_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending (seq) SELECT seq FROM added;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_inbox_pending
    AFTER INSERT ON audit_inbox REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_pending();

CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_inbox_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
CREATE TRIGGER audit_blocks_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_blocks
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
CREATE TRIGGER audit_ledger_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
CREATE TRIGGER audit_checkpoints_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();

-- What was recorded before there was a ledger enters it first.
INSERT INTO audit_pending (seq) SELECT seq FROM audit_inbox;
