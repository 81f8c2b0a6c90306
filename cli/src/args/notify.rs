//! `rolecall notify`.

use clap::{Args as ClapArgs, Subcommand};
use rolecall_shared::domain::{Env, EventName, KindName};

use super::Output;

/// `rolecall notify`.
#[derive(Debug, Subcommand)]
pub enum Notify {
    /// List channels and rules as the configuration has them, nothing secret among it.
    ///
    /// What became of messages is told by `rolecall webhooks`: each channel of a rule is listed there.
    List(Output),
    /// Send a test message to a channel, and say what the other side answered.
    ///
    /// Ends with 0 if it was taken, and with 1 if not. It is sent from here, once, and stands in no list.
    Test {
        /// Which, as `rolecall notify list` names it.
        channel: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Say which rules would tell of an event, where, and in which words.
    ///
    /// Ends with 0 if one does, and with 1 if none. Reads the configuration alone and sends nothing.
    Explain(ExplainNotice),
}

/// `rolecall notify explain`.
#[derive(Debug, ClapArgs)]
pub struct ExplainNotice {
    /// What happened, such as ticket.failed.
    #[arg(value_parser = event)]
    pub event: EventName,
    /// The target's environment; of a host that of each of its targets, and then it may stand several times.
    #[arg(long = "env", value_name = "ENV", value_parser = env)]
    pub envs: Vec<Env>,
    /// The role's kind.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<KindName>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

fn event(text: &str) -> Result<EventName, String> {
    let known = || EventName::TOLD.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ");
    EventName::told(text).ok_or_else(|| format!("somebody can be told of {}", known()))
}

fn env(text: &str) -> Result<Env, String> {
    Env::parse(text).map_err(|fault| fault.to_string())
}

fn kind(text: &str) -> Result<KindName, String> {
    KindName::parse(text).map_err(|fault| fault.to_string())
}
