//! What becomes of a request, by what the receiver does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::receiver::{Manner, Receiver};
use super::{LOOPBACK, Names, outbound, post, post_within, settings, word};
use crate::config;
use crate::outbound::attempt::retry_after;
use crate::outbound::{Outbound, Post, Trouble};

fn open() -> Outbound {
    outbound(&settings(&["127.0.0.0/8"]), Names::new(&[("ci.example", &[&[LOOPBACK]])]))
}

#[tokio::test]
async fn any_2xx_is_a_success_and_nothing_else_is() {
    let statuses = [
        ("200 OK", true),
        ("204 No Content", true),
        ("299 Odd", true),
        ("304 Not Modified", false),
        ("410 Gone", false),
        ("500 Internal Server Error", false),
    ];
    for (status, is_success) in statuses {
        let receiver = Receiver::start(Manner::status(status)).await;
        let attempt = post(&open(), &receiver.url("127.0.0.1")).await;
        assert_eq!((word(&attempt), attempt.is_success()), (status[..3].to_owned(), is_success));
        assert_eq!(attempt.retry_after, None);
    }
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    let headers =
        [("content-type", "application/json"), ("webhook-id", "msg_1"), ("authorization", "Bearer x")];
    let headers = headers.map(|(name, value)| (name, value.to_owned().into())).into();
    let url = receiver.url("ci.example").parse().unwrap();
    let attempt =
        open().post(Post { url, headers, body: b"{}".to_vec(), timeout: Duration::from_secs(20) }).await;
    assert_eq!(word(&attempt), "200");
    let request = receiver.requests().remove(0);
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    let expected = [
        format!("host: ci.example:{}", receiver.address.port()),
        "content-type: application/json".to_owned(),
        "webhook-id: msg_1".to_owned(),
        "authorization: Bearer x".to_owned(),
        format!("user-agent: rolecall/{}", env!("CARGO_PKG_VERSION")),
        "content-length: 2".to_owned(),
    ];
    for header in expected {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
}

#[tokio::test]
async fn a_header_that_http_cannot_carry_is_not_sent() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    for header in [("x-a", "a\r\nx-b: c"), ("x a", "a")] {
        let headers = vec![(header.0, header.1.to_owned().into())];
        let url = receiver.url("127.0.0.1").parse().unwrap();
        let attempt =
            open().post(Post { url, headers, body: b"{}".to_vec(), timeout: Duration::from_secs(20) }).await;
        assert_eq!(word(&attempt), "bad_request");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_a_way() {
    let inner = Receiver::start(Manner::status("200 OK")).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = inner.url("127.0.0.1");
        let answer = format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let receiver = Receiver::start(Manner::Says(answer)).await;
        assert_eq!(word(&post(&open(), &receiver.url("127.0.0.1")).await), status[..3]);
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_timeout_and_no_more() {
    let receiver = Receiver::start(Manner::Hangs).await;
    let attempt = post_within(&open(), &receiver.url("127.0.0.1"), Duration::from_millis(200)).await;
    assert_eq!(attempt.result, Err(Trouble::Timeout));
    assert!(attempt.duration >= Duration::from_millis(200), "{:?}", attempt.duration);
    receiver.one_ended().await;
}

/// The status stands when the head is there: a body that does not end is left where it is.
#[tokio::test]
async fn a_body_without_an_end_is_not_waited_for() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 Busy\r\ncontent-length: 999999999\r\n\r\n"] {
        let receiver = Receiver::start(Manner::Floods(head.to_owned())).await;
        let began = Instant::now();
        let attempt = post(&open(), &receiver.url("127.0.0.1")).await;
        assert_eq!(word(&attempt), head[9..12]);
        // Closed from our side: the receiver could else write for ever.
        receiver.one_ended().await;
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let receiver = Receiver::start(Manner::Says(head.to_owned())).await;
    assert_eq!(word(&post(&open(), &receiver.url("127.0.0.1")).await), "200");
}

#[tokio::test]
async fn what_is_no_answer_has_a_word() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let attempt = post(&open(), &format!("http://127.0.0.1:{nobody}/")).await;
    assert_eq!(word(&attempt), "connect_failed");
    assert!(!format!("{:?}", attempt.result).contains("127.0.0.1"), "{attempt:?}");
    for answer in ["", "* OK IMAP ready\r\n", "HTTP/1.1 200", "HTTP/1.1 abc\r\n\r\n"] {
        let receiver = Receiver::start(Manner::Says(answer.to_owned())).await;
        let attempt = post(&open(), &receiver.url("127.0.0.1")).await;
        assert_eq!(word(&attempt), "broken_answer", "{answer:?}");
    }
    assert_eq!(word(&post(&open(), "http://nobody.example/").await), "name_not_found");
}

#[tokio::test]
async fn when_to_come_again_is_read_from_the_answer() {
    let answer = "HTTP/1.1 429 Slow\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::start(Manner::Says(answer.to_owned())).await;
    let attempt = post(&open(), &receiver.url("127.0.0.1")).await;
    assert_eq!((word(&attempt), attempt.retry_after), ("429".to_owned(), Some(Duration::from_mins(2))));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    // The date of RFC 9110, section 5.6.7, in its three forms.
    let now = Timestamp::from_second(784_111_777 - 90).unwrap();
    let dates =
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    for date in dates {
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(90)), "{date}");
    }
    let later = Timestamp::from_second(784_111_777 + 1).unwrap();
    assert_eq!(retry_after(dates[0], later), Some(Duration::ZERO));
    assert_eq!(retry_after("0", now), Some(Duration::ZERO));
    let longest = Some(Duration::from_secs(u32::MAX.into()));
    assert_eq!(retry_after("99999999999999999999999", now), longest);
    for text in ["", "-1", "+5", "1.5", "soon", "Sun, 32 Nov 1994 08:49:37 GMT"] {
        assert_eq!(retry_after(text, now), None, "{text:?}");
    }
}

