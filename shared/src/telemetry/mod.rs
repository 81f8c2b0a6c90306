//! Logs and metrics of a process.
//!
//! Owns: the one tracing subscriber ([`init`]), every metric with its name, labels and buckets ([`Metrics`]).
//!
//! Never: takes a label whose values somebody outside can choose (a path, a role, an account, a host), because each
//! value is a time series for ever; logs or counts anything secret.
//!
//! Tested beside the code, and by the end-to-end tests that read `/metrics`.

mod labels;
mod logs;
mod metrics;

pub use labels::Dependency;
pub use logs::init;
pub use metrics::{CONTENT_TYPE, Metrics};
