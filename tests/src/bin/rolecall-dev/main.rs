//! `make demo`, `make up`, `make down`: Rolecall on this machine, on servers of its own.
//!
//! * [`screen`]: what is shown, coloured on a terminal and plain otherwise.
//! * [`place`]: a folder `.run/<name>` and the stack in it.
//! * [`demo`]: everything once, from nothing, before the user's eyes; nothing stays.
//! * [`story`]: the steps of the demonstration.
//! * [`up`]: the same, left running; [`background`]: its processes.
//!
//! Ends only what it started, by process id. Talks to no server but its own.

#![allow(clippy::expect_used, reason = "a failure here ends the command, with its message")]

mod background;
mod demo;
mod place;
mod screen;
mod story;
mod up;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};
use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use place::Place;
use screen::Screen;

/// Rolecall on this machine, on servers of its own.
#[derive(Debug, Parser)]
#[command(name = "rolecall-dev")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole product once, step by step, and checks every answer. Leaves nothing behind.
    Demo,
    /// Starts servers, api and worker, or what of them is not running, and leaves them running.
    Up,
    /// Ends what `up` started and removes its data.
    Down,
    /// Says what of `up` is running; exit code 3 if something is not.
    Status,
}

#[tokio::main]
async fn main() -> ExitCode {
    let screen = Screen::new();
    // The message alone: people read it, and it says what to do. What fails because of Ctrl-C is no news.
    std::panic::set_hook(Box::new(|panic| {
        if !IS_INTERRUPTED.load(Ordering::Relaxed) {
            Screen::new().error(panic.payload_as_str().unwrap_or("failed"));
        }
    }));
    let code = match Arguments::parse().command {
        Command::Demo => {
            let code = run(demo::run(&screen)).await;
            // Whatever happened, also when the demonstration was interrupted: its servers are ended.
            Place::demo().remove();
            if code == INTERRUPTED {
                screen::line("\nInterrupted; everything that was started has ended.");
            }
            code
        }
        Command::Up => run(up::up(&screen)).await,
        Command::Down => run(up::down(&screen)).await,
        Command::Status => run(up::status()).await,
    };
    // Not a return: a script that is still running in a thread must not keep an interrupted command alive.
    std::process::exit(code)
}

/// What a shell reports for a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The exit code of a command: its own, 1 when it panics, [`INTERRUPTED`] when somebody ends it.
async fn run(command: impl Future<Output = i32>) -> i32 {
    tokio::select! {
        // First: Ctrl-C reaches the children too, and their end is not to be taken for a fault.
        biased;
        () = interrupted() => INTERRUPTED,
        code = AssertUnwindSafe(command).catch_unwind() => code.unwrap_or(1),
    }
}

/// Ctrl-C, a closed terminal, or a polite `kill`.
async fn interrupted() {
    let [mut interrupt, mut hangup, mut terminate] =
        [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate()]
            .map(|kind| signal(kind).expect("signals can be listened for"));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        _ = terminate.recv() => {}
    }
    IS_INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Runs what blocks in a thread, so that Ctrl-C is heard meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
