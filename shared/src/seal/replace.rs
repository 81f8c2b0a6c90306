//! Replacing a file as a whole, through any crash.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The file's folder, made if need be, locked until the handle is dropped.
pub(super) fn lock_folder(file: &Path) -> io::Result<File> {
    let folder = folder_of(file);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let handle = File::open(folder)?;
    handle.lock()?;
    Ok(handle)
}

/// Puts `content` in the file's place: written beside it, flushed, renamed over it, so that a reader, and a crash at
/// any point, meets the old file or the new one. Owner, group and mode of an existing file are kept (it may belong
/// to the service and be changed by root); a new one is for its owner alone. Rights of others are never kept.
pub(super) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    // Made with mode 0600, and removed again if anything below fails.
    let mut fresh = tempfile::Builder::new().prefix(".keys-").tempfile_in(folder_of(file))?;
    fresh.write_all(content)?;
    match fs::metadata(file) {
        Ok(old) => {
            let new = fresh.as_file().metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(fresh.as_file(), Some(old.uid()), Some(old.gid()))?;
            }
            fresh.as_file().set_permissions(fs::Permissions::from_mode(old.mode() & 0o770))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fresh.as_file().sync_all()?;
    fresh.persist(file)?;
    Ok(())
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
