//! From keys to [`Settings`], section by section, with the rules that hold between keys.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::shape::{Key, Secret, Text};
use super::{
    Api, Audit, Auth, BootstrapAccount, Control, DefaultLogin, History, Legacy, Log, RabbitMq, Redis, Seal,
    Settings, Target, Tickets, Worker, keys, kinds, listeners, notify, oidc, outbound, passwords, urls,
    webhooks,
};
use crate::credentials::check_account_name;
use crate::domain::{HostKey, NameRules, RoleName};

/// Everything. None means that a fault is in the reader's list.
pub(super) fn settings(reader: &mut Reader) -> Option<Settings> {
    let api = api(reader);
    let auth = auth(reader);
    let legacy = Legacy {
        get_writes: reader.flag(&keys::LEGACY_GET_WRITES),
        post: reader.flag(&keys::LEGACY_POST),
        wait: reader.period(&keys::LEGACY_WAIT),
    };
    let account = account(reader);
    let worker = worker(reader);
    let rabbitmq = rabbitmq(reader);
    let redis = redis(reader);
    let control = control(reader);
    let audit = audit(reader);
    let seal = seal_of_services(reader);
    let default_login = default_login(reader);
    let target = target(reader);
    let tickets = tickets(reader);
    let outbound = outbound::outbound(reader);
    let webhooks = webhooks::webhooks(reader);
    let log = log(reader);
    let names = names(reader);
    let profiles = kinds::profiles(reader, &names);
    let oidc = oidc::issuers(reader);
    let notify = notify::notify(reader);
    Some(Settings {
        api: api?,
        auth,
        legacy,
        account,
        worker,
        rabbitmq: rabbitmq?,
        redis: redis?,
        control: control?,
        audit,
        seal: seal?,
        default_login,
        target,
        tickets,
        outbound,
        webhooks,
        log,
        names,
        profiles,
        oidc,
        notify,
    })
}

fn api(reader: &mut Reader) -> Option<Api> {
    let listen = listeners::plain(reader);
    let api = Api {
        tls: listeners::tls(reader),
        unix_socket: listeners::unix_socket(reader),
        max_connections: reader.number(&keys::API_CONNECTIONS),
        idle: reader.period(&keys::API_IDLE),
        max_body_bytes: reader.number(&keys::API_MAX_BODY),
        max_batch_items: reader.number(&keys::API_MAX_BATCH),
        max_wait: reader.period(&keys::API_MAX_WAIT),
        backlog_per_host: reader.number(&keys::API_BACKLOG),
        confirm_timeout: reader.period(&keys::API_CONFIRM),
        grace: reader.period(&keys::API_GRACE),
        target_reads: reader.number(&keys::API_TARGET_READS),
        max_waiting_streams: reader.number(&keys::API_STREAMS),
        public_url: webhooks::public_url(reader),
        listen: listen?,
    };
    Some(api)
}

fn auth(reader: &mut Reader) -> Auth {
    Auth {
        session: reader.period(&keys::AUTH_SESSION),
        logins_per_minute: reader.number(&keys::AUTH_LOGINS),
        account_requests_per_second: reader.number(&keys::AUTH_ACCOUNT_RATE),
        address_requests_per_second: reader.number(&keys::AUTH_ADDRESS_RATE),
    }
}

fn account(reader: &mut Reader) -> Option<BootstrapAccount> {
    let user = reader.plain(&keys::ACCOUNT_USER);
    let password = reader.secret(&keys::ACCOUNT_PASSWORD);
    if let Some(Err(fault)) = user.as_deref().map(check_account_name) {
        reader.fault(&keys::ACCOUNT_USER.path, fault);
    }
    both(reader, "account", &keys::ACCOUNT_PASSWORD);
    Some(BootstrapAccount { user: user?, password: password? })
}

/// A user without a password, or the other way round, is half a log-in.
fn both(reader: &mut Reader, section: &str, password: &Key<Secret>) {
    let has_user = reader.has_section(&format!("{section}.user"));
    if has_user && !reader.states_secret(password) {
        reader.missing_secret(password, &format!(" while {section}.user is set"));
    }
    if !has_user && reader.states_secret(password) {
        let text = format!("is missing while {section}.password is set");
        reader.fault(&format!("{section}.user"), text);
    }
}

