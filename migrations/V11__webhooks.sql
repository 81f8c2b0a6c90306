-- Webhooks: who wants to hear of what, and what has to be told. Rows are written in the transaction of the audit row they
-- come from, by a trigger, so that no writer can forget them.

-- What the trigger needs of the configuration: one row, kept up to date by every worker that starts.
CREATE TABLE webhook_settings (
    only_row   boolean NOT NULL DEFAULT true,
    -- What stands before the path in the URLs of tickets; empty: nothing, and they are paths.
    public_url text    NOT NULL DEFAULT '',

    CONSTRAINT webhook_settings_pkey PRIMARY KEY (only_row),
    CONSTRAINT webhook_settings_only_row CHECK (only_row)
);

INSERT INTO webhook_settings DEFAULT VALUES;

CREATE TABLE webhook_endpoints (
    id              uuid        NOT NULL,
    -- Who registered it, and whose tickets it hears of.
    account         text        COLLATE "C" NOT NULL,
    owner           text        COLLATE "C" NOT NULL,
    -- It hears of everybody's tickets, and of hosts.
    hears_all       boolean     NOT NULL,
    -- It stands for the callback URLs of its owner's jobs on one host, and hears of nothing else.
    callbacks_only  boolean     NOT NULL,
    url             text        NOT NULL,
    description     text        NOT NULL,
    -- The notification rule of the configuration that it stands for; its messages go through that rule's channel.
    rule            text        COLLATE "C",
    -- Empty: every one.
    events          text[]      NOT NULL,
    envs            text[]      NOT NULL,
    kinds           text[]      NOT NULL DEFAULT '{}',
    state           text        NOT NULL DEFAULT 'active',
    state_reason    text,
    state_at        timestamptz NOT NULL,
    -- Since the last success every attempt failed, the first of them then.
    failing_since   timestamptz,
    -- Its receiver asked for patience until then.
    held_until      timestamptz,
    -- The signing keys, sealed by the key ring; those before them sign besides until the time is over.
    keys_sealed     bytea       NOT NULL,
    public_key      text        NOT NULL,
    old_keys_sealed bytea,
    old_public_key  text,
    old_keys_until  timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,

    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_state_known CHECK (state IN ('active', 'paused', 'disabled')),
    CONSTRAINT webhook_endpoints_url_length CHECK (octet_length(url) BETWEEN 1 AND 2048),
    CONSTRAINT webhook_endpoints_description_length CHECK (octet_length(description) <= 256),
    CONSTRAINT webhook_endpoints_filters_length CHECK (
        cardinality(events) <= 100 AND cardinality(envs) <= 100 AND cardinality(kinds) <= 100
    ),
    CONSTRAINT webhook_endpoints_old_keys_whole CHECK (
        num_nonnulls(old_keys_sealed, old_public_key, old_keys_until) IN (0, 3)
    )
);

CREATE INDEX webhook_endpoints_by_account ON webhook_endpoints (account, id);
CREATE UNIQUE INDEX webhook_endpoints_of_rules ON webhook_endpoints (rule);
CREATE UNIQUE INDEX webhook_endpoints_of_callbacks ON webhook_endpoints (owner, url) WHERE callbacks_only;

-- What is told, once for all who hear of it. The id is that of the audit row and stands in `webhook-id`.
CREATE TABLE webhook_events (
    id     uuid        NOT NULL,
    event  text        NOT NULL,
    ticket uuid,
    at     timestamptz NOT NULL,
    -- The bytes that are sent, at every attempt the same.
    body   text        NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT webhook_events_pkey PRIMARY KEY (id)
);

CREATE INDEX webhook_events_by_time ON webhook_events (told_at);

-- One event for one endpoint. No foreign keys: the rows are written on the lanes' time, and a delivery whose endpoint is
-- gone is never taken and goes with its age.
CREATE TABLE webhook_deliveries (
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    endpoint     uuid        NOT NULL,
    event        uuid        NOT NULL,
    -- Where to, if not to the endpoint's own URL.
    url          text,
    state        text        NOT NULL DEFAULT 'pending',
    -- Since it was made or replayed.
    tries        integer     NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL DEFAULT now(),
    -- Somebody is sending it, and has until then to say what came of it.
    lease        uuid,
    leased_until timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,

    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_once UNIQUE (endpoint, event),
    CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('pending', 'delivered', 'failed')),
    CONSTRAINT webhook_deliveries_ended CHECK ((state = 'pending') = (ended_at IS NULL))
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due_at, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (endpoint, leased_until)
    WHERE state = 'pending' AND leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, id);
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event);
CREATE INDEX webhook_deliveries_by_end ON webhook_deliveries (ended_at) WHERE state <> 'pending';

CREATE TABLE webhook_attempts (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    delivery    bigint      NOT NULL,
    at          timestamptz NOT NULL,
    duration_ms integer     NOT NULL,
    -- Of the answer, if there was one.
    status      integer,
    error       text,

    CONSTRAINT webhook_attempts_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_attempts_delivery FOREIGN KEY (delivery) REFERENCES webhook_deliveries (id) ON DELETE CASCADE
);

CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery, id);

-- Which rows of the audit are told.
CREATE FUNCTION webhook_event_names() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[
        'ticket.succeeded', 'ticket.failed', 'ticket.cancelled', 'ticket.expired', 'secret.taken', 'secret.expired',
        'host.paused', 'host.resumed', 'host.unreachable', 'host.recovered'
    ]
$$;

-- The bytes of an event, after Standard Webhooks 1.0.0: ids, states and names, nothing else of the row.
CREATE FUNCTION webhook_body(told audit_inbox) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_strip_nulls(json_build_object(
        'type', told.event,
        'timestamp', to_char(told.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', json_build_object(
            'ticket', told.ticket,
            'ticket_url', (SELECT s.public_url FROM webhook_settings s) || '/api/v2/tickets/' || told.ticket,
            -- An ending comes first, what becomes of its password second: a receiver knows what is older.
            'sequence', CASE
                WHEN told.ticket IS NULL THEN NULL WHEN told.event LIKE 'ticket.%' THEN 1 ELSE 2
            END,
            'state', CASE WHEN told.event LIKE 'ticket.%' THEN split_part(told.event, '.', 2) END,
            'outcome', CASE WHEN told.event = 'ticket.succeeded' THEN told.outcome END,
            'code', CASE WHEN told.event IN ('ticket.failed', 'ticket.expired', 'host.unreachable') THEN told.outcome END,
            'operation', told.operation,
            'kind', told.kind,
            'role', told.role,
            'env', told.env,
            'database', told.database,
            'host', told.host,
            'account', told.account
        )
    ))::text
$$;

-- At the end of every statement that adds to the audit. It sees what the statement itself has written, so that the
-- callback of a job stands in history by then.
CREATE FUNCTION webhooks_fan_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told bigint;
BEGIN
    -- Where nobody wants to hear anything this is all it costs.
    IF NOT EXISTS (SELECT FROM webhook_endpoints) THEN
        RETURN NULL;
    END IF;
    WITH open AS MATERIALIZED (
        SELECT e.* FROM webhook_endpoints e
        WHERE e.state <> 'disabled'
          AND NOT EXISTS (
              SELECT FROM accounts a
              WHERE a.name = e.account AND (a.disabled_at IS NOT NULL OR a.expires_at <= now())
          )
    ), matched AS (
        SELECT a.event_id, e.id AS endpoint, NULL AS url
        FROM added a JOIN open e
          ON NOT e.callbacks_only
         AND (e.events = '{}' OR a.event = ANY (e.events))
         AND (e.kinds = '{}' OR a.kind = ANY (e.kinds))
         AND (e.hears_all OR (a.ticket IS NOT NULL AND a.owner = e.owner))
         AND (e.envs = '{}' OR a.env = ANY (e.envs) OR (a.env IS NULL AND EXISTS (
             SELECT FROM jsonb_array_elements_text(a.detail -> 'targets') target
             WHERE split_part(target, '/', 1) = ANY (e.envs)
         )))
        WHERE a.event = ANY (webhook_event_names())
        UNION
        SELECT a.event_id, e.id, h.job #>> '{callback,url}'
        FROM added a
        JOIN history_tickets t ON t.ticket = a.ticket
        JOIN history h ON h.finished_at = t.finished_at AND h.ticket = t.ticket AND h.job ? 'callback'
        JOIN open e ON e.id = (h.job #>> '{callback,endpoint}')::uuid AND e.owner = h.owner
        WHERE a.event LIKE 'ticket.%' AND a.event = ANY (webhook_event_names())
    ), events AS (
        INSERT INTO webhook_events (id, event, ticket, at, body)
        SELECT a.event_id, a.event, a.ticket, a.at, webhook_body(a.*::audit_inbox)
        FROM added a WHERE EXISTS (SELECT FROM matched m WHERE m.event_id = a.event_id)
    )
    INSERT INTO webhook_deliveries (endpoint, event, url)
    SELECT m.endpoint, m.event_id, m.url
    FROM matched m JOIN added a USING (event_id) ORDER BY a.seq, m.endpoint
    ON CONFLICT (endpoint, event) DO NOTHING;
    GET DIAGNOSTICS told = ROW_COUNT;
    IF told > 0 THEN
        PERFORM pg_notify('webhooks', '');
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_inbox_told
    AFTER INSERT ON audit_inbox REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_fan_out();

-- Who is removed hears nothing any more.
CREATE FUNCTION webhooks_of_removed_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM webhook_endpoints e USING gone g WHERE e.account = g.name;
    RETURN NULL;
END
$$;

CREATE TRIGGER accounts_removed
    AFTER DELETE ON accounts REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_of_removed_accounts();

-- Since when a host is in trouble, whichever worker met it: what is told is told once.
ALTER TABLE hosts ADD COLUMN unreachable_since timestamptz;
