//! Which variables and files may hold passwords of targets.
//!
//! Whoever registers a target chooses its host, which may ask for the password in the clear. Without a fence a caller
//! could have every file and variable sent that this process can read. Asked when a target is registered, and again
//! when its password is read.

use std::io;
use std::path::{Path, PathBuf};

use crate::config;
use crate::domain::LoginPassword;

/// Why a reference is not followed; the sentence goes on from "it". Tells nothing of files outside the folders, not
/// even whether they exist.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceRefused {
    /// The variable's name begins otherwise.
    #[error("must name a variable that begins with {0} (setting target.password_variables)")]
    Variable(String),
    /// No folder is open at all, which is the default.
    #[error("cannot be file: here, since no folder is named by the setting target.password_folders")]
    NoFolder,
    /// The file is in none of the folders, or a link leads out of them.
    #[error("must name a file inside one of the folders of the setting target.password_folders")]
    Outside,
    /// It is inside, as it is written, and cannot be found.
    #[error("cannot be opened: {0}")]
    Missing(io::Error),
}

/// Whether a reference may be followed under these settings. A sealed password always may.
pub async fn check_reference(
    settings: &config::Target,
    password: &LoginPassword,
) -> Result<(), ReferenceRefused> {
    match password {
        LoginPassword::Sealed(_) => Ok(()),
        LoginPassword::Env(name) => check_variable(settings, name),
        LoginPassword::File(path) => find_file(settings, path).await.map(drop),
    }
}

/// Whether a variable may hold the password of a target.
pub(super) fn check_variable(settings: &config::Target, name: &str) -> Result<(), ReferenceRefused> {
    let prefix = &settings.password_variables;
    // The configuration takes no empty one; if it came from elsewhere it must not open everything.
    if prefix.is_empty() || !name.starts_with(prefix.as_str()) {
        return Err(ReferenceRefused::Variable(prefix.clone()));
    }
    Ok(())
}

/// The file that a path leads to, links followed, if that is inside one of the folders. It is this file that must be
/// read, and not the path once more.
pub(super) async fn find_file(settings: &config::Target, path: &str) -> Result<PathBuf, ReferenceRefused> {
    let folders = &settings.password_folders;
    if folders.is_empty() {
        return Err(ReferenceRefused::NoFolder);
    }
    // As it is written first: elsewhere we do not even look, so that nobody learns which files there are.
    if !folders.iter().any(|folder| Path::new(path).starts_with(folder)) {
        return Err(ReferenceRefused::Outside);
    }
    let file = tokio::fs::canonicalize(path).await.map_err(ReferenceRefused::Missing)?;
    for folder in folders {
        if let Ok(folder) = tokio::fs::canonicalize(folder).await
            && file.starts_with(folder)
        {
            return Ok(file);
        }
    }
    Err(ReferenceRefused::Outside)
}
