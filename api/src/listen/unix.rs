//! The Unix-domain socket, for callers on this machine.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rolecall_shared::config::UnixSocket;
use tokio::net::{UnixListener, UnixStream};

use super::accept::Listener;
use super::users::Users;
use super::{Peer, UnixPeer};

const KEY: &str = "api.unix_socket";

/// A bound socket. Dropped, its file is removed, unless the file is another process's by now.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
    users: Users,
}

impl Socket {
    /// Binds. What a dead process has left is replaced; a socket on which somebody listens, and any other kind of
    /// file, is a fault, which begins with the key.
    pub async fn bind(setting: &UnixSocket) -> Result<Self, String> {
        let path = &setting.path;
        let fault = |text: String| format!("{KEY}: {} {text}", path.display());
        check_free(path).await.map_err(fault)?;
        Self::make(path, setting.mode).map_err(|error| fault(format!("cannot be made: {error}")))
    }

    /// The socket gets its permissions in a folder that nobody else may enter, and its place afterwards: there is no
    /// moment in which more may connect than the mode says, and none without a file where an old one is replaced.
    fn make(path: &Path, mode: u32) -> io::Result<Self> {
        let parent = path.parent().ok_or(ErrorKind::InvalidInput)?;
        let private = tempfile::Builder::new().prefix(".").tempdir_in(parent)?;
        let unplaced = private.path().join("s");
        let listener = UnixListener::bind(&unplaced)?;
        fs::set_permissions(&unplaced, Permissions::from_mode(mode))?;
        let file = identity(&unplaced)?;
        fs::rename(&unplaced, path)?;
        Ok(Self { listener, path: path.to_owned(), file, users: Users::default() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Whether there is nothing, or what a dead process has left.
async fn check_free(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot be looked at: {error}")),
        Ok(file) if !file.file_type().is_socket() => {
            return Err("is there and is no socket: remove it, or choose another path".to_owned());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        // Full: somebody listens who is busy.
        Err(error) if error.kind() != ErrorKind::WouldBlock => {
            Err(format!("is a socket of which it cannot be told whether somebody listens: {error}"))
        }
        Ok(_) | Err(_) => {
            Err("is taken by another process: stop that one, or choose another path".to_owned())
        }
    }
}

impl Listener for Socket {
    type Raw = UnixStream;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    async fn open(&self, stream: UnixStream) -> Option<(UnixStream, Peer)> {
        let uid = match stream.peer_cred() {
            Ok(credentials) => credentials.uid(),
            Err(error) => {
                tracing::warn!(%error, "the kernel does not say who connected");
                return None;
            }
        };
        let name = self.users.name(uid).await;
        tracing::debug!(uid, name, "somebody connected over the socket");
        Some((stream, Peer { address: None, unix: Some(UnixPeer { uid, name }), encrypted: false }))
    }
}

#[cfg(test)]
mod tests;
