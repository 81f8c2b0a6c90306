//! One file per command.

mod accounts;
mod api;
mod audit;
mod auth;
mod config;
mod dead;
mod doctor;
mod healthcheck;
mod history;
mod keys;
mod migrate;
mod notify;
mod run;
mod serve;
mod targets;
mod tokens;
mod version;
mod webhooks;
mod worker;

use std::process::ExitCode;

use anyhow::Context;

use crate::args::{Accounts, Args, Auth, Command, Config, Keys};

/// Does what was typed.
pub fn dispatch(args: &Args) -> anyhow::Result<ExitCode> {
    let file = args.config.as_deref();
    match &args.command {
        Command::Api => api::run(file)?,
        Command::Worker => worker::run(file)?,
        Command::Serve => serve::run(file)?,
        Command::Migrate(output) => migrate::run(file, *output)?,
        Command::Keys { command: Keys::Add(output) } => keys::add(file, *output)?,
        Command::Keys { command: Keys::List(output) } => keys::list(file, *output)?,
        Command::Keys { command: Keys::Retire { id, output } } => keys::retire(file, id, *output)?,
        Command::Accounts { command: Accounts::Create(create) } => accounts::create(file, create)?,
        Command::Accounts { command: Accounts::List(output) } => accounts::list(file, *output)?,
        Command::Accounts { command: Accounts::Set(set) } => accounts::set(file, set)?,
        Command::Accounts { command: Accounts::Delete { name, output } } => {
            accounts::delete(file, name, *output)?;
        }
        Command::Targets { command } => return targets::run(file, command),
        Command::Tokens { command } => tokens::run(file, command)?,
        Command::Auth { command: Auth::Explain(asked) } => return auth::explain(file, asked),
        Command::Notify { command } => return notify::run(file, command),
        Command::Doctor(asked) => return doctor::run(file, asked),
        Command::Audit { command } => return audit::run(file, command),
        Command::Dead { command } => return dead::run(file, command),
        Command::History { command } => return history::run(file, command),
        Command::Webhooks { command } => webhooks::run(file, command)?,
        Command::Config { command: Config::Sample } => config::sample()?,
        Command::Config { command: Config::Check(output) } => return config::check(file, *output),
        Command::Healthcheck { url } => healthcheck::run(url)?,
        Command::Version(output) => version::run(*output)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a short command's future on this thread.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    install_crypto();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?
        .block_on(future)
}

/// Every TLS client takes the process's default provider; there is exactly one.
fn install_crypto() {
    // Fails only if one is installed already, and then that one stays.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
