//! `rolecall webhooks`.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, value_parser};
use jiff::Timestamp;
use rolecall_shared::domain::webhook::{DeliveryState, EndpointScope};
use rolecall_shared::domain::{Env, EventName, TicketId};
use secrecy::SecretString;
use uuid::Uuid;

use super::Output;

const EVENTS: &str = "\
Events: ticket.succeeded, ticket.failed, ticket.cancelled, ticket.expired, secret.taken, secret.expired, host.paused,
host.resumed, host.unreachable, host.recovered; those of hosts with --scope all.";

/// `rolecall webhooks`.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Register a webhook of an account and print its secret, this once.
    #[command(after_help = EVENTS)]
    Create(CreateWebhook),
    /// List webhooks, never what signs.
    List {
        /// Only those of this account.
        account: Option<String>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Send a test event, and wait for what a worker says came of it.
    Ping {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Give a webhook other keys and print its secret, this once.
    Rotate {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// For how many seconds the old keys sign besides; without it as `webhooks.rotation_seconds` says.
        #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(0..=2_592_000))]
        keep_old: Option<u64>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Pause a webhook: what is to be told waits.
    Pause {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Resume a webhook that is paused or disabled: what waits is sent.
    Resume {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Remove a webhook, and what waits for it.
    Delete {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// List what was told to a webhook, newest first, with every attempt.
    Deliveries {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// Of which deliveries.
        #[command(flatten)]
        which: WhichDeliveries,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u16).range(1..=1_000))]
        limit: u16,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Tell events once more, under the ids they had: one, or all that are meant.
    Replay {
        /// Which, as `rolecall webhooks list` names it.
        id: Uuid,
        /// One, as `rolecall webhooks deliveries` names it; without it all that are meant, and unless --state says
        /// otherwise those that failed.
        #[arg(conflicts_with_all = ["state", "event", "ticket", "from", "to"])]
        delivery: Option<i64>,
        /// Of which deliveries.
        #[command(flatten)]
        which: WhichDeliveries,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Print and verify the webhooks that arrive here: for trying out.
    ///
    /// Answers 200 to what a key verifies and 401 to the rest. Without a key nothing is verified. Keeps nothing, and
    /// speaks plain HTTP; `outbound.allow_http` and `outbound.allowed_networks` say whether Rolecall may send to it.
    Listen(Listen),
}

/// `rolecall webhooks create`.
#[derive(Debug, ClapArgs)]
pub struct CreateWebhook {
    /// Whose it is, and of whose tickets it hears.
    pub account: String,
    /// Where to.
    pub url: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub description: String,
    /// What is told; may stand several times. Without: everything.
    #[arg(long = "event", value_name = "EVENT", value_parser = event)]
    pub events: Vec<EventName>,
    /// On targets of this environment; may stand several times. Without: of every one.
    #[arg(long = "env", value_name = "ENV", value_parser = env)]
    pub envs: Vec<Env>,
    /// `own`: tickets of the account. `all`: everybody's, and hosts, if the account may read those environments.
    #[arg(long, value_name = "SCOPE", default_value = "own", value_parser = scope)]
    pub scope: EndpointScope,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// Which deliveries; everything that is named must hold.
#[derive(Debug, ClapArgs)]
pub struct WhichDeliveries {
    /// Those that are pending, delivered or failed.
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Option<DeliveryState>,
    /// Of this event.
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// Of this ticket.
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<TicketId>,
    /// Written down not before this moment, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Written down before this moment.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
}

fn event(text: &str) -> Result<EventName, &'static str> {
    EventName::told(text).ok_or("there is no such event, or none that is told; see --help")
}

fn env(text: &str) -> Result<Env, String> {
    Env::parse(text).map_err(|fault| fault.to_string())
}

fn scope(text: &str) -> Result<EndpointScope, String> {
    text.parse().map_err(|fault: rolecall_shared::domain::webhook::InvalidEndpointScope| fault.to_string())
}

fn state(text: &str) -> Result<DeliveryState, String> {
    text.parse().map_err(|fault: rolecall_shared::domain::webhook::InvalidDeliveryState| fault.to_string())
}

/// `rolecall webhooks listen`.
#[derive(Debug, ClapArgs)]
pub struct Listen {
    /// The address to listen on.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub address: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// A key, `whsec_…` or `whpk_…`; may stand several times. Others on this machine can read a command line: the
    /// variable (keys separated by spaces) and the file are better places for a secret one.
    #[arg(long = "key", value_name = "KEY", env = "ROLECALL_WEBHOOK_KEYS", hide_env_values = true,
          value_delimiter = ' ', value_parser = secret)]
    pub keys: Vec<SecretString>,
    /// Read keys from a file, one a line.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Answer everything with this status, to see how it is tried again.
    #[arg(long, value_name = "STATUS", value_parser = value_parser!(u16).range(200..=599))]
    pub answer: Option<u16>,
    /// End after so many; without it, when interrupted.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Print JSON: a line for the address, then one for each webhook.
    #[arg(long)]
    pub json: bool,
}

/// Read later, where a fault does not repeat it.
#[expect(clippy::unnecessary_wraps, reason = "what clap calls")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}
