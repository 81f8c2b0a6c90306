//! Delays between attempts; the only place that names the `backoff` crate.
//!
//! Owns how long to wait. Never waits itself, never counts attempts and never decides whether to try again: each
//! caller has its own end (a deadline, a number of attempts, a stop). Tested at the end of this file.
//!
//! `backoff` is used as a source of numbers only, and three of its habits are kept out:
//!
//! * it stops after 15 minutes by default: no elapsed limit is set, so its clock decides nothing;
//! * its jitter goes *around* the interval and so over the cap: the interval given to it is half of the ceiling,
//!   with a factor of 1, which makes the range 0 to the ceiling; what floating point may add is cut off;
//! * its retrying futures turn every `?` into "try again": they are not used.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// Growth of the ceiling from one delay to the next.
const FACTOR: u32 = 2;

/// Exponential delays with full jitter and a cap, without end.
///
/// The n-th delay is drawn evenly from 0 to `min(cap, first * 2^n)`. Drawing from the whole range, and not from
/// around its end, is what keeps many waiters from coming back in step.
#[derive(Debug)]
pub struct Delays {
    source: ExponentialBackoff,
    cap: Duration,
}

impl Delays {
    /// Ceilings from `first`, doubling, up to `cap`. A `first` above `cap` is taken as `cap`.
    pub fn full_jitter(first: Duration, cap: Duration) -> Self {
        Self { source: source(first.min(cap), cap), cap }
    }

    /// The next delay: never above `cap`, possibly zero.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = (self.source.current_interval * FACTOR).min(self.cap);
        self.source.next_backoff().map_or(ceiling, |delay| delay.min(ceiling))
    }

    /// Begins again with `first`; to be called after a success.
    pub fn reset(&mut self) {
        self.source.reset();
    }
}

/// The delay after the n-th failure in a row, counted from 0, for counters that are kept elsewhere (a host's
/// back-off stands in the ticket store). Drawn like a delay of [`Delays`].
pub fn delay_after(failures: u32, first: Duration, cap: Duration) -> Duration {
    let growth = FACTOR.checked_pow(failures).unwrap_or(u32::MAX);
    Delays::full_jitter(first.saturating_mul(growth), cap).next_delay()
}

/// A delay around the one that is wanted, by at most so many hundredths of it. For schedules that are stated one by one.
pub fn around(wanted: Duration, percent: u32) -> Duration {
    let mut source = ExponentialBackoff {
        randomization_factor: f64::from(percent.min(100)) / 100.0,
        multiplier: 1.0,
        ..source(wanted.saturating_mul(2), wanted.saturating_mul(2))
    };
    source.next_backoff().unwrap_or(wanted)
}

fn source(first: Duration, cap: Duration) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: first / 2,
        initial_interval: first / 2,
        max_interval: cap / 2,
        multiplier: f64::from(FACTOR),
        randomization_factor: 1.0,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const CAP: Duration = Duration::from_secs(30);

    /// The largest and smallest of many draws. With 2,000 even draws the chance to miss the top or bottom tenth
    /// of the range is 0.9^2000, below 10^-91.
    fn range(mut draw: impl FnMut() -> Duration) -> (Duration, Duration) {
        let draws: Vec<_> = (0..2_000).map(|_| draw()).collect();
        (*draws.iter().min().unwrap(), *draws.iter().max().unwrap())
    }

    fn assert_drawn_from_zero_to(ceiling: Duration, draw: impl FnMut() -> Duration) {
        let (min, max) = range(draw);
        assert!(max <= ceiling, "{max:?} is above {ceiling:?}");
        assert!(max >= ceiling.mul_f64(0.9), "{max:?} stays far below {ceiling:?}");
        assert!(min <= ceiling.mul_f64(0.1), "{min:?} stays far above 0");
    }

    fn nth_delay(n: usize) -> Duration {
        let mut delays = Delays::full_jitter(FIRST, CAP);
        for _ in 0..n {
            delays.next_delay();
        }
        delays.next_delay()
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        for (n, ceiling_ms) in [(0, 200), (1, 400), (2, 800), (7, 25_600), (8, 30_000), (50, 30_000)] {
            let ceiling = Duration::from_millis(ceiling_ms);
            assert_drawn_from_zero_to(ceiling, || nth_delay(n));
            assert_drawn_from_zero_to(ceiling, || delay_after(u32::try_from(n).unwrap(), FIRST, CAP));
        }
    }

    #[test]
    fn no_delay_is_above_the_cap_and_there_is_always_another() {
        let mut delays = Delays::full_jitter(FIRST, CAP);
        assert_drawn_from_zero_to(CAP, || delays.next_delay());
    }

    #[test]
    fn a_stated_delay_is_met_by_a_few_hundredths() {
        let (min, max) = range(|| around(CAP, 20));
        assert!(min >= CAP.mul_f64(0.799) && min <= CAP.mul_f64(0.84), "{min:?}");
        assert!(max <= CAP.mul_f64(1.201) && max >= CAP.mul_f64(1.16), "{max:?}");
        assert_eq!(range(|| around(CAP, 0)), (CAP, CAP));
        assert_eq!(around(Duration::ZERO, 20), Duration::ZERO);
    }

    #[test]
    fn a_reset_begins_again() {
        assert_drawn_from_zero_to(FIRST, || {
            let mut delays = Delays::full_jitter(FIRST, CAP);
            for _ in 0..20 {
                delays.next_delay();
            }
            delays.reset();
            delays.next_delay()
        });
    }

    #[test]
    fn extremes_are_taken_as_the_cap() {
        for failures in [31, 32, 33, u32::MAX] {
            assert_drawn_from_zero_to(CAP, || delay_after(failures, FIRST, CAP));
        }
        assert_drawn_from_zero_to(FIRST, || delay_after(0, CAP, FIRST));
        assert_drawn_from_zero_to(FIRST, || Delays::full_jitter(CAP, FIRST).next_delay());
        let nanosecond = Duration::from_nanos(1);
        let (_, max) = range(|| delay_after(9, nanosecond, nanosecond));
        assert!(max <= nanosecond);
        assert_eq!(delay_after(9, Duration::ZERO, CAP), Duration::ZERO);
        assert_eq!(delay_after(9, FIRST, Duration::ZERO), Duration::ZERO);
    }

    /// Why [`Delays`] halves the interval: taken as it comes, the crate goes over its own maximum.
    #[test]
    fn the_crate_itself_overshoots_its_maximum() {
        let mut plain = ExponentialBackoff {
            current_interval: FIRST,
            max_interval: FIRST,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let (_, max) = range(|| plain.next_backoff().unwrap());
        assert!(max > FIRST);
    }
}