fn worker(reader: &mut Reader) -> Worker {
    Worker {
        lanes: reader.number(&keys::WORKER_LANES),
        batch: reader.number(&keys::WORKER_BATCH),
        turn_jobs: reader.number(&keys::WORKER_TURN_JOBS),
        turn: reader.period(&keys::WORKER_TURN),
        linger: reader.period(&keys::WORKER_LINGER),
        grace: reader.period(&keys::WORKER_GRACE),
        sweep: reader.period(&keys::WORKER_SWEEP),
        reap: reader.period(&keys::WORKER_REAP),
        stale: reader.period(&keys::WORKER_STALE),
        listen: reader.address(&keys::WORKER_LISTEN),
        attempts: reader.number(&keys::WORKER_ATTEMPTS),
    }
}

fn rabbitmq(reader: &mut Reader) -> Option<RabbitMq> {
    let url = url(reader, &keys::RABBITMQ_URL, urls::check_amqp);
    let prefix = prefix(reader, &keys::RABBITMQ_PREFIX);
    let timeout = reader.period(&keys::RABBITMQ_TIMEOUT);
    let publish_window = reader.number(&keys::RABBITMQ_WINDOW);
    Some(RabbitMq { url: url?, prefix, timeout, publish_window })
}

fn redis(reader: &mut Reader) -> Option<Redis> {
    let url = url(reader, &keys::REDIS_URL, urls::check_redis);
    let prefix = prefix(reader, &keys::REDIS_PREFIX);
    let timeout = reader.period(&keys::REDIS_TIMEOUT);
    Some(Redis { url: url?, prefix, timeout })
}

/// The control database as the services know it.
pub(super) fn control(reader: &mut Reader) -> Option<Control> {
    let url = url(reader, &keys::CONTROL_URL, urls::check_postgres);
    let owner_url = url_if_set(reader, &keys::CONTROL_OWNER_URL, urls::check_postgres);
    let pool = reader.number(&keys::CONTROL_POOL);
    let timeout = reader.period(&keys::CONTROL_TIMEOUT);
    let history = history(reader);
    Some(Control { url: url?, owner_url, pool, timeout, history })
}

fn history(reader: &mut Reader) -> History {
    let keep_months = reader.number(&keys::HISTORY_KEEP);
    let archive_folder = reader.plain(&keys::HISTORY_FOLDER).map(PathBuf::from);
    if archive_folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
        reader.fault(&keys::HISTORY_FOLDER.path, "must be an absolute path");
    }
    History { keep_months, archive_folder }
}

/// Everything of it may be left out.
pub(super) fn audit(reader: &mut Reader) -> Audit {
    Audit {
        signing_key_file: reader.plain(&keys::AUDIT_KEY_FILE).map(Into::into),
        checkpoint_file: reader.plain(&keys::AUDIT_CHECKPOINT_FILE).map(Into::into),
        checkpoint_hook: reader.names(&keys::AUDIT_CHECKPOINT_HOOK),
        checkpoint_every: reader.period(&keys::AUDIT_CHECKPOINT_EVERY),
        checkpoint_rows: reader.number(&keys::AUDIT_CHECKPOINT_ROWS),
    }
}

/// The control database as `rolecall migrate` needs it.
pub(super) fn control_for_migration(reader: &mut Reader) -> Option<Control> {
    let control = control(reader);
    if !reader.states_secret(&keys::CONTROL_OWNER_URL) {
        reader.missing_secret(
            &keys::CONTROL_OWNER_URL,
            " (`rolecall migrate` and `rolecall history` work as the owner of the tables)",
        );
    }
    control
}

/// The key file, which need not exist yet: `rolecall keys add` makes it.
pub(super) fn seal(reader: &mut Reader) -> Option<Seal> {
    let key_file = reader.plain(&keys::SEAL_KEY_FILE);
    if !reader.has_section(&keys::SEAL_KEY_FILE.path) {
        reader.fault(
            &keys::SEAL_KEY_FILE.path,
            "is missing: no seal key. Set seal.key_file (or ROLECALL__SEAL__KEY_FILE), then run `rolecall keys add`",
        );
    }
    Some(Seal { key_file: key_file?.into() })
}

fn seal_of_services(reader: &mut Reader) -> Option<Seal> {
    let seal = seal(reader)?;
    if let Err(error) = std::fs::File::open(&seal.key_file) {
        let file = seal.key_file.display();
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let next = if is_missing { ": no seal key: run `rolecall keys add`" } else { "" };
        reader.fault(&keys::SEAL_KEY_FILE.path, format!("{file} cannot be opened: {error}{next}"));
    }
    Some(seal)
}

