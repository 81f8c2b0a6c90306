//! What goes wrong, one thing at a time.

use std::fmt;
use std::time::{Duration, Instant};

use rolecall_tests::Installation;
use rolecall_tests::eventually::moment;

use crate::chance::Chance;
use crate::scene::{Doors, Fleet, HOSTS};

/// How long a worker stands still: too long for the broker, which gives its jobs to others, and not long enough for
/// the host, where its session still holds the lock and perhaps a transaction.
const STANDSTILL: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    Freeze,
    Broker,
    TicketStore,
    Control,
    Target,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Kill, Self::Freeze, Self::Broker, Self::TicketStore, Self::Control, Self::Target];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "SIGKILL of a worker or api",
            Self::Freeze => "a worker stands still for 15 s",
            Self::Broker => "restart of RabbitMQ",
            Self::TicketStore => "restart of Redis",
            Self::Control => "restart of the control database",
            Self::Target => "immediate stop of a target",
        })
    }
}

/// Every kind so often, in an order of chance.
pub(crate) fn plan(times: usize, chance: &mut Chance) -> Vec<Kind> {
    let mut plan: Vec<_> = Kind::ALL.into_iter().flat_map(|kind| std::iter::repeat_n(kind, times)).collect();
    chance.shuffle(&mut plan);
    plan
}

/// A fault that has struck.
pub(crate) enum Struck {
    Process(usize),
    StandingStill(usize, Instant),
    Server(String),
}

pub(crate) fn strike(kind: Kind, fleet: &Fleet, installation: &Installation, chance: &mut Chance) -> Struck {
    match kind {
        Kind::Kill => {
            let victim = Fleet::any(chance);
            fleet.process(victim).kill();
            Struck::Process(victim)
        }
        Kind::Freeze => {
            let victim = Fleet::any_worker(chance);
            fleet.process(victim).freeze();
            Struck::StandingStill(victim, Instant::now())
        }
        Kind::Broker => stop(installation, "rabbitmq", &[]),
        Kind::TicketStore => stop(installation, "redis", &[]),
        Kind::Control => stop(installation, "control", &[]),
        Kind::Target => stop(installation, &format!("target-{}", 1 + chance.below(HOSTS)), &["--immediate"]),
    }
}

fn stop(installation: &Installation, service: &str, how: &[&str]) -> Struck {
    // The script takes its time, and the callers are not to wait for it.
    tokio::task::block_in_place(|| installation.stack.run(&[&["stop", service], how].concat()));
    Struck::Server(service.to_owned())
}

/// Puts it right; returns when what had ended is ready again.
pub(crate) async fn mend(struck: Struck, fleet: &mut Fleet, installation: &Installation, doors: &Doors) {
    match struck {
        Struck::Process(number) => fleet.replace(number, installation, doors).await,
        Struck::StandingStill(number, since) => {
            moment(since + STANDSTILL).await;
            fleet.process(number).thaw();
        }
        Struck::Server(service) => {
            tokio::task::block_in_place(|| installation.stack.run(&["start", &service]));
        }
    }
}
