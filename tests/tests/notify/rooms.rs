//! Slack, Webex, Teams and receivers of JSON.

use std::time::Duration;

use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::outbound::Trouble;
use rolecall_shared::seal::{ReceivedWebhook, VerifyingKey, WEBHOOK_TOLERANCE, verify_webhook};
use rolecall_tests::{Manner, Receiver};

use crate::ground::{body, deliver, event, id, notifier, notifier_within, test, with_rule};
use crate::vendor::{Mood, Room, Vendor, WEBEX_ROOM, WEBEX_TOKEN};

/// What the default text of a failed ticket is, with this for its role.
fn failed(role: &str) -> String {
    format!(
        "reset_password of {role} on prod/orders failed: role_not_found. \
         https://rolecall.example.com/api/v2/tickets/0190b7a0-0000-7000-8000-000000000000"
    )
}

fn channel(vendor: Vendor, url: &str) -> String {
    match vendor {
        Vendor::Slack => format!("type = 'slack'\nurl = '{url}'\ntrusted = true"),
        Vendor::Teams | Vendor::TeamsWorkflow => format!("type = 'teams'\nurl = '{url}'\ntrusted = true"),
        Vendor::Webex => format!(
            "type = 'webex'\napi_url = '{url}'\ntoken = '{WEBEX_TOKEN}'\nroom = '{WEBEX_ROOM}'\ntrusted = true"
        ),
    }
}

const ALL: [Vendor; 4] = [Vendor::Slack, Vendor::Webex, Vendor::Teams, Vendor::TeamsWorkflow];

#[tokio::test]
async fn each_vendor_takes_the_message_and_reads_names_as_text() {
    // A name as an operator with a wide pattern could allow it.
    let hostile = "<!channel> <@all> [x](https://evil) *b* `c` &amp; \\ \r\n{env}";
    for (vendor, escaped, role) in [
        (
            Vendor::Slack,
            "&lt;!channel&gt; &lt;@all&gt; [x](https://evil) *b* `c` &amp;amp; \\ {env}",
            "web_8080",
        ),
        (
            Vendor::Webex,
            "&lt;\\!channel&gt; &lt;@all&gt; \\[x\\](https://evil) \\*b\\* \\`c\\` &amp;amp; \\\\ \\{env\\}",
            "web\\_8080",
        ),
        (
            Vendor::Teams,
            "&lt;\\!channel&gt; &lt;@all&gt; \\[x\\](https://evil) \\*b\\* \\`c\\` &amp;amp; \\\\ \\{env\\}",
            "web\\_8080",
        ),
    ] {
        let room = Room::open(vendor).await;
        let notifier = notifier(&with_rule(&channel(vendor, &room.url()), "template = '{role}'"));
        let attempt = deliver(&notifier, hostile).await;
        assert!(attempt.is_success(), "{vendor:?}: {attempt:?}");
        assert_eq!(room.text(), escaped, "{vendor:?}");
        let agent = room.said()[0].headers["user-agent"].to_str().expect("text").to_owned();
        assert!(agent.starts_with("rolecall/"), "{agent}");
        let plain = self::notifier(&with_rule(&channel(vendor, &room.url()), ""));
        assert!(deliver(&plain, "web_8080").await.is_success());
        let operation = if vendor == Vendor::Slack { "reset_password" } else { "reset\\_password" };
        let code = if vendor == Vendor::Slack { "role_not_found" } else { "role\\_not\\_found" };
        let wanted = failed(role).replace("reset_password", operation).replace("role_not_found", code);
        assert_eq!(room.texts()[1], wanted, "{vendor:?}");
    }
}

#[tokio::test]
async fn a_test_message_says_what_was_answered() {
    for (vendor, status, said) in [
        (Vendor::Slack, 200, "ok"),
        (Vendor::Webex, 200, "{\"id\":\"Y2lz\""),
        (Vendor::Teams, 200, "1"),
        (Vendor::TeamsWorkflow, 202, ""),
    ] {
        let room = Room::open(vendor).await;
        let told = test(&notifier(&with_rule(&channel(vendor, &room.url()), ""))).await;
        assert_eq!(told.attempt.result, Ok(status), "{vendor:?}");
        assert!(told.said.starts_with(said), "{vendor:?}: {}", told.said);
        assert_eq!(room.text(), "This is a test message of Rolecall.");
    }
}

#[tokio::test]
async fn refusals_are_told_with_the_time_to_wait() {
    for (vendor, mood, status, after) in [
        (Vendor::Slack, Mood::Busy, 429, Some(30)),
        (Vendor::Slack, Mood::Gone, 410, None),
        (Vendor::Webex, Mood::Busy, 429, Some(15)),
        (Vendor::Webex, Mood::Gone, 404, None),
        // These come as a 200.
        (Vendor::Teams, Mood::Busy, 429, None),
        (Vendor::Teams, Mood::Gone, 404, None),
        (Vendor::TeamsWorkflow, Mood::Busy, 429, None),
        (Vendor::TeamsWorkflow, Mood::Gone, 404, None),
    ] {
        let room = Room::open(vendor).await;
        room.is(mood);
        let attempt = deliver(&notifier(&with_rule(&channel(vendor, &room.url()), "")), "ada").await;
        assert_eq!((&attempt.result, attempt.is_success()), (&Ok(status), false), "{vendor:?} {mood:?}");
        assert_eq!(attempt.retry_after, after.map(Duration::from_secs), "{vendor:?} {mood:?}");
        assert!(room.said().is_empty());
    }
}

