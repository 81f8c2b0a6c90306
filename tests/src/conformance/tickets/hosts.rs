//! States of hosts, and bells.

use std::time::Duration;

use futures_util::future::join_all;
use rolecall_shared::domain::Code;
use rolecall_shared::tickets::HostState;

use super::{Subject, host};
use crate::conformance::eventually;

/// Counted, bounded by the cap, remembered since the first, gone when it is well.
pub async fn failures_of_a_host_add_up(subject: Subject) {
    let (tickets, host, well) = (&subject.tickets, host(), super::host());
    assert_eq!(tickets.host_state(&host).await.expect("an answer"), HostState::default());
    assert_eq!(tickets.blocked_for(&host).await.expect("an answer"), None);

    let delays = (Duration::from_millis(200), Duration::from_millis(500));
    let mut first = None;
    for failures in 1..=6_u32 {
        let code = if failures < 6 { Code::TargetUnreachable } else { Code::TargetLoginRefused };
        let delay = tickets.block_host(&host, code, "no route", delays).await.expect("blocked");
        assert!(delay <= (delays.0 * 2_u32.pow(failures - 1)).min(delays.1), "{failures}: {delay:?}");
        let state = tickets.host_state(&host).await.expect("an answer");
        assert_eq!((state.failures, state.code), (failures, Some(code)));
        assert_eq!(state.cause.as_deref(), Some("no route"));
        let (since, until) = (state.since.expect("a time"), state.blocked_until.expect("a time"));
        assert_eq!(since, *first.get_or_insert(since));
        assert!(until >= since);
    }
    // Full jitter may draw next to nothing; one of twenty draws of up to a minute is long enough to be seen.
    let blocked = eventually("a delay is seen", Duration::from_secs(10), async || {
        let minute = Duration::from_mins(1);
        let delay = tickets.block_host(&host, Code::TargetUnreachable, "", (minute, minute)).await;
        let left = tickets.blocked_for(&host).await.expect("an answer")?;
        assert!(left <= delay.expect("blocked"));
        Some(left)
    });
    assert!(blocked.await > Duration::ZERO);

    let states = tickets.host_states(&[well.clone(), host.clone()]).await.expect("an answer");
    assert_eq!(states[0], HostState::default());
    assert!(states[1].failures >= 7);
    assert!(tickets.host_states(&[]).await.expect("an answer").is_empty());

    tickets.clear_host(&host).await.expect("cleared");
    assert_eq!(tickets.host_state(&host).await.expect("an answer"), HostState::default());
    assert_eq!(tickets.blocked_for(&host).await.expect("an answer"), None);

    // From many processes at once no failure is forgotten.
    join_all((0..50).map(|_| tickets.block_host(&host, Code::TargetUnreachable, "", delays))).await;
    assert_eq!(tickets.host_state(&host).await.expect("an answer").failures, 50);
}

/// Who asks first rings.
pub async fn bells_are_shared_by_all_who_ring(subject: Subject) {
    let host = host();
    let asked = join_all((0..20).map(|_| subject.tickets.want_bell(&host))).await;
    assert_eq!(asked.into_iter().filter(|ring| *ring.as_ref().expect("an answer")).count(), 1);
    subject.tickets.clear_bell(&host).await.expect("cleared");
    assert!(subject.tickets.want_bell(&host).await.expect("an answer"));
}
