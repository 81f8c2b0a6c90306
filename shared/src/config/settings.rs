//! The settings as everybody else sees them: parsed, in range, with `Duration`s instead of numbers.
//!
//! Defaults, ranges and the meaning of each key stand in the table of keys (`keys.rs`), from which the sample file
//! is made; the comments here only add what matters to a reader of the code.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::Notify;
use crate::domain::{ClaimPattern, HostKey, NameRules, Profiles, RoleName, SignatureAlgorithm};

/// Everything, checked. Its `Debug` text holds no secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The HTTP door.
    pub api: Api,
    /// Who may call, and how often.
    pub auth: Auth,
    /// What only older clients need.
    pub legacy: Legacy,
    /// The account that exists before any other. None is no fault: there may be accounts in the control database,
    /// which only the api can see; it refuses to start with [`NO_ACCOUNT`](super::NO_ACCOUNT) if there are none.
    pub account: Option<BootstrapAccount>,
    /// The lanes.
    pub worker: Worker,
    /// The broker.
    pub rabbitmq: RabbitMq,
    /// The ticket store.
    pub redis: Redis,
    /// The control database.
    pub control: Control,
    /// The audit's checkpoints.
    pub audit: Audit,
    /// The keys that seal secrets.
    pub seal: Seal,
    /// The default log-in for targets, if there is one.
    pub default_login: Option<DefaultLogin>,
    /// Sessions on target hosts.
    pub target: Target,
    /// Lifetimes.
    pub tickets: Tickets,
    /// What may be reached at addresses that callers name.
    pub outbound: Outbound,
    /// Telling others what happened.
    pub webhooks: Webhooks,
    /// The log.
    pub log: Log,
    /// Which role and schema names are allowed.
    pub names: NameRules,
    /// The table of kinds, with the operator's changes.
    pub profiles: Profiles,
    /// Issuers whose ID tokens are taken.
    pub oidc: Oidc,
    /// Who hears of what, and where.
    pub notify: Notify,
}

/// The HTTP door: section `api`.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it listens with plain HTTP; port 0 takes a free one. Loopback, unless the operator allowed another.
    pub listen: SocketAddr,
    /// Where it listens with TLS, if it does.
    pub tls: Option<ApiTls>,
    /// The socket for callers on this machine, if there is one.
    pub unix_socket: Option<UnixSocket>,
    /// The most connections open at once, over all listeners.
    pub max_connections: usize,
    /// After how long without a request under way a connection is closed.
    pub idle: Duration,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The most jobs in one batch.
    pub max_batch_items: usize,
    /// The longest a request may wait for its ticket.
    pub max_wait: Duration,
    /// The most jobs that may wait for one host.
    pub backlog_per_host: u64,
    /// How long the broker's confirm may take before the ticket is withdrawn.
    pub confirm_timeout: Duration,
    /// How long requests may take to end when the process stops.
    pub grace: Duration,
    /// The most sessions opened on targets at once for reading (`check`, `roles`).
    pub target_reads: usize,
    /// The most requests that wait for a ticket at once, event streams included.
    pub max_waiting_streams: usize,
    /// What stands before the path in the URLs of tickets; without a slash at its end. May be empty.
    pub public_url: String,
}

/// Who may call, and how often.
#[derive(Debug, Clone)]
pub struct Auth {
    /// How long a session lasts.
    pub session: Duration,
    /// The most credentials of one address in a minute that were not proven in the minute before.
    pub logins_per_minute: u32,
    /// The most requests of one account in a second; ten times as many at once.
    pub account_requests_per_second: u32,
    /// The same for one address.
    pub address_requests_per_second: u32,
}

/// What only older clients need.
#[derive(Debug, Clone)]
pub struct Legacy {
    /// Whether calls that change something may be a GET.
    pub get_writes: bool,
    /// Whether changes in pg-user-api's form may be a POST.
    pub post: bool,
    /// How long a call in pg-user-api's form waits for its job.
    pub wait: Duration,
}

/// The TLS listener: `api.tls_…`. The files are the api's alone and not read here: a worker may have none.
#[derive(Debug, Clone)]
pub struct ApiTls {
    /// Where it listens.
    pub listen: SocketAddr,
    /// PEM, the certificate itself first.
    pub certificate_file: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
}

/// The Unix-domain socket: `api.unix_…`.
#[derive(Debug, Clone)]
pub struct UnixSocket {
    /// Absolute.
    pub path: PathBuf,
    /// The permission bits.
    pub mode: u32,
}

