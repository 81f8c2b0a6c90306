-- Who may call Rolecall.

CREATE TABLE accounts (
    name          text        COLLATE "C" NOT NULL,
    kind          text        NOT NULL DEFAULT 'basic',
    -- A PHC string (argon2id).
    password_hash text        NOT NULL,
    disabled_at   timestamptz,
    expires_at    timestamptz,
    last_login_at timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,

    CONSTRAINT accounts_pkey PRIMARY KEY (name),
    CONSTRAINT accounts_name_length CHECK (octet_length(name) BETWEEN 1 AND 128),
    CONSTRAINT accounts_kind_known CHECK (kind IN ('basic', 'admin')),
    CONSTRAINT accounts_password_hash_form CHECK (password_hash LIKE '$argon2id$%')
);
