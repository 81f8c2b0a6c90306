-- Who may call, by which proof, and what they may do.

ALTER TABLE accounts
    -- inet: lets in with a password. unix: a local UNIX account, let in by the kernel's word.
    ADD COLUMN type       text   NOT NULL DEFAULT 'inet',
    -- Patterns, see the documentation. Nothing is allowed that is not listed.
    ADD COLUMN access     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN deny       text[] NOT NULL DEFAULT '{}',
    -- Stands in every session; another one ends them all. Never the same again, also after the name was free.
    ADD COLUMN generation uuid   NOT NULL DEFAULT gen_random_uuid(),
    ALTER COLUMN password_hash DROP NOT NULL,
    ADD CONSTRAINT accounts_type_known CHECK (type IN ('inet', 'unix')),
    ADD CONSTRAINT accounts_password_by_type CHECK ((type = 'inet') = (password_hash IS NOT NULL)),
    ADD CONSTRAINT accounts_lists_length CHECK (cardinality(access) <= 100 AND cardinality(deny) <= 100);

-- Until now every account could do everything, and a pipeline must not stop because of this file.
UPDATE accounts SET access = '{*:*/*:*}';

-- API tokens. Only the SHA-256 of each is here: 256 random bits need no slow hash.
CREATE TABLE api_tokens (
    id           uuid        NOT NULL,
    account      text        COLLATE "C" NOT NULL,
    name         text        NOT NULL,
    hash         bytea       NOT NULL,
    -- What it is limited to; null: to nothing but the account's own lists.
    access       text[],
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,

    CONSTRAINT api_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT api_tokens_account FOREIGN KEY (account) REFERENCES accounts (name) ON DELETE CASCADE,
    CONSTRAINT api_tokens_hash UNIQUE (hash),
    CONSTRAINT api_tokens_hash_length CHECK (octet_length(hash) = 32),
    CONSTRAINT api_tokens_name_length CHECK (octet_length(name) BETWEEN 1 AND 64),
    CONSTRAINT api_tokens_access_length CHECK (cardinality(access) BETWEEN 1 AND 100)
);

CREATE INDEX api_tokens_by_account ON api_tokens (account, id);

-- Sessions that were ended one by one, until they would have ended anyway.
CREATE TABLE revoked_sessions (
    id         uuid        NOT NULL,
    expires_at timestamptz NOT NULL,

    CONSTRAINT revoked_sessions_pkey PRIMARY KEY (id)
);

CREATE INDEX revoked_sessions_by_expiry ON revoked_sessions (expires_at);

-- Identity tokens of CI systems that were exchanged: each once.
CREATE TABLE identity_tokens_used (
    issuer     text        NOT NULL,
    -- SHA-256 of its jti, which may be of any length.
    jti        bytea       NOT NULL,
    expires_at timestamptz NOT NULL,

    CONSTRAINT identity_tokens_used_pkey PRIMARY KEY (issuer, jti)
);

CREATE INDEX identity_tokens_used_by_expiry ON identity_tokens_used (expires_at);

-- By which proof somebody acted.
ALTER TABLE audit_inbox ADD COLUMN via text;

-- Whoever remembers a proof hears of every change at the moment of its commit.
CREATE FUNCTION callers_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('callers', '');
    RETURN NULL;
END
$$;

-- Not for the columns that say when somebody was here.
CREATE TRIGGER accounts_changed
    AFTER DELETE OR UPDATE OF name, kind, type, password_hash, access, deny, disabled_at, expires_at, generation
    ON accounts FOR EACH STATEMENT EXECUTE FUNCTION callers_changed();
CREATE TRIGGER api_tokens_changed
    AFTER DELETE OR UPDATE OF access, expires_at, revoked_at
    ON api_tokens FOR EACH STATEMENT EXECUTE FUNCTION callers_changed();
CREATE TRIGGER revoked_sessions_changed
    AFTER INSERT ON revoked_sessions FOR EACH STATEMENT EXECUTE FUNCTION callers_changed();
