//! Stands before a server and passes on what comes, or makes the server look unreachable.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// Two waits of a caller with less than this between them are one wait.
const ONE_WAIT: Duration = Duration::from_millis(50);

/// A port of loopback that leads to a server. The port stays ours in every state, so that it can come back; a change
/// of state cuts the connections there are.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    server: SocketAddr,
    waits: Waits,
    door: Door,
}

#[derive(Debug)]
enum Door {
    /// Somebody is at work on the port: dropped, its connections are cut and the port is free.
    Open {
        _porter: AbortOnDropHandle<()>,
    },
    /// A socket that has the port and does not listen: whoever connects is refused.
    Closed {
        _socket: TcpSocket,
    },
    Changing,
}

/// What happens to those who connect.
#[derive(Debug, Clone)]
enum Manner {
    PassOn { server: SocketAddr, late: Duration },
    Swallow(Waits),
}

/// Connections that nobody answered: accepted, given up by the other side.
type Waits = Arc<Mutex<Vec<(Instant, Instant)>>>;

impl Gateway {
    /// A new port that leads to the server on this port of loopback.
    pub async fn to(port: u16) -> Self {
        let socket = bind(loopback(0)).await;
        let address = socket.local_addr().expect("a bound socket has an address");
        let door = Door::Closed { _socket: socket };
        let mut gateway = Self { address, server: loopback(port), waits: Waits::default(), door };
        gateway.pass_on().await;
        gateway
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Leads to the server.
    pub async fn pass_on(&mut self) {
        self.pass_on_but_end_late(Duration::ZERO).await;
    }

    /// Leads to the server, which learns only so much later that somebody has gone. So it is with a machine that
    /// vanishes, and between two servers of which one is busier than the other.
    pub async fn pass_on_but_end_late(&mut self, late: Duration) {
        self.open(Manner::PassOn { server: self.server, late }).await;
    }

    /// Accepts, and never says a word: a black hole.
    pub async fn swallow(&mut self) {
        self.open(Manner::Swallow(Arc::clone(&self.waits))).await;
    }

    /// Refuses whoever connects.
    pub async fn refuse(&mut self) {
        self.door = Door::Changing;
        self.door = Door::Closed { _socket: bind(self.address).await };
    }

    /// For how long each caller was kept waiting by the black hole. Tries in quick succession are one wait.
    pub fn waits(&self) -> Vec<Duration> {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        waits.sort();
        let mut merged: Vec<(Instant, Instant)> = Vec::new();
        for (begun, ended) in waits {
            match merged.last_mut() {
                Some((_, last)) if begun < *last + ONE_WAIT => *last = ended.max(*last),
                _ => merged.push((begun, ended)),
            }
        }
        merged.into_iter().map(|(begun, ended)| ended - begun).collect()
    }

    async fn open(&mut self, manner: Manner) {
        self.door = Door::Changing;
        let listener = bind(self.address).await.listen(64).expect("a bound socket can listen");
        #[expect(clippy::disallowed_methods, reason = "ends with the door")]
        let porter = tokio::spawn(receive(listener, manner));
        self.door = Door::Open { _porter: AbortOnDropHandle::new(porter) };
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The task that had the port a moment ago may need a moment to end.
async fn bind(address: SocketAddr) -> TcpSocket {
    crate::eventually("the port to be free", Duration::from_secs(5), async || {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket can be set up");
        socket.bind(address).ok().map(|()| socket)
    })
    .await
}

async fn receive(listener: TcpListener, manner: Manner) {
    let mut visitors = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        visitors.spawn(serve(client, manner.clone()));
    }
}

async fn serve(mut client: TcpStream, manner: Manner) {
    match manner {
        Manner::PassOn { server, late } => {
            if let Ok(server) = TcpStream::connect(server).await {
                relay(client, server, late).await;
            }
        }
        Manner::Swallow(waits) => {
            let begun = Instant::now();
            tokio::io::copy(&mut client, &mut tokio::io::sink()).await.ok();
            waits.lock().unwrap_or_else(PoisonError::into_inner).push((begun, Instant::now()));
        }
    }
}

/// Whichever side ends it, the other is cut: the client at once, the server so much later.
async fn relay(client: TcpStream, server: TcpStream, late: Duration) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async {
        tokio::io::copy(&mut from_client, &mut to_server).await.ok();
        tokio::time::sleep(late).await;
    };
    let answered = async {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            // A client that has gone hears nothing; that it has gone is seen on the other way.
            to_client.write_all(&bytes[..count]).await.ok();
        }
    };
    tokio::select! {
        () = asked => {}
        () = answered => {}
    }
}
