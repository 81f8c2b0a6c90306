//! The registry: registering, changing, listing and removing targets; log-ins; pause, resume and drain, of a target's
//! host and of all hosts.

mod draining;
mod logins;
mod pausing;
mod registering;
