//! Typed statements, the one renderer, and the plans made of them.
//!
//! Owns every word of SQL that changes a target, and the quoting in it: nothing becomes SQL text but through
//! [`Statement::render`], and all a statement can hold is names, numbers, flags, marks and verifiers. Sends
//! nothing (that is `target`'s) and reads nothing (reads use bind parameters).
//!
//! Tested by golden files (`snapshots/`) for every kind and operation with hostile names, by a lexer of its own
//! over random names (`lexing.rs`), and on a real server by `tests/tests/ddl.rs`.

mod plan;
mod quote;
mod statement;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod lexing;

pub use plan::{PlanFault, create_role, plan, reset_password, set_search_path};
pub use statement::{Setting, Statement, script};
