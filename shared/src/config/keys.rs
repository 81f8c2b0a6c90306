//! The table of all keys: the loader reads through it, unknown keys are told by it, the sample file is printed
//! from it. A key that is not here does not exist.

use super::shape::{Address, Choice, Claims, Entry, Flag, Key, Names, Number, Period, Plain, Secret, Text};
use crate::domain::NameRules;

use std::borrow::Cow;
use std::sync::LazyLock;

macro_rules! keys {
    ($($name:ident: $shape:ident = $path:literal { $($field:ident: $value:expr),+ $(,)? } $doc:literal;)+) => {
        $(
            pub(in crate::config) static $name: Key<$shape> =
                Key { path: Cow::Borrowed($path), doc: $doc, shape: $shape { $($field: $value),+ } };
        )+

        /// Those of this file, in the order of the sample file.
        pub(in crate::config) static HERE: &[&dyn Entry] = &[$(&$name,)+];
    };
}

// Behind the macro, which it uses.
mod notify;

pub(super) use notify::*;

/// Every key, in the order of the sample file.
pub(super) static ALL: LazyLock<Vec<&'static dyn Entry>> = LazyLock::new(|| [HERE, notify::HERE].concat());

/// The sections in the order of the sample file, each with what it is about.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("api", "The HTTP door: `rolecall api` and `rolecall serve`."),
    ("auth", "Who may call, and how often."),
    ("legacy", "What only older clients need."),
    (
        "account",
        "The account that exists before any other. Either this section, or `rolecall accounts create`.\n\
         PG_API_USER and PG_API_PASS are read as account.user and account.password.",
    ),
    ("worker", "The lanes that run the DDL: `rolecall worker` and `rolecall serve`."),
    ("rabbitmq", "The broker."),
    ("redis", "The ticket store. Run it with `appendonly yes` and `appendfsync always`."),
    ("control", "Rolecall's own PostgreSQL: targets, accounts, audit, history."),
    ("audit", "The signed checkpoints of the audit, which the workers make; see docs/AUDIT.md."),
    ("history", "Jobs that ended, by month: how long, and where to. `rolecall history maintain` does it."),
    ("seal", "The keys that seal secrets until they are taken."),
    (
        "default_login",
        "The log-in for targets that have none of their own, and the hosts it is sent to.\n\
         PG_ADMIN_USER and PG_ADMIN_PASS are read as default_login.user and default_login.password.",
    ),
    ("target", "Sessions on target hosts."),
    ("tickets", "Lifetimes of jobs, tickets and secrets."),
    (
        "outbound",
        "What may be reached at addresses that callers name: receivers of webhooks and notifications.",
    ),
    (
        "webhooks",
        "Telling receivers of their choosing what happened. Who may be reached at all is said under [outbound].",
    ),
    ("log", "The log, on standard error."),
    ("names", "Which names are allowed."),
    (
        "kinds.app",
        "Kinds of roles. The built-in ones are app, app-k8s, devqa, devlead, readonly and dba; a section\n\
         [kinds.NAME] changes one of them key by key, or adds a kind (which must state naming and\n\
         connection_limit). Shown is the built-in kind app.",
    ),
    (
        "oidc.github",
        "Issuers whose ID tokens are taken in place of a password, one section [oidc.NAME] each (NAME: a-z, then\n\
         a-z 0-9 -): a pipeline's token proves which repository runs it, and gets a short-lived one of ours.\n\
         `rolecall auth explain` says what becomes of a token. Shown is GitHub Actions.",
    ),
    (
        "oidc.github.bindings.deploy",
        "Who may come, one section [oidc.NAME.bindings.BINDING] each. The first binding by name whose claims all\n\
         match is taken.",
    ),
    (
        "oidc.github.bindings.deploy.claims",
        "What the token must say. One of repository, repository_id, repository_owner, repository_owner_id,\n\
         project_path, project_id, namespace_path, namespace_id or sub must be among it: without one, everybody\n\
         who has an account at the issuer would be let in.",
    ),
];

