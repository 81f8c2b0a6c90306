//! Who took which password, also when the database's answer is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rolecall_shared::config;
use rolecall_shared::control::{Control, EventFilter, Take};
use rolecall_shared::domain::EventName;
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::{actor, at, create_role};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_at_once_exactly_one_takes_it() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    assert_eq!(control.find_taken(job.ticket).await.unwrap(), None);
    let calls = (0..20).map(|n| {
        let (control, job) = (control.clone(), job.clone());
        async move { (n, control.take_secret(&job, &actor(&format!("account{n}")), at(n)).await.unwrap()) }
    });
    let takes = futures_util::future::join_all(calls).await;

    let winners: Vec<_> = takes.iter().filter(|(_, take)| *take == Take::Now).collect();
    assert_eq!(winners.len(), 1, "{takes:?}");
    let winner = winners[0].0;
    let taken = control.find_taken(job.ticket).await.unwrap().unwrap();
    assert_eq!((taken.at, &taken.account), (at(winner), &format!("account{winner}")));
    assert_eq!(taken.address.as_deref(), Some("192.0.2.7"));
    for (n, take) in &takes {
        if *n != winner {
            assert_eq!(*take, Take::Before(taken.clone()));
        }
    }
    let events = control.list_events(&EventFilter::default(), None, 100).await.unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!((event.name, event.ticket), (EventName::SecretTaken, Some(job.ticket)));
    assert_eq!(event.actor, actor(&format!("account{winner}")), "who took it, not who asked for the role");
    assert_eq!((event.target.as_ref(), event.role.as_deref()), (Some(&job.target), Some("web01")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_and_not_guessed() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    let proxy = Proxy::start(&database, 1).await;
    let through = Control::new(&proxy.settings).unwrap();

    // The row stands, its answer was thrown away: this call took it, and must say so.
    let take = through.take_secret(&job, &actor("ci"), at(1)).await.unwrap();
    assert_eq!(take, Take::Now);
    assert_eq!(proxy.swallowed.load(Ordering::SeqCst), 1, "the proxy did its part");
    let Take::Before(taken) = control.take_secret(&job, &actor("late"), at(2)).await.unwrap() else {
        panic!("taken twice");
    };
    assert_eq!(taken.account, "ci");
    let filter = EventFilter { name: Some(EventName::SecretTaken), ..EventFilter::default() };
    assert_eq!(control.list_events(&filter, None, 10).await.unwrap().len(), 1);

    // Somebody else's row stands, and the answer that says so was thrown away.
    let proxy = Proxy::start(&database, 1).await;
    let through = Control::new(&proxy.settings).unwrap();
    let take = through.take_secret(&job, &actor("later"), at(3)).await.unwrap();
    assert_eq!(take, Take::Before(taken));
    assert_eq!(proxy.swallowed.load(Ordering::SeqCst), 1, "the proxy did its part");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_stay_lost_end_in_an_error() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    let proxy = Proxy::start(&database, usize::MAX).await;
    let through = Control::new(&proxy.settings).unwrap();
    let failure = through.take_secret(&job, &actor("ci"), at(1)).await.unwrap_err();
    assert_eq!(failure.code(), rolecall_shared::domain::Code::ControlDatabaseUnavailable);
    assert_eq!(failure.ticket(), Some(job.ticket));
    assert_eq!(proxy.swallowed.load(Ordering::SeqCst), 3, "bounded");
    assert_eq!(control.find_taken(job.ticket).await.unwrap().unwrap().account, "ci");
}

/// Stands before the server and cuts connections: what the client sends reaches the server, and the server's answer
/// to the row that decides is read and thrown away.
struct Proxy {
    settings: config::Control,
    swallowed: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Throws away the first `times` answers.
    async fn start(database: &ControlDatabase, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (login, rest) = database.writer_url.rsplit_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        // Without TLS, so that the proxy can read along.
        let url = format!("{login}@127.0.0.1:{port}/{name}?sslmode=disable");
        let settings = config::Control { url: url.into(), ..database.settings() };
        let swallowed = Arc::new(AtomicUsize::new(0));
        let (server, counter) = (server.to_owned(), swallowed.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with the proxy")]
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                connections.spawn(relay(client, server, times, counter.clone()));
            }
        });
        Self { settings, swallowed, _task: AbortOnDropHandle::new(task) }
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, times: usize, swallowed: Arc<AtomicUsize>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut deciding = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(n @ 1..) = read else { return };
                let sends = |text: &[u8]| asked[..n].windows(text.len()).any(|window| window == text);
                deciding = sends(b"INSERT INTO secrets_taken") && swallowed.load(Ordering::SeqCst) < times;
                server.write_all(&asked[..n]).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(n @ 1..) = read else { return };
                // `Z` (ready for query) ends the answer: the transaction is committed.
                if deciding && answered[..n].windows(6).any(|w| w == b"Z\0\0\0\x05I") {
                    swallowed.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if !deciding && client.write_all(&answered[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
