//! The log: standard error, text for people or JSON lines for machines.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::Log;

/// Installs the tracing subscriber for the process. A second call changes nothing: tests that share a process may
/// all call it.
pub fn init(log: &Log) {
    // The filter is a layer of its own over the output. Put into one `Vec` of layers with it, a filter that is off
    // for an event would switch off every other layer of that `Vec` too.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = fmt::layer().with_writer(std::io::stderr);
    let output = if log.json {
        stderr.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        stderr.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    let filter = filter.and(filter_fn(|metadata| !shows_secrets(metadata)));
    // Fails only if there is a subscriber already, and then that one stays.
    _ = tracing_subscriber::registry().with(output.with_filter(filter)).try_init();
}

/// What is never logged, whatever the filter says: at its lowest level lapin writes down whole frames, the one with
/// the broker's password among them.
fn shows_secrets(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::TRACE && metadata.target().split("::").next() == Some("lapin")
}
