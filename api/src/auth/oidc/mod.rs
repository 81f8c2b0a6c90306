//! Callers that prove who they are by the ID token of an OpenID issuer: pipelines of GitHub Actions, GitLab, and others.
//!
//! Owns the way from a token to an account and a subject: the token's form (`token`), the issuer's keys (`keys`,
//! fetched by `source`), its claims (`claims`), what they are bound to (`bindings`), and all of it in order
//! (`verify`). Whether a token was used before is for the caller to decide, by [`Identity::jti`].
//!
//! It never takes a key, or the address of one, from a token; never believes `alg` beyond the issuer's list; and never
//! puts a token into a refusal or a log. Tested in `tests` beside these files, and against a real issuer in the suite
//! `oidc` of the crate `rolecall-tests`.

mod bindings;
mod claims;
mod keys;
mod refusal;
mod source;
#[cfg(test)]
mod tests;
mod token;
mod verify;

pub use bindings::{BindingReport, ClaimReport};
pub use refusal::{Reason, Refusal};
pub use verify::{Explanation, Identity, Verifier};