keys! {
    API_LISTEN: Address = "api.listen" { default: "127.0.0.1:5000", may_be_off: false }
        "Where the api listens with plain HTTP. Port 0 takes a free one and logs it.";
    API_PLAIN: Flag = "api.allow_plain_http" { default: false }
        "Whether api.listen may be an address that other machines reach, although passwords then travel in clear.";
    API_TLS: Address = "api.tls_listen" { default: "off", may_be_off: true }
        "Where the api listens with TLS, besides.";
    API_TLS_CERTIFICATE: Plain = "api.tls_certificate_file"
        { example: "/etc/rolecall/tls/api.crt", needed_by: "with api.tls_listen" }
        "The certificate, then those between it and a root that callers know: a PEM file. Read again when it changes.";
    API_TLS_KEY: Plain = "api.tls_key_file"
        { example: "/etc/rolecall/tls/api.key", needed_by: "with api.tls_listen" }
        "The private key of the certificate: a PEM file. Read again when it changes.";
    API_UNIX: Plain = "api.unix_socket"
        { example: "/run/rolecall/api.sock", needed_by: "for callers on this machine without a port" }
        "The absolute path of a Unix-domain socket on which the api listens besides.";
    API_UNIX_MODE: Text = "api.unix_socket_mode" { default: "0660" }
        "The permissions of that socket, in octal: who may write to it may connect.";
    API_CONNECTIONS: Number = "api.max_connections" { default: 4_096, min: 1, max: 1_000_000 }
        "The most connections open at once, over all listeners; more wait until one ends. Each is an open file.";
    API_IDLE: Period = "api.idle_seconds" { default: 75, min: 1, max: 600 }
        "A connection on which no request was under way for so long is closed, also one that is sending the head of\n\
         a request. Longer than the 60 seconds for which proxies usually keep one.";
    API_MAX_BODY: Number = "api.max_body_bytes" { default: 1_048_576, min: 1_024, max: 67_108_864 }
        "The largest request body.";
    API_MAX_BATCH: Number = "api.max_batch_items" { default: 1_000, min: 1, max: 10_000 }
        "The most jobs in one batch.";
    API_MAX_WAIT: Period = "api.max_wait_seconds" { default: 50, min: 1, max: 50 }
        "The longest a request may wait for its ticket. 50 is below the usual limits of proxies.";
    API_BACKLOG: Number = "api.backlog_per_host" { default: 10_000, min: 1, max: 100_000 }
        "The most jobs that may wait for one host; more are answered 429. The broker's own net is 100000.";
    API_CONFIRM: Period = "api.confirm_timeout_milliseconds" { default: 1_500, min: 50, max: 30_000 }
        "How long the broker's confirm may take before the ticket is withdrawn and the answer is 503.";
    API_GRACE: Period = "api.grace_seconds" { default: 20, min: 1, max: 600 }
        "How long requests may take to end when the process stops.";
    API_TARGET_READS: Number = "api.target_reads" { default: 16, min: 1, max: 1_000 }
        "The most sessions opened on targets at once for reading (check, roles).";
    API_STREAMS: Number = "api.max_waiting_streams" { default: 2_048, min: 1, max: 65_536 }
        "The most requests that wait for a ticket at once, event streams included.";
    API_PUBLIC_URL: Text = "api.public_url" { default: "" }
        "What stands before the path in the URLs of tickets that webhooks name, such as https://rolecall.example.com.\n\
         Empty: the path alone.";

    AUTH_SESSION: Period = "auth.session_seconds" { default: 3_600, min: 60, max: 86_400 }
        "How long a session lasts that a log-in or a CI system's identity token opens.";
    AUTH_LOGINS: Number = "auth.logins_per_minute" { default: 120, min: 1, max: 1_000_000 }
        "The most credentials of one address in a minute that were not proven in the minute before, right or wrong.";
    AUTH_ACCOUNT_RATE: Number = "auth.account_requests_per_second" { default: 2_000, min: 1, max: 1_000_000 }
        "The most requests of one account in a second, ten times as many at once; more are answered 429.";
    AUTH_ADDRESS_RATE: Number = "auth.address_requests_per_second" { default: 2_000, min: 1, max: 1_000_000 }
        "The same for one address, whoever asks.";

    LEGACY_GET_WRITES: Flag = "legacy.get_writes" { default: false }
        "Whether /auth/user/add and /auth/user/change take a GET, with passwords in the address, as barman-api does.";
    LEGACY_POST: Flag = "legacy.post" { default: false }
        "Whether what changes something below /api/v1/users takes a POST as well, with the parameters as a form in the\n\
         body or in the address. pg-user-api knows GET alone.";
    LEGACY_WAIT: Period = "legacy.wait_seconds" { default: 25, min: 1, max: 50 }
        "How long a call below /api/v1/users waits for its job. Then the answer is 504 with the ticket, and the job goes\n\
         on. Below the usual limits of proxies.";

    ACCOUNT_USER: Plain = "account.user" { example: "admin", needed_by: "with account.password" }
        "Its name for HTTP Basic: 1 to 64 bytes without spaces, colons and control characters.";
    ACCOUNT_PASSWORD: Secret = "account.password" { example: "", needed_by: "with account.user" }
        "Its password.";

    WORKER_LANES: Number = "worker.lanes" { default: 16, min: 1, max: 1_000 }
        "Hosts worked on at once by one process.";
    WORKER_BATCH: Number = "worker.batch" { default: 64, min: 1, max: 64 }
        "The most jobs in one transaction on a host.";
    WORKER_TURN_JOBS: Number = "worker.turn_jobs" { default: 512, min: 1, max: 100_000 }
        "After this many jobs a host goes back to the end of the line.";
    WORKER_TURN: Period = "worker.turn_seconds" { default: 5, min: 1, max: 300 }
        "After this long a host goes back to the end of the line.";
    WORKER_LINGER: Period = "worker.linger_milliseconds" { default: 250, min: 0, max: 10_000 }
        "How long a lane waits for more jobs before it lets its host go.";
    WORKER_GRACE: Period = "worker.grace_seconds" { default: 20, min: 1, max: 600 }
        "How long a batch may take to end when the process stops.";
    WORKER_SWEEP: Period = "worker.sweep_seconds" { default: 15, min: 1, max: 300 }
        "How often hosts that have messages and no lane are looked for.";
    WORKER_REAP: Period = "worker.reap_milliseconds" { default: 1_000, min: 50, max: 60_000 }
        "How often passed deadlines and cancels are settled.";
    WORKER_STALE: Period = "worker.stale_seconds" { default: 60, min: 1, max: 3_600 }
        "A ticket that has not moved for so long is looked up in history: Redis may have come back older.";
    WORKER_LISTEN: Address = "worker.listen" { default: "127.0.0.1:5001", may_be_off: true }
        "Where the worker answers /livez, /readyz and /metrics.";
    WORKER_ATTEMPTS: Number = "worker.attempts" { default: 3, min: 1, max: 10 }
        "How often a job is started alone without an outcome before it is given up.";

    RABBITMQ_URL: Secret = "rabbitmq.url"
        { example: "amqp://rolecall:PASSWORD@localhost:5672/%2f", needed_by: "by api and worker" }
        "Where it is, and as whom. A slash in the virtual host is written %2f.";
    RABBITMQ_PREFIX: Text = "rabbitmq.prefix" { default: "rolecall" }
        "What the names of all queues begin with: [a-z0-9._-], 1 to 32 bytes.";
    RABBITMQ_TIMEOUT: Period = "rabbitmq.timeout_milliseconds" { default: 5_000, min: 100, max: 60_000 }
        "The longest wait for an answer of the broker.";
    RABBITMQ_WINDOW: Number = "rabbitmq.publish_window" { default: 128, min: 1, max: 1_024 }
        "The most publishes that wait for their confirm at once.";

    REDIS_URL: Secret = "redis.url"
        { example: "redis://rolecall:PASSWORD@localhost:6379/0", needed_by: "by api and worker" }
        "Where it is, and as whom; rediss:// for TLS.";
    REDIS_PREFIX: Text = "redis.prefix" { default: "rolecall" }
        "What all keys begin with: [a-z0-9._-], 1 to 32 bytes.";
    REDIS_TIMEOUT: Period = "redis.timeout_milliseconds" { default: 1_500, min: 50, max: 60_000 }
        "The longest wait for an answer.";

    CONTROL_URL: Secret = "control.url"
        { example: "postgresql://rolecall_writer:PASSWORD@localhost:5432/rolecall", needed_by: "by all but `keys`" }
        "As the writer, who may only insert into the audit.";
    CONTROL_OWNER_URL: Secret = "control.owner_url"
        { example: "postgresql://rolecall_owner:PASSWORD@localhost:5432/rolecall", needed_by: "by `migrate` only" }
        "As the owner of the tables, who migrates. Keep it away from the services.";
    CONTROL_POOL: Number = "control.pool" { default: 8, min: 1, max: 256 }
        "The most connections of one process.";
    CONTROL_TIMEOUT: Period = "control.timeout_milliseconds" { default: 2_000, min: 50, max: 60_000 }
        "The longest wait for a connection and for an answer.";

    AUDIT_KEY_FILE: Plain = "audit.signing_key_file"
        { example: "/etc/rolecall/audit.key", needed_by: "by workers that sign, and by `audit key`" }
        "The private key that signs checkpoints; `rolecall audit key create` makes it. Without it there are none, and\n\
         whoever owns the control database could write the audit anew. Keep it from that machine.";
    AUDIT_CHECKPOINT_FILE: Plain = "audit.checkpoint_file"
        { example: "/var/lib/rolecall/checkpoints", needed_by: "to keep them outside of the control database" }
        "A file to which a worker appends every checkpoint it signs.";
    AUDIT_CHECKPOINT_HOOK: Names = "audit.checkpoint_hook"
        { default: &[], example: &["/usr/local/bin/keep-checkpoint", "s3://audit"] }
        "A program and its arguments, started for each checkpoint, which it reads from standard input. It has 30 seconds.";
    AUDIT_CHECKPOINT_EVERY: Period = "audit.checkpoint_seconds" { default: 60, min: 1, max: 86_400 }
        "How long after one checkpoint the next is signed, also when nothing has happened.";
    AUDIT_CHECKPOINT_ROWS: Number = "audit.checkpoint_rows" { default: 10_000, min: 1, max: 10_000_000 }
        "One is signed besides at the block that completes so many rows.";
    HISTORY_KEEP: Number = "history.keep_months" { default: 24, min: 1, max: 1_200 }
        "How many finished months stay in the control database.";
    HISTORY_FOLDER: Plain = "history.archive_folder"
        { example: "/var/lib/rolecall/history", needed_by: "to keep what is older" }
        "A folder into which older months are written before they are dropped, and from which the api reads them.\n\
         Without it they are dropped for good.";

    SEAL_KEY_FILE: Plain = "seal.key_file"
        { example: "/etc/rolecall/seal.keys", needed_by: "by api, worker and `keys`" }
        "The key file. `rolecall keys add` makes it.";

    LOGIN_USER: Plain = "default_login.user" { example: "rolecall_dba", needed_by: "with default_login.password" }
        "The PostgreSQL role: CREATEROLE, never a superuser.";
    LOGIN_PASSWORD: Secret = "default_login.password" { example: "", needed_by: "with default_login.user" }
        "Its password.";
    LOGIN_HOSTS: Names = "default_login.hosts" { default: &[], example: &["db1.example.com:5432"] }
        "hostname:port of each host it may be sent to, beside those that `rolecall targets trust` adds.";

    TARGET_CONNECT: Period = "target.connect_timeout_milliseconds" { default: 5_000, min: 100, max: 60_000 }
        "The longest wait for a session.";
    TARGET_LOCK: Period = "target.lock_timeout_milliseconds" { default: 5_000, min: 10, max: 15_999 }
        "lock_timeout of the sessions: below the 16 seconds after which the server ends an idle one.";
    TARGET_STATEMENT: Period = "target.statement_timeout_milliseconds" { default: 10_000, min: 10, max: 15_999 }
        "statement_timeout of the sessions: below the same 16 seconds.";
    TARGET_IDLE: Period = "target.idle_close_seconds" { default: 60, min: 1, max: 3_600 }
        "Sessions that were idle this long are closed.";
    TARGET_SCRAM: Number = "target.scram_iterations" { default: 4_096, min: 1, max: 100_000 }
        "Iterations of the SCRAM verifiers. 4096 is what RFC 7677 recommends for passwords of people; ours\n\
         are random (128 bits) and gain nothing from it, and a server makes more roles a second with fewer.\n\
         It spends some 4.5 ms on 4096 for each role; with more than 100000 a full transaction would not end in time.";
    TARGET_PROTECTED: Names = "target.protected_roles" { default: &[], example: &["postgres", "replicator"] }
        "Roles that are never touched, besides superusers and their like.";
    TARGET_PASSWORD_FOLDERS: Names = "target.password_folders"
        { default: &[], example: &["/etc/rolecall/targets"] }
        "Folders with nothing but passwords of targets, by absolute path. Whoever may register a target may have\n\
         any file in them sent to a host of their choice (`password_ref`: `file:…`). Empty: no file is read.";
    TARGET_PASSWORD_VARIABLES: Text = "target.password_variables" { default: "TARGET_PASSWORD_" }
        "What the names of variables with passwords of targets begin with (`password_ref`: `env:…`).";
    TARGET_BACKOFF_FIRST: Period = "target.backoff_first_milliseconds" { default: 200, min: 10, max: 600_000 }
        "The first delay after a host failed.";
    TARGET_BACKOFF_CAP: Period = "target.backoff_cap_milliseconds" { default: 30_000, min: 10, max: 600_000 }
        "The longest delay after a host failed.";

    TICKETS_DEADLINE: Period = "tickets.deadline_seconds" { default: 900, min: 1, max: 86_400 }
        "How long a job may wait if its caller says nothing.";
    TICKETS_MAX_DEADLINE: Period = "tickets.max_deadline_seconds" { default: 86_400, min: 1, max: 86_400 }
        "The longest deadline a caller may ask for.";
    TICKETS_FINISHED: Period = "tickets.finished_ttl_seconds" { default: 86_400, min: 60, max: 2_592_000 }
        "How long finished tickets stay in Redis; history outlives them.";
    TICKETS_SECRET: Period = "tickets.secret_ttl_seconds" { default: 3_600, min: 1, max: 604_800 }
        "How long a password can be taken after success.";

    OUTBOUND_HTTP: Flag = "outbound.allow_http" { default: false }
        "Whether an address may begin with http:// besides https://. What is sent is signed, but can be read on its way.";
    OUTBOUND_ALLOWED: Names = "outbound.allowed_networks" { default: &[], example: &["10.20.0.0/16", "fd12:3456::/32"] }
        "Networks of your own that may be reached. Without them only public addresses are, and of those no target's and\n\
         none of Rolecall's own servers. A network that is listed here is open as a whole, whatever stands in it.";
    OUTBOUND_REFUSED: Names = "outbound.refused_networks" { default: &[], example: &["198.51.100.0/24"] }
        "Networks that may not be reached, although they are public or listed as allowed.";
    OUTBOUND_CA: Plain = "outbound.ca_file"
        { example: "/etc/rolecall/tls/private-ca.crt", needed_by: "for receivers with certificates of a CA of your own" }
        "Certificates that are trusted besides those that the system trusts: a PEM file.";

    WEBHOOKS_SCHEDULE: Names = "webhooks.schedule"
        { default: &["5s", "30s", "2m", "10m", "1h", "6h", "24h"], example: &[] }
        "How long after each attempt that failed the next one is made; the first is made at once, and after the last\n\
         of these the event is given up.";
    WEBHOOKS_JITTER: Number = "webhooks.jitter_percent" { default: 20, min: 0, max: 100 }
        "By how much of it each of these delays may be shorter or longer.";
    WEBHOOKS_TIMEOUT: Period = "webhooks.timeout_milliseconds" { default: 15_000, min: 100, max: 60_000 }
        "How long an attempt may take, from looking up the name to the end of the answer's head.";
    WEBHOOKS_PER_ENDPOINT: Number = "webhooks.in_flight_per_endpoint" { default: 4, min: 1, max: 64 }
        "The most attempts at one endpoint at once, over all processes. An endpoint that fails gets one at a time.";
    WEBHOOKS_IN_FLIGHT: Number = "webhooks.in_flight" { default: 256, min: 1, max: 4_096 }
        "The most attempts of one process at once. Each is an open connection.";
    WEBHOOKS_POLL: Period = "webhooks.poll_milliseconds" { default: 1_000, min: 50, max: 60_000 }
        "How often it is looked for what is due. What is new is told at once, by the control database.";
    WEBHOOKS_MAX_RETRY_AFTER: Period = "webhooks.max_retry_after_seconds" { default: 3_600, min: 0, max: 86_400 }
        "The longest Retry-After of a receiver that is honoured; a longer one counts as this.";
    WEBHOOKS_DISABLE: Period = "webhooks.disable_after_seconds" { default: 432_000, min: 1, max: 31_536_000 }
        "An endpoint at which every attempt failed for so long is disabled.";
    WEBHOOKS_KEEP: Period = "webhooks.keep_seconds" { default: 2_592_000, min: 1, max: 315_360_000 }
        "How long deliveries that have ended are listed and can be replayed.";
    WEBHOOKS_ROTATION: Period = "webhooks.rotation_seconds" { default: 86_400, min: 0, max: 2_592_000 }
        "For how long the old keys sign besides the new ones after a rotation, unless it says otherwise.";
    WEBHOOKS_PER_ACCOUNT: Number = "webhooks.endpoints_per_account" { default: 20, min: 1, max: 10_000 }
        "The most endpoints of one account.";
    WEBHOOKS_CALLBACK_HOSTS: Names = "webhooks.callback_hosts"
        { default: &[], example: &["ci.example.com", "*.hooks.example.com", "ci.example.com:8443"] }
        "Hosts which a job may name as its callback by URL; *. stands for one name or several. Without a port: that of\n\
         the scheme. Empty: jobs may name registered endpoints only.";

    LOG_JSON: Flag = "log.json" { default: false }
        "JSON lines instead of text.";
    LOG_FILTER: Text = "log.filter" { default: "info,lapin=off,redis=warn,hyper=warn,h2=warn" }
        "What is logged: a level, or module=level, separated by commas.";

    NAMES_ROLE_PATTERN: Text = "names.role_pattern" { default: NameRules::DEFAULT_PATTERN }
        "The regular expression that names of new roles and schemas must match as a whole. Length (63 bytes),\n\
         control characters and reserved names are checked besides.";

    KIND_NAMING: Choice = "kinds.*.naming"
        { default: "servername_port", of: &["servername_port", "env_prefix_farmname", "username"] }
        "From which fields of a request the role's name is made.";
    KIND_CONNECTIONS: Number = "kinds.*.connection_limit" { default: 200, min: -1, max: 262_143 }
        "CONNECTION LIMIT; -1 is no limit.";
    KIND_CREATEDB: Flag = "kinds.*.createdb" { default: false }
        "CREATEDB.";
    KIND_CREATEROLE: Flag = "kinds.*.createrole" { default: false }
        "CREATEROLE.";
    KIND_SCOPE: Choice = "kinds.*.search_path_scope" { default: "database", of: &["database", "role"] }
        "Where search_path is set: in the target's database, or for the role in every database.";
    KIND_SEARCH_PATH: Names = "kinds.*.search_path" { default: &["public"], example: &[] }
        "The search_path of a new role.";
    KIND_READ_ONLY: Names = "kinds.*.read_only_schemas" { default: &[], example: &[] }
        "If not empty, the role only reads, and is granted reading of these schemas.";
    KIND_ONLY_IN: Names = "kinds.*.only_in_envs" { default: &[], example: &[] }
        "If not empty, the only environments in which the kind may be made.";
    KIND_NEVER_IN: Names = "kinds.*.never_in_envs" { default: &[], example: &[] }
        "Environments in which the kind may not be made.";

    OIDC_ISSUER: Plain = "oidc.*.issuer"
        { example: "https://token.actions.githubusercontent.com", needed_by: "in each of these sections" }
        "The issuer, exactly as its tokens name it (`iss`). https, but for a loopback address.";
    OIDC_AUDIENCE: Plain = "oidc.*.audience"
        { example: "https://rolecall.example.com", needed_by: "in each of these sections" }
        "What tokens must be made for (`aud`). A name of this installation alone, so that a token which another\n\
         service was given opens nothing here.";
    OIDC_ALGORITHMS: Names = "oidc.*.algorithms" { default: &["RS256"], example: &["RS256", "ES256"] }
        "How tokens may be signed: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA.";
    OIDC_JWKS_URL: Plain = "oidc.*.jwks_url"
        { example: "https://token.actions.githubusercontent.com/.well-known/jwks", needed_by: "without discovery" }
        "Where the issuer's keys are. Without this and jwks_file they are looked for below\n\
         issuer/.well-known/openid-configuration.";
    OIDC_JWKS_FILE: Plain = "oidc.*.jwks_file"
        { example: "/etc/rolecall/github.jwks.json", needed_by: "where the issuer cannot be reached" }
        "The issuer's keys as a file, in place of jwks_url.";
    OIDC_LEEWAY: Period = "oidc.*.leeway_seconds" { default: 60, min: 0, max: 300 }
        "By how much the clocks of issuer and Rolecall may differ.";
    OIDC_MAX_AGE: Period = "oidc.*.max_age_seconds" { default: 3_600, min: 1, max: 86_400 }
        "The longest lifetime (`exp` - `iat`) of a token that is taken.";
    OIDC_ACCOUNT: Plain = "oidc.*.bindings.*.account"
        { example: "ci-deploy", needed_by: "in each of these sections" }
        "The account whose rights it has.";
    OIDC_SUBJECT: Text = "oidc.*.bindings.*.subject_claim" { default: "sub" }
        "The claim that tells callers of one account apart: each value is an owner of tickets of its own.";
    OIDC_CLAIMS: Claims = "oidc.*.bindings.*.claims.**"
        {
            example: &[
                ("repository", "\"acme/payments\""),
                ("ref", "[\"refs/heads/main\", \"refs/heads/release/*\"]"),
                ("environment", "\"production\""),
            ],
        }
        "A claim's name, and its value or a list of values of which one will do. Of a claim that is a list, one\n\
         element has to match. In ref, base_ref, head_ref and ref_path, and only there, `*` is anything but a\n\
         slash and `**` is anything. A name with dots is quoted; if the token has no claim of that name, it is\n\
         the path of one within objects.";
}