/// The account that exists before any other: section `account`, or `PG_API_USER` and `PG_API_PASS`.
#[derive(Debug, Clone)]
pub struct BootstrapAccount {
    /// The name for HTTP Basic; holds no colon (RFC 7617, section 2).
    pub user: String,
    /// The password, in clear: it comes from the operator's own configuration. Not empty.
    pub password: SecretString,
}

/// The lanes: section `worker`.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Hosts worked on at once.
    pub lanes: u16,
    /// The most jobs in one transaction on a host.
    pub batch: usize,
    /// After this many jobs a host goes back to the end of the line.
    pub turn_jobs: usize,
    /// After this long a host goes back to the end of the line.
    pub turn: Duration,
    /// How long a lane waits for more jobs before it lets its host go.
    pub linger: Duration,
    /// How long a batch may take to end when the process stops.
    pub grace: Duration,
    /// How often hosts that have messages and no holder are looked for.
    pub sweep: Duration,
    /// How often deadlines and cancels are settled.
    pub reap: Duration,
    /// After how long without a move an unfinished ticket is looked up in history.
    pub stale: Duration,
    /// Where the worker answers `/livez`, `/readyz` and `/metrics`; none is off.
    pub listen: Option<SocketAddr>,
    /// How often a job is started alone without an outcome before it is given up.
    pub attempts: u32,
}

/// The broker: section `rabbitmq`.
#[derive(Debug, Clone)]
pub struct RabbitMq {
    /// `amqp://user:password@host:port/vhost`; a user is always named.
    pub url: SecretString,
    /// What the names of all queues begin with: `[a-z0-9._-]{1,32}`.
    pub prefix: String,
    /// The longest wait for an answer of the broker.
    pub timeout: Duration,
    /// The most publishes that wait for their confirm at once.
    pub publish_window: usize,
}

/// The ticket store: section `redis`.
#[derive(Debug, Clone)]
pub struct Redis {
    /// `redis://` or `rediss://`.
    pub url: SecretString,
    /// What all keys begin with: `[a-z0-9._-]{1,32}`.
    pub prefix: String,
    /// The longest wait for an answer.
    pub timeout: Duration,
}

/// The control database: section `control`.
#[derive(Debug, Clone)]
pub struct Control {
    /// As the writer, who may only insert into the audit.
    pub url: SecretString,
    /// As the owner, who migrates; services do not need it.
    pub owner_url: Option<SecretString>,
    /// The most connections of one process.
    pub pool: usize,
    /// The longest wait for a connection and for an answer.
    pub timeout: Duration,
    /// What becomes of old history.
    pub history: History,
}

/// What becomes of old history: section `history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// How many finished months the control database keeps; at least one.
    pub keep_months: u16,
    /// Where months are archived, and read from once they are dropped. None: they are dropped for good.
    pub archive_folder: Option<PathBuf>,
}

/// The audit's checkpoints: section `audit`.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The file of the key that signs them; none, none are signed.
    pub signing_key_file: Option<PathBuf>,
    /// The file they are appended to.
    pub checkpoint_file: Option<PathBuf>,
    /// The program that is given each, and its arguments.
    pub checkpoint_hook: Vec<String>,
    /// How long after one the next is due.
    pub checkpoint_every: Duration,
    /// One is due besides at every so many rows.
    pub checkpoint_rows: i64,
}

/// The keys that seal secrets: section `seal`.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The file that `rolecall keys` writes.
    pub key_file: PathBuf,
}

/// The default log-in, and the hosts it may be used for: section `default_login`, or `PG_ADMIN_USER` and
/// `PG_ADMIN_PASS`.
#[derive(Debug, Clone)]
pub struct DefaultLogin {
    /// The PostgreSQL role.
    pub user: String,
    /// Its password. Not empty.
    pub password: SecretString,
    /// Whoever may register a host must not be handed this password, so it goes to these hosts, to those that an operator
    /// has added in the control database, and to no other.
    pub hosts: Vec<HostKey>,
}

