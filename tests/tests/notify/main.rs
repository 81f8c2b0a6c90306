//! Notifications: each kind of channel against a server on this machine that checks and answers as the vendor's own, mail
//! against a mail server with TLS, and the way of an event through rules to the channels.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod command;
mod ground;
mod mail;
mod mail_server;
mod rooms;
mod rules;
mod vendor;
