//! How often an issuer is asked for its keys, and what is believed of the answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::*;

/// What an issuer answers.
#[derive(Clone)]
enum Answer {
    Keys(Vec<Value>),
    Text(String),
    Away,
    Elsewhere,
}

/// An issuer on this machine that counts how often it is asked for keys.
struct Server {
    url: String,
    state: Arc<Served>,
    clock: Arc<TestClock>,
    verifier: Verifier,
    _tasks: TaskTracker,
}

struct Served {
    asked: AtomicUsize,
    answer: Mutex<Answer>,
    /// The discovery document.
    document: Mutex<Value>,
}

async fn keys(State(served): State<Arc<Served>>) -> Response {
    served.asked.fetch_add(1, Ordering::SeqCst);
    match served.answer.lock().unwrap().clone() {
        Answer::Keys(keys) => json!({ "keys": keys }).to_string().into_response(),
        Answer::Text(text) => text.into_response(),
        Answer::Away => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::Elsewhere => Redirect::temporary("/other").into_response(),
    }
}

async fn discovery(State(served): State<Arc<Served>>) -> String {
    served.document.lock().unwrap().to_string()
}

/// Where redirects would lead, uncounted: the first key.
async fn other() -> String {
    json!({ "keys": [rsa(0).jwk("one")] }).to_string()
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = Mutex::new(json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }));
        let state = Arc::new(Served { asked: AtomicUsize::new(0), answer: Mutex::new(answer), document });
        let router = Router::new()
            .route("/keys", get(keys))
            .route("/other", get(other))
            .route("/.well-known/openid-configuration", get(discovery))
            .with_state(Arc::clone(&state));
        let tasks = TaskTracker::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        let mut issuer =
            issuer(KeySource::Discovery, vec![binding("b", "ci", &[("repository", &["acme/app"])])]);
        issuer.issuer.clone_from(&url);
        let clock = TestClock::new();
        let verifier = Verifier::new(&Oidc { issuers: vec![issuer] }, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { url, state, clock, verifier, _tasks: tasks }
    }

    fn answers(&self, answer: Answer) {
        *self.state.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    fn token(&self, key: &Private, kid: &str) -> String {
        let now = self.clock.now().as_second();
        let claims = json!({ "iss": self.url, "iat": now, "nbf": now, "exp": now + 300 });
        key.token(&with(&header(), &json!({ "kid": kid })), &with(&super::claims(), &claims))
    }

    /// The reason for which a token is refused; none if it is taken.
    async fn refuses(&self, key: &Private, kid: &str) -> Option<Reason> {
        self.verifier.identify(&self.token(key, kid)).await.err().map(|refusal| refusal.reason)
    }
}

fn one() -> Answer {
    Answer::Keys(vec![rsa(0).jwk("one")])
}

