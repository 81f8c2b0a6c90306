//! The calls of pg-user-api, `/` and `/api/v1/…`, for scripts that were written for it: everything is a GET, and what
//! changes something answers when it is done.
//!
//! Behind it is the queue: a call submits a job, waits for it and takes its password in the caller's name. It follows the
//! original in paths, parameters, fields, types, words and bytes, and not in its faults; `docs/COMPATIBILITY.md` lists
//! both. It must never put text of a caller, a server or a driver into a statement or an error.
//!
//! `routes`: every call and its methods; `parameters`: what is asked; `changing` and `reading`: the calls; `answer`: the
//! forms. Tested in `tests/tests/legacy`.

mod answer;
mod changing;
mod parameters;
mod reading;
mod routes;

pub(crate) use routes::{routes, table};
