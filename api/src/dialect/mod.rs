//! HTTP in and out: one folder per dialect. Each file of a dialect parses, calls one use case and phrases the answer;
//! rules are in `app`.

pub(crate) mod barman;
pub(crate) mod jsonapi;
pub(crate) mod native;
pub(crate) mod pg_user_api;
mod refused;
pub(crate) mod table;
