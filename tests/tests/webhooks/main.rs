//! Telling receivers what happened: by whom, of what, how often, and through whatever crash. Receivers are small real HTTP
//! servers; what they hear is verified as a receiver would.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod callbacks;
mod commands;
mod crashes;
mod endpoints;
mod hosts;
mod load;
mod rights;
mod scene;
mod sending;
