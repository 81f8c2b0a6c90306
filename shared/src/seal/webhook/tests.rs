//! The vectors of Standard Webhooks' own libraries, and what must be refused.

use super::*;
use jiff::{SignedDuration, Timestamp};

/// From the tests of the specification's libraries (`libraries/javascript`, `libraries/go`).
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SYMMETRIC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SYMMETRIC_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const PRIVATE: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
const PRIVATE_SIGNATURE: &str =
    "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";

fn at(offset: i64) -> Timestamp {
    Timestamp::from_second(AT + offset).unwrap()
}

fn id() -> MessageId {
    MessageId::parse(ID).unwrap()
}

fn signed(keys: &[&WebhookKey]) -> SignedHeaders {
    sign_webhook(keys.iter().copied(), &id(), at(0), BODY)
}

fn check(keys: &[VerifyingKey], signature: &str) -> Result<(), WebhookFault> {
    let timestamp = AT.to_string();
    let received = ReceivedWebhook { id: ID, timestamp: &timestamp, signature, body: BODY };
    verify_webhook(keys, received, at(0), WEBHOOK_TOLERANCE)
}

#[test]
fn the_published_vectors_come_out() {
    for (key, signature) in [(SYMMETRIC, SYMMETRIC_SIGNATURE), (PRIVATE, PRIVATE_SIGNATURE)] {
        let key = WebhookKey::parse(key).unwrap();
        let headers = signed(&[&key]);
        assert_eq!(headers.pairs()[2], ("webhook-signature", signature));
        assert_eq!(headers.pairs()[..2], [("webhook-id", ID), ("webhook-timestamp", "1614265330")]);
        check(&[key.verifying()], signature).unwrap();
    }
}

#[test]
fn keys_read_back_as_they_were_written_and_are_never_the_same() {
    for scheme in WebhookScheme::ALL {
        let key = WebhookKey::generate(scheme);
        assert_ne!(*key.to_text(), *WebhookKey::generate(scheme).to_text());
        let same = WebhookKey::parse(&key.to_text()).unwrap();
        assert_eq!((same.scheme(), &*same.to_text()), (scheme, &*key.to_text()));
        let verifying = VerifyingKey::parse(&key.verifying().to_text()).unwrap();
        assert_eq!(verifying.scheme(), scheme);
        check(&[verifying], &signed(&[&key]).signature).unwrap();
        assert_eq!(scheme.as_str().parse(), Ok(scheme));
        assert_eq!(format!("{key:?} {:?}", key.verifying()), "WebhookKey VerifyingKey");
    }
    let public = WebhookKey::parse(PRIVATE).unwrap().verifying();
    assert!(public.to_text().starts_with("whpk_"));
    assert_eq!(*WebhookKey::parse(SYMMETRIC).unwrap().verifying().to_text(), SYMMETRIC);
}

#[test]
fn texts_that_are_no_keys_are_refused() {
    let of = |prefix: &str, bytes: usize| {
        use base64::Engine as _;
        format!("{prefix}{}", base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]))
    };
    let public = of("whpk_", 32);
    let cases = [
        (String::new(), InvalidWebhookKey::Prefix),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), InvalidWebhookKey::Prefix),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS".into(), InvalidWebhookKey::Base64),
        (format!("{SYMMETRIC}\n"), InvalidWebhookKey::Base64),
        (of("whsec_", 23), InvalidWebhookKey::Length),
        (of("whsec_", 65), InvalidWebhookKey::Length),
        (of("whsk_", 31), InvalidWebhookKey::Length),
        (of("whsk_", 64), InvalidWebhookKey::Length),
        (public.clone(), InvalidWebhookKey::Public),
    ];
    for (text, fault) in cases {
        assert_eq!(WebhookKey::parse(&text).err(), Some(fault), "{text}");
    }
    assert_eq!(VerifyingKey::parse(PRIVATE).err(), Some(InvalidWebhookKey::Private));
    assert_eq!(VerifyingKey::parse(&of("whpk_", 33)).err(), Some(InvalidWebhookKey::Length));
    assert!(VerifyingKey::parse(&public).is_ok());
    for bytes in [24, 64] {
        assert!(WebhookKey::parse(&of("whsec_", bytes)).is_ok());
    }
}

