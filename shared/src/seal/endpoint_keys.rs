//! The keys of one webhook endpoint: one of each scheme, so that its receiver has the choice.

use jiff::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{KeyRing, KeyRingError, OpenError, WebhookKey, WebhookScheme};

/// What signs for an endpoint.
#[derive(Debug)]
pub struct EndpointKeys {
    symmetric: WebhookKey,
    asymmetric: WebhookKey,
}

impl EndpointKeys {
    /// Fresh ones.
    ///
    /// # Panics
    /// When the operating system has no generator.
    pub fn generate() -> Self {
        Self {
            symmetric: WebhookKey::generate(WebhookScheme::HmacSha256),
            asymmetric: WebhookKey::generate(WebhookScheme::Ed25519),
        }
    }

    /// `whsec_…`, for the receiver, once.
    pub fn secret(&self) -> Zeroizing<String> {
        self.symmetric.to_text()
    }

    /// `whpk_…`, for everybody.
    pub fn public(&self) -> String {
        self.asymmetric.verifying().to_text().to_string()
    }

    /// Both, for signing.
    pub fn both(&self) -> [&WebhookKey; 2] {
        [&self.symmetric, &self.asymmetric]
    }

    /// For the control database. Opens again as the keys of this endpoint only.
    pub fn seal(&self, ring: &KeyRing, endpoint: Uuid, now: Timestamp) -> Result<Vec<u8>, KeyRingError> {
        let texts = Zeroizing::new(
            [self.symmetric.to_text(), self.asymmetric.to_text()].map(|t| t.to_string()).join("\n"),
        );
        ring.seal(texts.as_bytes(), &context(endpoint), now)
    }

    /// Opens what [`seal`](Self::seal) made.
    pub fn open(ring: &KeyRing, sealed: &[u8], endpoint: Uuid) -> Result<Self, OpenError> {
        let texts = ring.open(sealed, &context(endpoint))?;
        let texts = str::from_utf8(&texts).map_err(|_| OpenError::Broken)?;
        let (symmetric, asymmetric) = texts.split_once('\n').ok_or(OpenError::Broken)?;
        let parse = |text| WebhookKey::parse(text).map_err(|_| OpenError::Broken);
        Ok(Self { symmetric: parse(symmetric)?, asymmetric: parse(asymmetric)? })
    }
}

fn context(endpoint: Uuid) -> Vec<u8> {
    format!("webhook:{endpoint}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{SEALS_AFTER, add_key};

    #[test]
    fn keys_open_for_their_endpoint_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, now) = (folder.path().join("keys"), Timestamp::from_second(1_700_000_000).unwrap());
        add_key(&file, now, SEALS_AFTER).unwrap();
        let ring = KeyRing::load(&file).unwrap();
        let (keys, id) = (EndpointKeys::generate(), Uuid::new_v4());
        let sealed = keys.seal(&ring, id, now).unwrap();
        let opened = EndpointKeys::open(&ring, &sealed, id).unwrap();
        assert_eq!((opened.secret(), opened.public()), (keys.secret(), keys.public()));
        assert!(keys.secret().starts_with("whsec_") && keys.public().starts_with("whpk_"));
        assert!(EndpointKeys::open(&ring, &sealed, Uuid::new_v4()).is_err());
        assert_eq!(format!("{keys:?}").matches("whs").count(), 0);
    }
}
