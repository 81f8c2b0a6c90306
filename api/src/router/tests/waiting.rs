//! Long polls, event streams, limits on both, and a graceful stop.

use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::{FutureExt, StreamExt};
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const LONG: Duration = Duration::from_secs(30);

fn queued() -> Ticket {
    fakes::ticket("r1")
}

fn cancelled() -> Ticket {
    Ticket { state: State::Cancelled, ending: Some(Ending::Cancelled), revision: 3, ..queued() }
}

fn path(ticket: &Ticket) -> String {
    format!("/api/v2/tickets/{}", ticket.job.ticket)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it happens")
}

/// Polls a request until it waits for a change of its ticket.
async fn until_it_waits<T>(mut request: Pin<&mut impl Future<Output = T>>, intake: &Intake) {
    while intake.app.limits.streams_taken() == 0 {
        assert!(request.as_mut().now_or_never().is_none(), "it does not wait");
        tokio::task::yield_now().await;
    }
}

fn one_place() -> Settings {
    let mut settings = fakes::settings();
    settings.api.max_waiting_streams = 1;
    settings
}

#[tokio::test]
async fn a_long_poll_ends_with_the_job() {
    let intake = intake_with(one_place());
    intake.tickets.put(queued());
    let mut poll = Box::pin(intake.send(get(&format!("{}?wait=50", path(&queued())))));
    until_it_waits(poll.as_mut(), &intake).await;
    let (status, code, _) = intake.problem(get(&format!("{}?wait=50", path(&queued())))).await;
    assert_eq!((status, code.as_str()), (429, "too_many_requests"));

    // A change that is not the end is not what is waited for.
    intake.tickets.put(Ticket { state: State::Running, revision: 2, ..queued() });
    intake.tickets.put(cancelled());
    let response = soon(poll).await;
    assert_eq!(json(response).await["state"], "cancelled");
    assert_eq!(intake.app.limits.streams_taken(), 0);
}

#[tokio::test]
async fn with_a_tag_any_change_ends_the_wait() {
    let intake = intake_with(one_place());
    intake.tickets.put(queued());
    let mut request = get(&path(&queued()));
    request.headers_mut().insert("if-none-match", "W/\"1\"".parse().unwrap());
    request.headers_mut().insert("prefer", "wait=3600".parse().unwrap());
    let mut poll = Box::pin(intake.send(request));
    until_it_waits(poll.as_mut(), &intake).await;
    intake.tickets.put(Ticket { state: State::Running, revision: 2, ..queued() });
    let response = soon(poll).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["preference-applied"], "wait=50");
    assert_eq!(json(response).await["state"], "running");
}

#[tokio::test]
async fn stopping_ends_a_wait_with_what_is_known() {
    let intake = intake_with(one_place());
    intake.tickets.put(queued());
    let mut poll = Box::pin(intake.send(get(&format!("{}?wait=50", path(&queued())))));
    until_it_waits(poll.as_mut(), &intake).await;
    intake.stop.cancel();
    let response = soon(poll).await;
    assert_eq!(response.status(), 200);
    assert_eq!(json(response).await["state"], "queued");
}

#[tokio::test]
async fn events_tell_each_change_and_end_with_the_last() {
    let intake = intake_with(one_place());
    intake.tickets.put(queued());
    let response = intake.send(get(&format!("{}/events", path(&queued())))).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut next = async || {
        let chunk = soon(stream.next()).await?;
        Some(String::from_utf8(chunk.unwrap().into()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(
        first.contains("event: state") && first.contains("id: 1") && first.contains("\"queued\""),
        "{first}"
    );
    intake.tickets.put(Ticket { state: State::Running, revision: 2, ..queued() });
    assert!(next().await.unwrap().contains("\"running\""));
    intake.tickets.put(cancelled());
    assert!(next().await.unwrap().contains("\"cancelled\""));
    assert_eq!(next().await, None);
    drop(stream);
    assert_eq!(intake.app.limits.streams_taken(), 0);
}

#[tokio::test]
async fn a_graceful_stop_ends_streams_and_the_listener() {
    let (tickets, stop) = (Arc::<FakeTickets>::default(), CancellationToken::new());
    tickets.put(queued());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut settings = fakes::settings();
    settings.api.grace = LONG;
    let listeners = crate::Listeners { plain: listener, tls: None, unix: None };
    let mut serving = Box::pin(crate::run(parts(settings, &tickets), listeners, stop.clone()));
    let client = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET {}/events HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            path(&queued()),
            basic("ops", "secret")
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.windows(8).any(|bytes| bytes == b"\"queued\"") {
            assert!(socket.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
        }
        stop.cancel();
        while socket.read_buf(&mut answer).await.unwrap() > 0 {}
        // The last chunk: the stream ended, it was not cut off.
        assert!(answer.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    };
    let (served, ()) = soon(async { tokio::join!(&mut serving, client) }).await;
    served.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
