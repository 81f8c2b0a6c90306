//! What follows from an answer.

use std::time::Duration;

use rolecall_shared::config;
use rolecall_shared::control::webhooks::Verdict;
use rolecall_shared::outbound::{Attempt, Trouble};
use rolecall_shared::retry;

/// RFC 9110, section 15.5.11: it is gone, and that is likely to be for ever.
const GONE: u16 = 410;
/// RFC 6585, section 4, and RFC 9110, section 15.6.4: the receiver asks for patience.
const BUSY: [u16; 2] = [429, 503];

/// For how long at most nothing else is sent to a receiver that has just failed: events that come meanwhile would cost
/// the control database as much as ones that arrive.
const FAILING_PAUSE: Duration = Duration::from_secs(1);
/// When it is asked again whether an address may be reached.
const UNCHECKED: Duration = Duration::from_secs(1);

/// A verdict, and whether the receiver says that it is gone for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) is_gone: bool,
}

/// Judges the answer to an attempt before which `tries` have failed. Only 2xx is success.
pub(super) fn judge(answer: &Attempt, tries: u32, settings: &config::Webhooks) -> Judged {
    if answer.is_success() {
        return Judged { verdict: Verdict::Delivered, is_gone: false };
    }
    if answer.result == Ok(GONE) {
        return Judged { verdict: Verdict::GivenUp, is_gone: true };
    }
    // Not the receiver's doing.
    if answer.result == Err(Trouble::Unchecked) {
        return Judged { verdict: Verdict::Postponed { after: UNCHECKED }, is_gone: false };
    }
    let is_busy = answer.result.as_ref().is_ok_and(|status| BUSY.contains(status));
    let asked = answer.retry_after.filter(|_| is_busy).map(|wait| wait.min(settings.max_retry_after));
    let next = usize::try_from(tries).ok().and_then(|tries| settings.schedule.get(tries));
    let verdict = match next {
        Some(delay) => {
            let delay = retry::around(*delay, settings.jitter_percent);
            let pause = FAILING_PAUSE.min(delay);
            Verdict::Again { after: delay.max(asked.unwrap_or_default()), hold: Some(asked.unwrap_or(pause)) }
        }
        None => Verdict::GivenUp,
    };
    Judged { verdict, is_gone: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> config::Webhooks {
        config::Webhooks {
            schedule: vec![SECOND, SECOND * 10],
            jitter_percent: 0,
            timeout: SECOND,
            in_flight_per_endpoint: 4,
            in_flight: 4,
            poll: SECOND,
            max_retry_after: SECOND * 60,
            disable_after: SECOND,
            keep: SECOND,
            rotation: SECOND,
            endpoints_per_account: 1,
            callback_hosts: Vec::new(),
        }
    }

    fn judged(result: Result<u16, Trouble>, retry_after: Option<u64>, tries: u32) -> Verdict {
        let retry_after = retry_after.map(Duration::from_secs);
        judge(&Attempt { result, duration: SECOND, retry_after }, tries, &settings()).verdict
    }

    fn again(seconds: u64, hold: Option<u64>) -> Verdict {
        Verdict::Again { after: Duration::from_secs(seconds), hold: hold.map(Duration::from_secs) }
    }

    #[test]
    fn only_2xx_is_success() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judged(Ok(status), None, 0), Verdict::Delivered);
        }
        for status in [100, 300, 301, 302, 307, 400, 404, 500, 599] {
            assert_eq!(judged(Ok(status), None, 0), again(1, Some(1)), "{status}");
        }
    }

    #[test]
    fn the_schedule_has_an_end() {
        assert_eq!(judged(Err(Trouble::Timeout), None, 0), again(1, Some(1)));
        assert_eq!(judged(Err(Trouble::Timeout), None, 1), again(10, Some(1)));
        for tries in [2, 3, u32::MAX] {
            assert_eq!(judged(Err(Trouble::Timeout), None, tries), Verdict::GivenUp);
        }
    }

    #[test]
    fn patience_is_bounded_and_for_those_who_may_ask_for_it() {
        assert_eq!(judged(Ok(429), Some(30), 0), again(30, Some(30)));
        assert_eq!(judged(Ok(503), Some(3600), 0), again(60, Some(60)));
        assert_eq!(judged(Ok(503), Some(5), 1), again(10, Some(5)));
        assert_eq!(judged(Ok(503), None, 0), again(1, Some(1)));
        assert_eq!(judged(Ok(500), Some(30), 0), again(1, Some(1)));
    }

    #[test]
    fn what_was_not_sent_for_a_reason_of_ours_costs_no_attempt() {
        assert_eq!(judged(Err(Trouble::Unchecked), None, 9), Verdict::Postponed { after: UNCHECKED });
    }

    #[test]
    fn gone_is_gone() {
        let attempt = Attempt { result: Ok(410), duration: SECOND, retry_after: None };
        assert_eq!(judge(&attempt, 0, &settings()), Judged { verdict: Verdict::GivenUp, is_gone: true });
    }
}
