//! What can go wrong with keys and seals. No text here can hold a key or a secret.

use std::io;
use std::path::PathBuf;

/// Why something sealed cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed by a key that this process does not have (yet, or any more). Nothing is known about the content.
    #[error("the key {0} is not in the key ring")]
    KeyMissing(String),
    /// Cut, changed, made by something else, or sealed for another purpose than the caller named.
    #[error("the sealed text is damaged or belongs to something else")]
    Broken,
}

/// What is wrong with the key file. Each text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// No such file.
    #[error("the key file {} does not exist; make one with `rolecall keys add`", file.display())]
    Missing {
        /// Which file.
        file: PathBuf,
    },
    /// There, but it cannot be read.
    #[error("the key file {} cannot be read: {reason}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// The operating system's word.
        reason: io::Error,
    },
    /// Users outside owner and group have rights on it.
    #[error("the key file {0} is open to everybody on this machine; close it with `chmod o= {0}`", file.display())]
    Exposed {
        /// Which file.
        file: PathBuf,
    },
    /// Not the form of a key file.
    #[error("the key file {} is not valid: {fault}", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// Where and which rule; no content of the file but key ids.
        fault: String,
    },
    /// A valid file without a key that could seal or open anything.
    #[error("the key file {} holds no key; make one with `rolecall keys add`", file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// The new content could not be put in place; the old one stands.
    #[error("the key file {} cannot be written: {reason}", file.display())]
    Unwritable {
        /// Which file.
        file: PathBuf,
        /// The operating system's word.
        reason: io::Error,
    },
    /// No key of that id.
    #[error("there is no key {id}; `rolecall keys list` shows those there are")]
    NoSuchKey {
        /// The id that was asked for.
        id: String,
    },
    /// The key was retired before.
    #[error("the key {id} is retired already")]
    AlreadyRetired {
        /// Which key.
        id: String,
    },
    /// Without this key nothing could be sealed.
    #[error("no other key than {id} seals yet; add one with `rolecall keys add` and wait until it seals")]
    LastKey {
        /// Which key.
        id: String,
    },
    /// More than the cipher takes at once (256 GiB).
    #[error("the text is too long to be sealed")]
    TooLong,
}
