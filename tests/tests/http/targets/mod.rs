//! The registry: registering, changing, listing and removing targets; log-ins; pause and resume.

mod logins;
mod pausing;
mod registering;