fn default_login(reader: &mut Reader) -> Option<DefaultLogin> {
    let user = reader.plain(&keys::LOGIN_USER);
    let password = reader.secret(&keys::LOGIN_PASSWORD);
    let names = reader.names(&keys::LOGIN_HOSTS);
    let hosts = reader.parsed(&keys::LOGIN_HOSTS.path, names, |text| {
        text.parse::<HostKey>().map_err(|error| format!("is not hostname:port: {error}"))
    });
    if let Some(Err(fault)) = user.as_deref().map(RoleName::from_stored) {
        reader.fault(&keys::LOGIN_USER.path, fault);
    }
    both(reader, "default_login", &keys::LOGIN_PASSWORD);
    Some(DefaultLogin { user: user?, password: password?, hosts })
}

fn target(reader: &mut Reader) -> Target {
    let names = reader.names(&keys::TARGET_PROTECTED);
    let target = Target {
        connect_timeout: reader.period(&keys::TARGET_CONNECT),
        lock_timeout: reader.period(&keys::TARGET_LOCK),
        statement_timeout: reader.period(&keys::TARGET_STATEMENT),
        idle_close: reader.period(&keys::TARGET_IDLE),
        scram_iterations: reader.number(&keys::TARGET_SCRAM),
        // Not the pattern for new names: these exist already.
        protected_roles: reader.parsed(&keys::TARGET_PROTECTED.path, names, RoleName::from_stored),
        password_folders: passwords::folders(reader),
        password_variables: passwords::variables(reader),
        backoff_first: reader.period(&keys::TARGET_BACKOFF_FIRST),
        backoff_cap: reader.period(&keys::TARGET_BACKOFF_CAP),
    };
    if target.backoff_first > target.backoff_cap {
        reader.fault(
            &keys::TARGET_BACKOFF_FIRST.path,
            format_args!("must be at most {}", keys::TARGET_BACKOFF_CAP.path),
        );
    }
    target
}

fn tickets(reader: &mut Reader) -> Tickets {
    let tickets = Tickets {
        deadline: reader.period(&keys::TICKETS_DEADLINE),
        max_deadline: reader.period(&keys::TICKETS_MAX_DEADLINE),
        finished_ttl: reader.period(&keys::TICKETS_FINISHED),
        secret_ttl: reader.period(&keys::TICKETS_SECRET),
    };
    if tickets.deadline > tickets.max_deadline {
        reader.fault(
            &keys::TICKETS_DEADLINE.path,
            format_args!("must be at most {}", keys::TICKETS_MAX_DEADLINE.path),
        );
    }
    tickets
}

fn log(reader: &mut Reader) -> Log {
    let log = Log { json: reader.flag(&keys::LOG_JSON), filter: reader.text(&keys::LOG_FILTER) };
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&log.filter) {
        reader.fault(&keys::LOG_FILTER.path, error);
    }
    log
}

fn names(reader: &mut Reader) -> NameRules {
    let pattern = reader.text(&keys::NAMES_ROLE_PATTERN);
    NameRules::new(&pattern).unwrap_or_else(|error| {
        let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
        let reason = reason.trim_start_matches("error: ");
        reader.fault(&keys::NAMES_ROLE_PATTERN.path, format_args!("is not a regular expression: {reason}"));
        NameRules::default()
    })
}

fn prefix(reader: &mut Reader, key: &Key<Text>) -> String {
    let prefix = reader.text(key);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if !(1..=32).contains(&prefix.len()) || !prefix.bytes().all(plain) {
        reader.fault(&key.path, "must be 1 to 32 of the characters a-z 0-9 . _ -");
    }
    prefix
}

type Check = fn(&str) -> Result<(), &'static str>;

fn url(reader: &mut Reader, key: &Key<Secret>, check: Check) -> Option<SecretString> {
    if !reader.states_secret(key) {
        reader.missing_secret(key, "");
    }
    url_if_set(reader, key, check)
}

fn url_if_set(reader: &mut Reader, key: &Key<Secret>, check: Check) -> Option<SecretString> {
    let secret = reader.secret(key)?;
    match check(secret.expose_secret()) {
        Ok(()) => Some(secret),
        Err(text) => {
            reader.fault(&key.path, text);
            None
        }
    }
}
