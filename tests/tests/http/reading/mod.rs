//! What operators and programs read, and what must hold whatever is read.

mod audit;
mod documents;
mod hosts;
mod limits;
mod metrics;
mod safe_methods;
mod service;
mod stopping;
