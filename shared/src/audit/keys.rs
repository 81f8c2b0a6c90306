//! The file of the private key that signs checkpoints: one line, mode 0600. Whoever reads it can sign in our name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::note::{InvalidKey, SigningKey};

/// No key is longer.
const MAX_FILE_BYTES: u64 = 4_096;

/// What is wrong with the key file. Each text says what to do about it; none holds anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// No such file.
    #[error("the audit's key file {} does not exist; make it with `rolecall audit key create`", .0.display())]
    Missing(PathBuf),
    /// There is one already. A new key beside it would leave the old checkpoints without theirs.
    #[error("{} exists already; to change keys, move it away and keep its public key for `rolecall audit verify --key`", .0.display())]
    Exists(PathBuf),
    /// Users outside owner and group have rights on it.
    #[error("the audit's key file {file} is open to everybody on this machine; close it with `chmod o= {file}`", file = .0.display())]
    Exposed(PathBuf),
    /// It holds no key.
    #[error("the audit's key file {file} is not valid: {1}", file = .0.display())]
    Invalid(PathBuf, InvalidKey),
    /// The operating system refuses.
    #[error("the audit's key file {file} cannot be read or written: {1}", file = .0.display())]
    Io(PathBuf, io::Error),
}

/// Makes a key with this name, and the file with it, and its folder if need be.
pub fn create_key(file: &Path, name: &str) -> Result<SigningKey, KeyFileError> {
    let key = SigningKey::generate(name).map_err(|fault| KeyFileError::Invalid(file.to_owned(), fault))?;
    write(file, key.to_text().as_bytes()).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            KeyFileError::Exists(file.to_owned())
        } else {
            KeyFileError::Io(file.to_owned(), error)
        }
    })?;
    Ok(key)
}

fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    handle.write_all(text)?;
    handle.write_all(b"\n")?;
    handle.sync_all()
}

/// Reads the key.
pub fn load_key(file: &Path) -> Result<SigningKey, KeyFileError> {
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            KeyFileError::Missing(file.to_owned())
        } else {
            KeyFileError::Io(file.to_owned(), error)
        }
    };
    let handle = File::open(file).map_err(failed)?;
    // Asked of the open file, so that the one that is checked is the one that is read.
    if handle.metadata().map_err(failed)?.mode() & 0o007 != 0 {
        return Err(KeyFileError::Exposed(file.to_owned()));
    }
    let mut text = Zeroizing::new(String::new());
    handle.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    SigningKey::parse(&text).map_err(|fault| KeyFileError::Invalid(file.to_owned(), fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/audit.key");
        assert!(matches!(load_key(&file), Err(KeyFileError::Missing(_))));
        let key = create_key(&file, "audit.example.com").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_key(&file).unwrap().public(), key.public());
        assert!(matches!(create_key(&file, "audit.example.com"), Err(KeyFileError::Exists(_))));
        assert_eq!(load_key(&file).unwrap().public(), key.public());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_key(&file), Err(KeyFileError::Exposed(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&file, "nothing").unwrap();
        assert!(matches!(load_key(&file), Err(KeyFileError::Invalid(..))));
        assert!(matches!(create_key(&folder.path().join("k"), "a b"), Err(KeyFileError::Invalid(..))));
    }
}