#[tokio::test]
async fn what_opens_a_channel_wrongly_is_refused_by_the_vendor() {
    for (vendor, right, wrong, status) in [
        (Vendor::Slack, "slack-token", "other-token", 404),
        (Vendor::Webex, WEBEX_TOKEN, "another", 401),
        (Vendor::Webex, WEBEX_ROOM, "another", 404),
        (Vendor::Teams, "teams-token", "other-token", 404),
        (Vendor::TeamsWorkflow, "teams-signature", "other-signature", 401),
    ] {
        let room = Room::open(vendor).await;
        let text = with_rule(&channel(vendor, &room.url()).replace(right, wrong), "");
        let told = test(&notifier(&text)).await;
        assert_eq!(told.attempt.result, Ok(status), "{vendor:?}: {}", told.said);
    }
}

#[tokio::test]
async fn the_longest_message_is_one_that_each_vendor_takes() {
    for vendor in ALL {
        let room = Room::open(vendor).await;
        let rule = format!("template = '{}'", "{role}".repeat(2_000 / "{role}".len()));
        let notifier = notifier(&with_rule(&channel(vendor, &room.url()), &rule));
        let attempt = deliver(&notifier, &"é<".repeat(400)).await;
        assert!(attempt.is_success(), "{vendor:?}: {attempt:?}");
        assert!(room.text().ends_with('…'), "{vendor:?}");
    }
}

#[tokio::test]
async fn every_event_has_words_and_none_has_a_gap() {
    let room = Room::open(Vendor::Slack).await;
    let notifier = notifier(&with_rule(&channel(Vendor::Slack, &room.url()), ""));
    let mut ticket = serde_json::from_str::<serde_json::Value>(&event("ada")).expect("JSON")["data"].clone();
    ticket["outcome"] = "created".into();
    let host =
        serde_json::json!({ "host": "db1.example.com:5432", "account": "ada", "code": "target_unreachable" });
    for name in rolecall_shared::domain::EventName::TOLD {
        let data = if name.is_of_hosts() { &host } else { &ticket };
        assert!(notifier.deliver("all/room", &id(), &body(name.as_str(), data)).await.is_success());
    }
    for text in room.texts() {
        assert!(!text.contains(" - ") && !text.contains('{') && text.len() > 20, "{text}");
    }
}

#[tokio::test]
async fn a_receiver_of_json_gets_the_event_itself_signed() {
    let receiver = Receiver::start(Manner::Status(204)).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let channel = format!(
        "type = 'webhook'\nurl = '{}'\ntoken = 'a-bearer'\nsigning_secret = '{secret}'\ntrusted = true",
        receiver.url("/hook?x=1")
    );
    let notifier = notifier(&with_rule(&channel, ""));
    assert!(deliver(&notifier, "ada").await.is_success());
    let heard = receiver.heard().remove(0);
    assert_eq!(
        (heard.path.as_str(), heard.id(), heard.header("authorization")),
        ("/hook?x=1", "msg_0190b7a0", "Bearer a-bearer")
    );
    assert_eq!(heard.body, event("ada").as_bytes());
    let webhook = ReceivedWebhook {
        id: heard.id(),
        timestamp: heard.header("webhook-timestamp"),
        signature: heard.header("webhook-signature"),
        body: &heard.body,
    };
    let key = VerifyingKey::parse(secret).expect("a key");
    verify_webhook(&[key], webhook, SystemClock.now(), WEBHOOK_TOLERANCE).expect("it verifies");

    receiver.answer(Manner::Header(307, "location", "http://127.0.0.1:9/".to_owned()));
    assert_eq!(deliver(&notifier, "ada").await.result, Ok(307));
}

#[tokio::test]
async fn an_address_of_ours_needs_trust() {
    let receiver = Receiver::start(Manner::Status(200)).await;
    let url = receiver.url("/").replace("http://", "https://");
    for channel in [format!("type = 'webhook'\nurl = '{url}'"), format!("type = 'slack'\nurl = '{url}'")] {
        let attempt = deliver(&notifier(&with_rule(&channel, "")), "ada").await;
        assert!(matches!(attempt.result, Err(Trouble::Refused(_))), "{attempt:?}");
    }
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time() {
    let receiver = Receiver::start(Manner::Hang).await;
    let channel = format!("type = 'slack'\nurl = '{}'\ntrusted = true", receiver.url("/"));
    let notifier = notifier_within(&with_rule(&channel, ""), Duration::from_millis(200));
    let attempt = deliver(&notifier, "ada").await;
    assert_eq!(attempt.result, Err(Trouble::Timeout));
    assert!(attempt.duration >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_rule_or_channel_that_is_not_configured_is_a_failure() {
    let notifier = notifier(&with_rule("type = 'slack'\nurl = 'https://x.example/'", ""));
    for key in ["all/other", "other/room", "all", ""] {
        assert_eq!(notifier.deliver(key, &id(), &event("ada")).await.result, Err(Trouble::Channel), "{key}");
    }
    assert!(notifier.test("other", &id()).await.is_none());
}
