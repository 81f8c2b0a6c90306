//! `rolecall webhooks`: `manage` works on the control database, `listen` is a receiver for trying out.

mod listen;
mod manage;

use std::path::Path;

use crate::args::Webhooks;

pub fn run(file: Option<&Path>, command: &Webhooks) -> anyhow::Result<()> {
    match command {
        Webhooks::Listen(asked) => listen::run(asked),
        Webhooks::Create(asked) => manage::create(file, asked),
        Webhooks::List { account, output } => manage::list(file, account.as_deref(), *output),
        Webhooks::Ping { id, output } => manage::ping(file, *id, *output),
        Webhooks::Rotate { id, keep_old, output } => manage::rotate(file, *id, *keep_old, *output),
        Webhooks::Pause { id, output } => manage::pause(file, *id, *output),
        Webhooks::Resume { id, output } => manage::resume(file, *id, *output),
        Webhooks::Delete { id, output } => manage::delete(file, *id, *output),
        Webhooks::Deliveries { id, which, limit, output } => {
            manage::deliveries(file, *id, which, *limit, *output)
        }
        Webhooks::Replay { id, delivery, which, output } => {
            manage::replay(file, *id, *delivery, which, *output)
        }
    }
}
