//! Accounts as JSON:API resources, `/v1/users`, in the shapes of `MaxScale`'s admin users.
//!
//! * `users`: the routes. `document`: reading and writing resources. `refusal`: failures in this dialect's form.
//!
//! What it offers beyond its model: `access`, `deny`, `disabled`, `expires_at` and `end_sessions` among the attributes.
//! Where it differs from it: the last administrator stays, everybody may change his own password, and one name is one
//! account, be it `inet` or `unix`. Tested in `tests/tests/auth`.

mod document;
mod refusal;
mod users;

pub(crate) use users::{routes, table};