/// Sessions on target hosts: section `target`.
#[derive(Debug, Clone)]
pub struct Target {
    /// The longest wait for a session.
    pub connect_timeout: Duration,
    /// `lock_timeout`; below the 16 s after which the server ends an idle session.
    pub lock_timeout: Duration,
    /// `statement_timeout`; below the same 16 s.
    pub statement_timeout: Duration,
    /// Sessions that were idle this long are closed.
    pub idle_close: Duration,
    /// Iterations of the SCRAM verifiers.
    pub scram_iterations: u32,
    /// Roles that are never touched.
    pub protected_roles: Vec<RoleName>,
    /// The only folders from which `file:` references are read, as the operator wrote them: absolute, without
    /// `..`. None of Rolecall's own secret files is in them.
    pub password_folders: Vec<PathBuf>,
    /// What the names of variables in `env:` references begin with. No variable of Rolecall's own does.
    pub password_variables: String,
    /// The first delay after a host failed.
    pub backoff_first: Duration,
    /// The longest delay after a host failed.
    pub backoff_cap: Duration,
}

/// Lifetimes: section `tickets`.
#[derive(Debug, Clone)]
pub struct Tickets {
    /// How long a job may wait if its caller says nothing.
    pub deadline: Duration,
    /// The longest deadline a caller may ask for.
    pub max_deadline: Duration,
    /// How long finished tickets stay in Redis; history outlives them.
    pub finished_ttl: Duration,
    /// How long a secret can be taken after success.
    pub secret_ttl: Duration,
}

/// What may be reached at addresses that callers name: section `outbound`.
#[derive(Debug, Clone, Default)]
pub struct Outbound {
    /// Whether an address may begin with `http://`.
    pub allow_http: bool,
    /// Networks that may be reached although they are not public, or hold a server that is not to be reached.
    pub allowed_networks: Vec<IpNet>,
    /// Networks that may not be reached, whatever else is said.
    pub refused_networks: Vec<IpNet>,
    /// PEM: what is trusted besides what the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Telling others what happened: section `webhooks`.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// The delays after the first, second, … attempt that failed.
    pub schedule: Vec<Duration>,
    /// By how many hundredths of it a delay may differ.
    pub jitter_percent: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// The most attempts at one endpoint at once, over all processes.
    pub in_flight_per_endpoint: u32,
    /// The most attempts of one process at once.
    pub in_flight: usize,
    /// How often it is looked for what is due.
    pub poll: Duration,
    /// The longest `Retry-After` that is honoured.
    pub max_retry_after: Duration,
    /// For how long an endpoint may fail without a success before it is disabled.
    pub disable_after: Duration,
    /// How long what has ended is listed.
    pub keep: Duration,
    /// For how long old keys sign after a rotation.
    pub rotation: Duration,
    /// The most endpoints of one account.
    pub endpoints_per_account: u32,
    /// Hosts that a job may name as its callback by URL.
    pub callback_hosts: Vec<CallbackHost>,
}

/// A host that a job may name, or all below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackHost {
    /// Lower case; without `*.`.
    pub name: String,
    /// Whether it means the names below this one.
    pub is_wildcard: bool,
    /// None is the port of the scheme.
    pub port: Option<u16>,
}

/// The log: section `log`.
#[derive(Debug, Clone)]
pub struct Log {
    /// JSON lines instead of text.
    pub json: bool,
    /// Directives of `tracing_subscriber::EnvFilter`; known to parse.
    pub filter: String,
}

/// Issuers whose ID tokens are taken in place of a password: sections `oidc.NAME`.
#[derive(Debug, Clone, Default)]
pub struct Oidc {
    /// In the order of their names. No two have the same `issuer`.
    pub issuers: Vec<OidcIssuer>,
}

/// One issuer.
#[derive(Debug, Clone)]
pub struct OidcIssuer {
    /// The operator's name for it: `[a-z][a-z0-9-]*`.
    pub name: String,
    /// What `iss` must be, byte for byte.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// At least one.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// The longest `exp` - `iat`.
    pub max_age: Duration,
    /// In the order of their names, which is the order in which they are tried. At least one.
    pub bindings: Vec<OidcBinding>,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// From where `<issuer>/.well-known/openid-configuration` says.
    Discovery,
    /// From this URL.
    Url(String),
    /// From this file.
    File(PathBuf),
}

/// Who may come, and as whom.
#[derive(Debug, Clone)]
pub struct OidcBinding {
    /// The operator's name for it: `[a-z][a-z0-9-]*`.
    pub name: String,
    /// The account; it need not exist.
    pub account: String,
    /// The claim whose value becomes part of the owner.
    pub subject_claim: String,
    /// All of them must match. One at least says whose code it is.
    pub claims: Vec<ClaimRule>,
}

/// What one claim must be.
#[derive(Debug, Clone)]
pub struct ClaimRule {
    /// The claim's name, or with dots its path.
    pub claim: String,
    /// One of these has to match; at least one.
    pub any_of: Vec<ClaimPattern>,
}
