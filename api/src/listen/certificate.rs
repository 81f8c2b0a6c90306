//! The certificate of the TLS listener and its key: read from their files, and again when these change.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rolecall_shared::config::{ApiTls, ConfigFaults};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whoever names a file that is something else is told so.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

const CERTIFICATE: &str = "api.tls_certificate_file";
const KEY: &str = "api.tls_key_file";

/// What a caller is shown, as of the last look at the files at which they were whole.
#[derive(Debug)]
pub struct Certificate {
    tls: ApiTls,
    current: RwLock<Arc<CertifiedKey>>,
    /// Of the files' bytes when `current` was read.
    digest: [u8; 32],
}

impl Certificate {
    /// Reads both files; every fault by its key.
    pub fn load(tls: &ApiTls) -> Result<Self, ConfigFaults> {
        let pair = Pair::read(tls)?;
        let current = RwLock::new(Arc::new(pair.certified(tls)?));
        Ok(Self { tls: tls.clone(), current, digest: pair.digest() })
    }

    /// Looks at the files for ever. A pair that cannot be used is told once, and the one before it stays.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut seen = Ok(self.digest);
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            self.look(&mut seen);
        }
    }

    /// `seen` is what the last look found: the digest of the files, or why they could not be read.
    fn look(&self, seen: &mut Result<[u8; 32], String>) {
        let pair = Pair::read(&self.tls);
        let found = pair.as_ref().map(Pair::digest).map_err(ToString::to_string);
        if *seen == found {
            return;
        }
        *seen = found;
        match pair.and_then(|pair| pair.certified(&self.tls)) {
            Ok(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!("the certificate has changed; new connections get the new one");
            }
            Err(faults) => {
                tracing::warn!(%faults, "the changed certificate cannot be used; the one before it stays");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The provider of the process, if one is installed.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

/// Both files as they are.
struct Pair {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Pair {
    fn read(tls: &ApiTls) -> Result<Self, ConfigFaults> {
        match (bytes(CERTIFICATE, &tls.certificate_file), bytes(KEY, &tls.key_file)) {
            (Ok(certificate), Ok(key)) => Ok(Self { certificate: certificate.to_vec(), key }),
            (certificate, key) => Err(ConfigFaults(certificate.err().into_iter().chain(key.err()).collect())),
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.certificate.len().to_be_bytes());
        digest.update(&self.certificate);
        digest.update(self.key.as_slice());
        digest.finalize().into()
    }

    /// The pair, ready for handshakes: both readable and made for each other.
    fn certified(&self, tls: &ApiTls) -> Result<CertifiedKey, ConfigFaults> {
        let fault = |key: &str, file: &Path, text: &str| format!("{key}: {} {text}", file.display());
        let certificate_fault = |text: &str| fault(CERTIFICATE, &tls.certificate_file, text);
        let key_fault = |text: &str| fault(KEY, &tls.key_file, text);
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>();
        let chain = match chain {
            Ok(chain) if chain.is_empty() => Err(certificate_fault("holds no certificate in PEM")),
            Ok(chain) => Ok(chain),
            Err(error) => Err(certificate_fault(&format!("is no PEM: {error}"))),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| key_fault("holds no private key in PEM, or one with a passphrase"))
            .and_then(|key| {
                provider()
                    .key_provider
                    .load_private_key(key)
                    .map_err(|_| key_fault("holds no key that TLS can use"))
            });
        let (chain, key) = match (chain, key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err(ConfigFaults(chain.err().into_iter().chain(key.err()).collect())),
        };
        let pair = CertifiedKey::new(chain, key);
        let fault = match pair.keys_match() {
            // `Unknown` is a key that does not tell its public half: the first handshake will.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                return Ok(pair);
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                key_fault(&format!("is not the key of the certificate in {}", tls.certificate_file.display()))
            }
            Err(error) => {
                certificate_fault(&format!("does not begin with a certificate of a server: {error}"))
            }
        };
        Err(ConfigFaults(vec![fault]))
    }
}

fn bytes(key: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    let read = read.and_then(|_| {
        let is_too_long = bytes.len() as u64 > MAX_FILE_BYTES;
        if is_too_long {
            Err(io::Error::other(format!("longer than {MAX_FILE_BYTES} bytes")))
        } else {
            Ok(())
        }
    });
    read.map(|()| bytes).map_err(|error| format!("{key}: {} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests;