/// A CA, and a receiver with its certificate for `ci.example`.
async fn tls_receiver() -> (Receiver, String) {
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["ci.example".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (Receiver::start_with(Manner::status("200 OK"), Some(acceptor)).await, ca.pem())
}

#[tokio::test]
async fn only_certificates_that_are_trusted_will_do() {
    let (receiver, ca) = tls_receiver().await;
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.crt");
    std::fs::write(&ca_file, ca).unwrap();
    let names = || Names::new(&[("ci.example", &[&[LOOPBACK]]), ("other.example", &[&[LOOPBACK]])]);
    let trusting = config::Outbound { ca_file: Some(ca_file.clone()), ..settings(&["127.0.0.0/8"]) };
    let trusting = outbound(&trusting, names());
    let url = |host: &str| receiver.url(host).replacen("http", "https", 1);
    assert_eq!(word(&post(&trusting, &url("ci.example")).await), "200");
    assert_eq!(word(&post(&trusting, &url("other.example")).await), "tls_failed");
    assert_eq!(
        word(&post(&outbound(&settings(&["127.0.0.0/8"]), names()), &url("ci.example")).await),
        "tls_failed"
    );
    assert_eq!(receiver.requests().len(), 1);

    let plain = Receiver::start(Manner::status("200 OK")).await;
    let url = plain.url("ci.example").replacen("http", "https", 1);
    assert_eq!(word(&post_within(&trusting, &url, Duration::from_secs(2)).await), "timed_out");
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_used_is_told_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.crt");
    let try_it = || {
        let settings = config::Outbound { ca_file: Some(ca_file.clone()), ..config::Outbound::default() };
        let (names, targets) = (Names::new(&[]), super::Targets::at(&[]));
        Outbound::new(&settings, Vec::new(), targets, names, Arc::<super::TestClock>::default())
            .err()
            .unwrap()
    };
    assert!(try_it().starts_with("outbound.ca_file: "));
    std::fs::write(&ca_file, "no certificate").unwrap();
    assert!(try_it().ends_with("holds no certificate"));
}
