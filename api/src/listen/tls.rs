//! TLS over TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Peer;
use super::accept::Listener;
use super::certificate::{Certificate, provider};
use super::plain::without_delay;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The most handshakes at once. Each costs a signature: above this, more at once would only make all of them late.
const HANDSHAKES: usize = 512;

/// The listener with TLS.
pub(crate) struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: Semaphore,
}

impl Tls {
    /// TLS 1.2 and 1.3; HTTP/2 where the caller offers it.
    pub(crate) fn new(listener: TcpListener, certificate: Arc<Certificate>) -> Result<Self, rustls::Error> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { listener, acceptor, handshakes: Semaphore::new(HANDSHAKES) })
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let work = async {
            let _permit = self.handshakes.acquire().await.map_err(io::Error::other)?;
            self.acceptor.accept(stream).await
        };
        tokio::time::timeout(HANDSHAKE, work).await?
    }
}

impl Listener for Tls {
    type Raw = (TcpStream, SocketAddr);
    type Stream = TlsStream<TcpStream>;

    async fn accept(&self) -> io::Result<Self::Raw> {
        self.listener.accept().await
    }

    async fn open(&self, (stream, address): Self::Raw) -> Option<(Self::Stream, Peer)> {
        without_delay(&stream);
        match self.handshake(stream).await {
            Ok(stream) => Some((stream, Peer::at(address, true))),
            Err(error) => {
                tracing::debug!(%address, %error, "no TLS handshake");
                None
            }
        }
    }
}
