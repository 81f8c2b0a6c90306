//! History: lists with filters, pages and rights; months that are archived, read back, dropped; and barman-api's form.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it is surprised")]

mod archiving;
mod barman;
mod crashes;
mod listing;
mod retention;
mod scene;
