//! Sealed secrets.

use rolecall_shared::domain::ticket::{Ending, Outcome};

use super::{Lifetime, SECRET, Subject, failed, job, settled, succeeded};

/// A redelivered job finds the secret of the first run, in the order it asked, byte for byte.
pub async fn the_first_secret_stays(subject: Subject) {
    let (a, b) = (job().ticket, job().ticket);
    let tickets = &subject.tickets;
    let (first, second) = (vec![0, 255, 13, 10, 0], b"second".to_vec());
    let keep = async |secrets: Vec<_>| tickets.keep_secrets(&secrets).await.expect("kept");
    assert_eq!(keep(vec![(a, first.clone())]).await, std::slice::from_ref(&first));
    assert_eq!(keep(vec![(b, second.clone()), (a, b"too late".to_vec())]).await, [second, first.clone()]);

    tickets.drop_secret(b).await.expect("dropped");
    tickets.drop_secret(b).await.expect("dropped");
    assert_eq!(tickets.find_secrets(&[b, a]).await.expect("found"), [None, Some(first)]);
    assert!(tickets.keep_secrets(&[]).await.expect("kept").is_empty());
    assert!(tickets.find_secrets(&[]).await.expect("found").is_empty());
}

/// No lifetime while the job runs; then the configured one, once.
pub async fn a_secret_lives_until_it_is_settled_and_a_while(subject: Subject) {
    let (job, claim) = subject.running().await;
    subject.tickets.keep_secrets(&[(job.ticket, b"sealed".to_vec())]).await.expect("kept");
    assert_eq!(subject.secret_lifetime(&job).await, Lifetime::Endless);
    subject.tickets.settle(claim, &[settled(&job, succeeded())]).await.expect("settled");
    assert!(subject.secret_lifetime(&job).await.is_fresh(SECRET));
}

/// It was made before the outcome was known.
pub async fn a_secret_nobody_needs_goes(subject: Subject) {
    let existed = Ending::Succeeded {
        outcome: Outcome::AlreadyExists,
        missing: Vec::new(),
        secret_expires_at: None,
        kind: None,
    };
    for ending in [failed(), existed] {
        let (job, claim) = subject.running().await;
        subject.tickets.keep_secrets(&[(job.ticket, b"sealed".to_vec())]).await.expect("kept");
        subject.tickets.settle(claim, &[settled(&job, ending)]).await.expect("settled");
        assert_eq!(subject.secret_lifetime(&job).await, Lifetime::Gone);
    }
}
