//! Mail, through a mail server with TLS.

use std::time::{Duration, Instant};

use rolecall_shared::notify::Told;
use rolecall_shared::outbound::Trouble;
use serde_json::json;
use tokio::net::TcpListener;

use crate::ground::{deliver, notifier, notifier_within, test, with_rule};
use crate::mail_server::{LOGIN, MailServer};

#[tokio::test]
async fn mail_comes_over_starttls_and_over_tls_from_the_first_byte() {
    let mut server = MailServer::start();
    for (listener, user) in [("starttls", Some("rolecall")), ("implicit", Some("rolecall")), ("plain", None)]
    {
        let more = if user.is_some() { server.trusted() } else { String::new() };
        let notifier = notifier(&with_rule(&server.channel(listener, &more), ""));
        let attempt = deliver(&notifier, "web_8080").await;
        assert_eq!(attempt.result, Ok(250), "{listener}");
        let taken = server.takes();
        let facts = &taken.facts;
        assert_eq!((&facts["listener"], &facts["tls"]), (&json!(listener), &json!(user.is_some())));
        assert_eq!((&facts["user"], &facts["hello"]), (&json!(user), &json!("example.com")));
        assert_eq!(
            (&facts["from"], &facts["to"]),
            (&json!("rolecall@example.com"), &json!(["ada@example.com"]))
        );
        assert_eq!(taken.header("From"), "Rolecall <rolecall@example.com>");
        assert_eq!(taken.header("To"), "Ada <ada@example.com>");
        assert_eq!(taken.header("Subject"), "[Rolecall] ticket.failed: web_8080 on prod/orders");
        assert_eq!(taken.header("Message-ID"), "<msg_0190b7a0@example.com>");
        assert_eq!(taken.header("Auto-Submitted"), "auto-generated");
        let body = taken.body().replace("=\r\n", "");
        assert!(
            body.starts_with("reset_password of web_8080 on prod/orders failed: role_not_found."),
            "{body}"
        );
    }
}

#[tokio::test]
async fn no_name_makes_a_header_or_ends_the_mail() {
    let mut server = MailServer::start();
    let rule = "subject = '{role}'\ntemplate = '{role}'";
    let notifier = notifier(&with_rule(&server.channel("starttls", &server.trusted()), rule));
    assert_eq!(deliver(&notifier, "a\r\nBcc: eve@example.com\r\n\r\nx\r\n.\r\nQUIT").await.result, Ok(250));
    let taken = server.takes();
    assert_eq!(taken.header("Subject"), "aBcc: eve@example.comx.QUIT");
    assert_eq!((taken.header("Bcc"), &taken.facts["to"]), (String::new(), &json!(["ada@example.com"])));
    assert_eq!(deliver(&notifier, "größe 😀").await.result, Ok(250));
    let taken = server.takes();
    assert!(taken.mail.is_ascii() && taken.header("Subject").starts_with("=?utf-8?b?"), "{}", taken.mail);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_ends_it_before_anything_is_said() {
    let server = MailServer::start();
    let ca = format!("smtp_ca_file = '{}'\n{LOGIN}", server.certificate().display());
    let to = "['ada@example.com']";
    for listener in ["starttls", "implicit"] {
        for channel in [
            // The system's authorities have not signed it.
            server.channel(listener, LOGIN),
            // It is for `localhost`.
            server.channel_to("127.0.0.1", listener, &ca, to),
        ] {
            let attempt = deliver(&notifier(&with_rule(&channel, "")), "ada").await;
            assert!(matches!(attempt.result, Err(Trouble::Tls(_))), "{listener}: {attempt:?}");
        }
    }
}

#[tokio::test]
async fn tls_that_is_asked_for_and_not_there_is_a_failure_and_no_password_leaves() {
    let server = MailServer::start();
    let plain = |tls: &str| {
        server
            .channel("plain", &server.trusted())
            .replace("smtp_tls = 'none'", &format!("smtp_tls = '{tls}'"))
    };
    let Err(Trouble::Tls(text)) = deliver(&notifier(&with_rule(&plain("starttls"), "")), "ada").await.result
    else {
        panic!("a plain connection was used")
    };
    assert_eq!(text, "the mail server does not offer STARTTLS");
    let attempt = deliver(&notifier(&with_rule(&plain("implicit"), "")), "ada").await;
    assert!(matches!(attempt.result, Err(Trouble::Tls(_))), "{attempt:?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let server = MailServer::start();
    for listener in ["starttls", "implicit"] {
        let channel = server.channel(listener, &server.trusted()).replace("in-and-out", "hunter2");
        let attempt = deliver(&notifier(&with_rule(&channel, "")), "ada").await;
        let Err(Trouble::Mail(text)) = attempt.result else { panic!("{attempt:?}") };
        assert!(text.starts_with("535") && !text.contains("hunter2"), "{text}");
        let none = server.channel(listener, &server.trusted().replace(LOGIN, ""));
        let attempt = deliver(&notifier(&with_rule(&none, "")), "ada").await;
        assert!(
            matches!(&attempt.result, Err(Trouble::Mail(text)) if text.starts_with("530")),
            "{attempt:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_recipient_does_not_keep_the_others_from_their_mail() {
    let mut server = MailServer::start();
    let channel = |to: &str| server.channel_to("localhost", "starttls", &server.trusted(), to);
    let some = channel("['nobody@example.com', 'ada@example.com', 'later@example.com']");
    let (all, later) = (channel("['nobody@example.com']"), channel("['later@example.com']"));
    let Told { attempt, said } = test(&notifier(&with_rule(&some, ""))).await;
    assert_eq!(attempt.result, Ok(250));
    assert_eq!(
        said,
        "250 2.0.0 Queued as 4711; refused: 550 5.1.1 There is no such mailbox; refused: 450 4.2.1 The mailbox is busy"
    );
    assert_eq!(server.takes().facts["to"], json!(["ada@example.com"]));
    for (channel, said) in
        [(all, "550 5.1.1 There is no such mailbox"), (later, "450 4.2.1 The mailbox is busy")]
    {
        let attempt = deliver(&notifier(&with_rule(&channel, "")), "ada").await;
        assert_eq!(attempt.result, Err(Trouble::Mail(said.to_owned())));
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let channel = |port: u16| {
        format!(
            "type = 'email'\nsmtp_host = 'localhost'\nsmtp_port = {port}\nfrom = 'a@example.com'\nto = ['b@example.com']"
        )
    };
    let within = |port: u16| notifier_within(&with_rule(&channel(port), ""), Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(deliver(&within(port), "ada").await.result, Err(Trouble::Timeout));
    assert!(began.elapsed() >= Duration::from_millis(300));
    drop(silent);
    let attempt = deliver(&within(port), "ada").await;
    assert!(matches!(attempt.result, Err(Trouble::Connect(_))), "{attempt:?}");
}
