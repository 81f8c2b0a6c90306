-- The registry: which databases are targets, and on which hosts they stand.

-- One row per host that has a target. It carries what belongs to the host and not to one of its targets: the
-- database in which the host lock is taken, and whether its jobs are paused.
CREATE TABLE hosts (
    hostname      text        NOT NULL,
    port          integer     NOT NULL,
    lock_database text        NOT NULL DEFAULT 'postgres',
    paused_by     text,
    paused_at     timestamptz,
    paused_reason text,

    CONSTRAINT hosts_pkey PRIMARY KEY (hostname, port),
    CONSTRAINT hosts_hostname_length CHECK (octet_length(hostname) BETWEEN 1 AND 200),
    -- One host has one queue, whatever the spelling of the caller.
    CONSTRAINT hosts_hostname_lower_case CHECK (hostname = lower(hostname)),
    CONSTRAINT hosts_port_range CHECK (port BETWEEN 1 AND 65535),
    CONSTRAINT hosts_lock_database_length CHECK (octet_length(lock_database) BETWEEN 1 AND 63),
    CONSTRAINT hosts_pause_whole CHECK (num_nonnulls(paused_by, paused_at, paused_reason) IN (0, 3))
);

CREATE TABLE targets (
    id                    bigint      GENERATED ALWAYS AS IDENTITY,
    -- In the order of bytes, so that a page of a list ends where the program thinks it ends.
    env                   text        COLLATE "C" NOT NULL,
    database              text        COLLATE "C" NOT NULL,
    hostname              text        NOT NULL,
    port                  integer     NOT NULL,
    -- Null: the default log-in of the configuration.
    login_user            text,
    -- The password, sealed by the key ring; or where the processes find it. Never in clear.
    login_password_sealed bytea,
    login_password_ref    text,
    sslmode               text        NOT NULL,
    ca_file               text,
    active                boolean     NOT NULL,
    notes                 text        NOT NULL,
    revision              bigint      NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,

    CONSTRAINT targets_pkey PRIMARY KEY (id),
    CONSTRAINT targets_key UNIQUE (env, database),
    CONSTRAINT targets_host FOREIGN KEY (hostname, port) REFERENCES hosts (hostname, port),
    CONSTRAINT targets_env_length CHECK (octet_length(env) BETWEEN 1 AND 32),
    CONSTRAINT targets_database_length CHECK (octet_length(database) BETWEEN 1 AND 63),
    CONSTRAINT targets_login_whole CHECK (
        num_nonnulls(login_password_sealed, login_password_ref)
        = CASE WHEN login_user IS NULL THEN 0 ELSE 1 END
    ),
    CONSTRAINT targets_login_password_ref_form CHECK (login_password_ref ~ '^(env|file):.'),
    CONSTRAINT targets_sslmode_known CHECK (
        sslmode IN ('disable', 'prefer', 'require', 'verify-ca', 'verify-full')
    ),
    CONSTRAINT targets_revision_positive CHECK (revision > 0)
);

CREATE INDEX targets_by_host ON targets (hostname, port);