#[test]
fn while_keys_change_each_receiver_finds_its_own() {
    let (old, new) = (WebhookKey::parse(SYMMETRIC).unwrap(), WebhookKey::generate(WebhookScheme::HmacSha256));
    let (other, private) =
        (WebhookKey::generate(WebhookScheme::Ed25519), WebhookKey::parse(PRIVATE).unwrap());
    let header = signed(&[&new, &old, &private]).signature;
    assert_eq!(header.split(' ').count(), 3);
    for key in [&old, &new, &private] {
        check(&[key.verifying()], &header).unwrap();
        check(&[other.verifying(), key.verifying()], &header).unwrap();
    }
    assert_eq!(check(&[other.verifying()], &header), Err(WebhookFault::Signature));
    let alone = signed(&[&new]).signature;
    assert_eq!(check(&[old.verifying()], &alone), Err(WebhookFault::Signature));
    assert_eq!(check(&[private.verifying()], &alone), Err(WebhookFault::OtherScheme("v1a")));
    assert_eq!(check(&[new.verifying()], &signed(&[]).signature), Err(WebhookFault::OtherScheme("v1")));
}

#[test]
fn what_was_changed_is_refused() {
    let key = [WebhookKey::parse(SYMMETRIC).unwrap().verifying()];
    let timestamp = AT.to_string();
    let good = ReceivedWebhook { id: ID, timestamp: &timestamp, signature: SYMMETRIC_SIGNATURE, body: BODY };
    let verify = |received| verify_webhook(&key, received, at(0), WEBHOOK_TOLERANCE);
    assert_eq!(verify(good), Ok(()));
    let changed = [
        ReceivedWebhook { body: b"{\"test\": 2432232315}", ..good },
        ReceivedWebhook { id: "msg_p5jXN8AQM9LWM0D4loKWxJel", ..good },
        ReceivedWebhook { timestamp: "1614265331", ..good },
        ReceivedWebhook { signature: "v1,", ..good },
        ReceivedWebhook { signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1O", ..good },
        ReceivedWebhook { signature: &SYMMETRIC_SIGNATURE[..20], ..good },
    ];
    for received in changed {
        assert_eq!(verify(received), Err(WebhookFault::Signature), "{received:?}");
    }
    for signature in ["", "v1", "v2,x", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
        let fault = verify(ReceivedWebhook { signature, ..good });
        assert_eq!(fault, Err(WebhookFault::OtherScheme("v1")), "{signature}");
    }
    // The beginning of the body in the id, or in the timestamp, is the same text to sign.
    let moved = ReceivedWebhook { id: "msg.p5", ..good };
    assert_eq!(verify(moved), Err(WebhookFault::Id));
    for timestamp in ["", "+1614265330", "1614265330.5", " 1614265330", "99999999999999999999"] {
        let fault = verify(ReceivedWebhook { timestamp, ..good });
        assert_eq!(fault, Err(WebhookFault::Timestamp), "{timestamp:?}");
    }
}

#[test]
fn the_time_may_differ_by_the_tolerance_and_no_more() {
    let key = [WebhookKey::parse(SYMMETRIC).unwrap().verifying()];
    let timestamp = AT.to_string();
    let received =
        ReceivedWebhook { id: ID, timestamp: &timestamp, signature: SYMMETRIC_SIGNATURE, body: BODY };
    let after = |seconds| verify_webhook(&key, received, at(seconds), SignedDuration::from_secs(300));
    assert_eq!((after(300), after(-300)), (Ok(()), Ok(())));
    assert_eq!(after(301), Err(WebhookFault::Old(301)));
    assert_eq!(after(-301), Err(WebhookFault::New(301)));
    assert_eq!(WebhookFault::Old(301).as_str(), "too_old");
}

#[test]
fn sixteen_signatures_are_looked_at() {
    let key = [WebhookKey::parse(SYMMETRIC).unwrap().verifying()];
    let with_others = |others: usize| format!("{}{SYMMETRIC_SIGNATURE}", "v1,AAAA ".repeat(others));
    check(&key, &with_others(15)).unwrap();
    assert_eq!(check(&key, &with_others(16)), Err(WebhookFault::Signature));
}

#[test]
fn a_message_id_holds_no_full_stop() {
    for text in ["", "a.b", "a b", "a\n", "é", &"a".repeat(129)] {
        assert_eq!(MessageId::parse(text), None, "{text:?}");
    }
    let id = MessageId::from(uuid::Uuid::from_u128(1));
    assert_eq!(id.as_str(), "msg_00000000000000000000000000000001");
    assert_eq!(MessageId::parse(&"a".repeat(128)).unwrap().to_string(), "a".repeat(128));
    assert_eq!(MessageId::parse(id.as_str()), Some(id));
}