fn both() -> Answer {
    Answer::Keys(vec![rsa(0).jwk("one"), rsa(1).jwk("two")])
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_a_minute() {
    let server = Server::start(one()).await;
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
    assert_eq!(server.asked(), 1);
    // The issuer rotates; its new key is found as soon as it may be asked again, and not before.
    server.answers(both());
    for n in 0..20 {
        assert_eq!(server.refuses(&rsa(1), &format!("made-up-{n}")).await, Some(Reason::UnknownKey));
    }
    server.clock.advance(59);
    assert_eq!(server.refuses(&rsa(1), "two").await, Some(Reason::UnknownKey));
    assert_eq!(server.asked(), 1);
    server.clock.advance(1);
    assert_eq!(server.refuses(&rsa(1), "two").await, None);
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let server = Server::start(one()).await;
    let (first, second) = (server.token(&rsa(0), "one"), server.token(&rsa(1), "two"));
    let all = join_all((0..20).map(|_| server.verifier.identify(&first))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(server.asked(), 1);
    server.answers(both());
    server.clock.advance(60);
    let all = join_all((0..20).map(|_| server.verifier.identify(&second))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn who_hangs_up_takes_no_keys_along() {
    let server = Server::start(one()).await;
    let token = server.token(&rsa(0), "one");
    let hung_up = tokio::time::timeout(Duration::ZERO, server.verifier.identify(&token)).await;
    assert!(hung_up.is_err(), "the issuer had answered already");
    assert!(server.verifier.identify(&token).await.is_ok());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn keys_are_read_anew_every_hour_and_a_withdrawn_one_is_gone() {
    let server = Server::start(both()).await;
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
    server.answers(Answer::Keys(vec![rsa(1).jwk("two")]));
    server.clock.advance(3599);
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
    server.clock.advance(1);
    assert_eq!(server.refuses(&rsa(0), "one").await, Some(Reason::UnknownKey));
    assert_eq!(server.refuses(&rsa(1), "two").await, None);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn with_the_issuer_away_what_was_known_goes_on() {
    let server = Server::start(one()).await;
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
    for answer in [Answer::Away, Answer::Text("<html>".to_owned()), Answer::Keys(Vec::new())] {
        server.answers(answer);
        server.clock.advance(4000);
        assert_eq!(server.refuses(&rsa(0), "one").await, None);
        assert_eq!(server.refuses(&rsa(1), "two").await, Some(Reason::UnknownKey));
    }
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn without_any_keys_nobody_is_let_in_and_the_next_minute_decides() {
    let server = Server::start(Answer::Away).await;
    assert_eq!(server.refuses(&rsa(0), "one").await, Some(Reason::KeysUnavailable));
    server.answers(one());
    assert_eq!(server.refuses(&rsa(0), "one").await, Some(Reason::KeysUnavailable));
    assert_eq!(server.asked(), 1);
    server.clock.advance(60);
    assert_eq!(server.refuses(&rsa(0), "one").await, None);
}

#[tokio::test]
async fn no_redirect_is_followed_and_no_endless_answer_is_read() {
    let padded = |bytes: usize| json!({ "keys": [rsa(0).jwk("one")], "pad": "x".repeat(bytes) }).to_string();
    for (answer, refused) in [
        (Answer::Elsewhere, Some(Reason::KeysUnavailable)),
        (Answer::Text(padded(256 * 1024)), Some(Reason::KeysUnavailable)),
        (Answer::Text(padded(250 * 1024)), None),
    ] {
        let server = Server::start(answer).await;
        assert_eq!(server.refuses(&rsa(0), "one").await, refused);
    }
}

#[tokio::test]
async fn a_discovery_document_speaks_for_its_own_issuer_only() {
    let server = Server::start(one()).await;
    for changes in [
        json!({ "issuer": format!("{}/", server.url) }),
        json!({ "issuer": "https://other.example" }),
        json!({ "jwks_uri": "http://keys.example/keys" }),
        json!({ "jwks_uri": "file:///etc/passwd" }),
        json!({ "jwks_uri": null }),
    ] {
        let good = json!({ "issuer": server.url, "jwks_uri": format!("{}/keys", server.url) });
        *server.state.document.lock().unwrap() = with(&good, &changes);
        let refusal = server.verifier.identify(&server.token(&rsa(0), "one")).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::KeysUnavailable, "{refusal}");
        server.clock.advance(60);
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn a_file_is_read_again_under_the_same_rule() {
    let ground = Ground::new();
    let verifier = ground.verifier();
    let (first, second) = (rsa(0).token(&header(), &claims()), {
        rsa(1).token(&with(&header(), &json!({ "kid": "two" })), &claims())
    });
    assert!(verifier.identify(&first).await.is_ok());
    ground.publish(&[rsa(0).jwk("one"), rsa(1).jwk("two")]);
    assert_eq!(verifier.identify(&second).await.unwrap_err().reason, Reason::UnknownKey);
    ground.clock.advance(60);
    assert!(verifier.identify(&second).await.is_ok());
    std::fs::remove_file(ground.path()).unwrap();
    assert!(verifier.identify(&first).await.is_ok());
}
