//! Sessions, accounts and history in barman-api's form, `/auth/…` and `/history/…`.
//!
//! * `routes`: the calls. `history`: those about jobs. `parameters`: a query, or a form. `answer`: results and failures in this dialect's form.
//!
//! A call that changes something is a POST; the GET of the original puts passwords into logs and works only while
//! `legacy.get_writes` is on. Lists of rights are read and never evaluated, and an empty one allows nothing. Tested in
//! `tests/tests/auth` and `tests/tests/history`.

mod answer;
mod history;
mod parameters;
mod routes;

pub(crate) use routes::{routes, table};
