//! The text of API tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::random_bytes;

/// An API token as its owner has it: `rck_` and 256 random bits in base64url. Has no `Debug` text and is wiped when
/// dropped.
pub struct ApiTokenText(Zeroizing<String>);

impl ApiTokenText {
    /// What every one begins with, so that a scanner finds it where it does not belong.
    pub const PREFIX: &str = "rck_";
    const BODY_BYTES: usize = 43;

    /// A new one.
    pub fn generate() -> Self {
        let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random_bytes::<32>()));
        Self(Zeroizing::new(format!("{}{}", Self::PREFIX, &*body)))
    }

    /// Reads one; says nothing about whether it lets anybody in.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(Self::PREFIX)?;
        let fits = body.len() == Self::BODY_BYTES && URL_SAFE_NO_PAD.decode(body).is_ok();
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it: SHA-256 of the whole text. 256 random bits cannot be guessed from that.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made() {
        let token = ApiTokenText::generate();
        assert_eq!(token.expose().len(), 47);
        assert_ne!(token.expose(), ApiTokenText::generate().expose());
        assert_eq!(ApiTokenText::parse(token.expose()).unwrap().hash(), token.hash());
        for text in ["", "rck_", &token.expose()[..46], &format!("{}a", token.expose()), &token.expose()[4..]]
        {
            assert!(ApiTokenText::parse(text).is_none(), "{}", text.len());
        }
    }
}
