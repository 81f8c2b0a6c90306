//! TLS as libpq means its `sslmode`s ("SSL Support" in `PostgreSQL`'s manual), with rustls.
//!
//! | mode | the server's certificate |
//! | --- | --- |
//! | `prefer` | not checked; plain if the server offers no TLS or the handshake fails |
//! | `require` | not checked; with a CA file checked as for `verify-ca` |
//! | `verify-ca` | must come from the CA |
//! | `verify-full` | must come from the CA and name the host |
//!
//! The CA is the target's file, or else the system's certificates. Two differences from libpq come from rustls: a
//! host's name is looked for in the subject alternative names only, never in the common name, and a CA's own
//! certificate cannot serve as the server's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::domain::{SslMode, Target};

use super::TargetError;

/// What is checked of a certificate. The handshake's signature always is: the server must hold the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

impl Check {
    /// `None`: no TLS at all.
    fn of(mode: SslMode, with_ca_file: bool) -> Option<Self> {
        match mode {
            SslMode::Disable => None,
            SslMode::Require if with_ca_file => Some(Self::Chain),
            SslMode::Prefer | SslMode::Require => Some(Self::Nothing),
            SslMode::VerifyCa => Some(Self::Chain),
            SslMode::VerifyFull => Some(Self::ChainAndName),
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
struct CacheKey {
    check: Check,
    ca_file: Option<String>,
}

struct Cached {
    connect: MakeRustlsConnect,
    /// When the CA file was last changed: a renewed file is read again.
    changed: Option<SystemTime>,
}

/// The TLS configurations in use; building one parses all certificates.
#[derive(Default)]
pub(super) struct TlsConfigs {
    built: Mutex<HashMap<CacheKey, Cached>>,
    system: OnceCell<Arc<RootCertStore>>,
}

impl TlsConfigs {
    /// What a target's mode asks for; `None` for no TLS. A CA file that cannot be read or holds no certificate
    /// counts as a refused log-in: it stays so until somebody changes something.
    pub(super) async fn find(&self, target: &Target) -> Result<Option<MakeRustlsConnect>, TargetError> {
        let Some(check) = Check::of(target.sslmode, target.ca_file.is_some()) else { return Ok(None) };
        // Without a check the file is not even looked at.
        let ca_file = target.ca_file.clone().filter(|_| check != Check::Nothing);
        let changed = match &ca_file {
            Some(path) => tokio::fs::metadata(path).await.and_then(|file| file.modified()).ok(),
            None => None,
        };
        let key = CacheKey { check, ca_file };
        if let Some(cached) = self.built.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && cached.changed == changed
        {
            return Ok(Some(cached.connect.clone()));
        }
        let roots = self.roots(&key).await?;
        let connect = MakeRustlsConnect::new(client_config(check, roots)?);
        let cached = Cached { connect: connect.clone(), changed };
        self.built.lock().unwrap_or_else(PoisonError::into_inner).insert(key, cached);
        Ok(Some(connect))
    }

    async fn roots(&self, key: &CacheKey) -> Result<Arc<RootCertStore>, TargetError> {
        match (key.check, &key.ca_file) {
            (Check::Nothing, _) => Ok(Arc::new(RootCertStore::empty())),
            (Check::Chain | Check::ChainAndName, Some(path)) => read_ca_file(path).await.map(Arc::new),
            (Check::Chain | Check::ChainAndName, None) => {
                self.system.get_or_try_init(system_roots).await.cloned()
            }
        }
    }
}

async fn read_ca_file(path: &str) -> Result<RootCertStore, TargetError> {
    let pem = tokio::fs::read(path)
        .await
        .map_err(|error| TargetError::login(format!("the CA file {path} cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
            .map_err(|error| TargetError::login(format!("the CA file {path} is damaged: {error}")))?;
    }
    if roots.is_empty() {
        return Err(TargetError::login(format!("the CA file {path} holds no certificate")));
    }
    Ok(roots)
}

async fn system_roots() -> Result<Arc<RootCertStore>, TargetError> {
    let nothing =
        || TargetError::login("this machine has no CA certificates of its own; give the target a CA file");
    // Reads some hundred files.
    let found =
        tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await.map_err(|_| nothing())?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(nothing()) } else { Ok(Arc::new(roots)) }
}

fn client_config(check: Check, roots: Arc<RootCertStore>) -> Result<ClientConfig, TargetError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier { check, roots, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TargetError::login(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check != Check::Nothing {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
            if self.check == Check::ChainAndName {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_checks_what_libpq_checks() {
        use Check::{Chain, ChainAndName, Nothing};
        for (mode, without_file, with_file) in [
            (SslMode::Disable, None, None),
            (SslMode::Prefer, Some(Nothing), Some(Nothing)),
            (SslMode::Require, Some(Nothing), Some(Chain)),
            (SslMode::VerifyCa, Some(Chain), Some(Chain)),
            (SslMode::VerifyFull, Some(ChainAndName), Some(ChainAndName)),
        ] {
            assert_eq!(Check::of(mode, false), without_file, "{mode:?}");
            assert_eq!(Check::of(mode, true), with_file, "{mode:?} with a CA file");
        }
    }
}
