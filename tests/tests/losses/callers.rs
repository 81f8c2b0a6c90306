//! A caller who asks again when he is told to.

use std::time::Duration;

use rolecall_tests::{Answer, Client, eventually};

/// An upper bound for what happens by itself.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What became of a password.
pub(crate) enum Password {
    Is(String),
    /// Redis lost it; a reset is offered.
    Lost,
    /// It was handed out before.
    Taken,
}

/// Waits for the end of a job, through answers that say to ask again.
pub(crate) async fn ends(client: &Client, ticket: &str) -> Answer {
    eventually("the end of a job", PATIENCE, async || {
        let answer = client.get(&format!("/api/v2/tickets/{ticket}?wait=5")).await;
        if answer.status == 503 {
            let code = answer.text("code");
            assert!(["ticket_not_yet_rebuilt", "ticket_store_unavailable"].contains(&code), "{answer}");
            return None;
        }
        let answer = answer.expect(200);
        answer.is_final().then_some(answer)
    })
    .await
}

/// Takes the password of a job that ended.
pub(crate) async fn take(client: &Client, ticket: &str) -> Password {
    let answer = eventually("an answer about the password", PATIENCE, async || {
        let answer = client.take_secret(ticket).await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    if answer.status == 200 {
        return Password::Is(answer.text("password").to_owned());
    }
    if answer.is_problem(410, "secret_taken") {
        return Password::Taken;
    }
    let offer = answer.expect_problem(410, "secret_lost");
    assert!(offer.text("detail").contains("reset_password"), "{offer}");
    Password::Lost
}
