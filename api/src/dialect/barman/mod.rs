//! Sessions and accounts in barman-api's form, `/auth/…`.
//!
//! * `routes`: the calls. `parameters`: a query, or a form. `answer`: results and failures in this dialect's form.
//!
//! A call that changes something is a POST; the GET of the original puts passwords into logs and works only while
//! `legacy.get_writes` is on. Lists of rights are read and never evaluated, and an empty one allows nothing. Tested in
//! `tests/tests/auth`.

mod answer;
mod parameters;
mod routes;

pub(crate) use routes::{routes, table};
