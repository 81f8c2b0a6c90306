//! Where passwords of targets may be read from, and that nothing of Rolecall's own is to be found there.
//!
//! Whoever registers a target chooses its host, which may ask for the password in the clear: a secret of ours within
//! reach of a reference is a secret given away. So a configuration that would allow it does not load.

use std::path::{Component, Path, PathBuf};

use super::keys;
use super::reader::Reader;
use super::sources::{ALIASES, PREFIX};

/// `target.password_folders`. The files of this process's own secrets must be elsewhere.
pub(super) fn folders(reader: &mut Reader) -> Vec<PathBuf> {
    let key = &keys::TARGET_PASSWORD_FOLDERS;
    let names = reader.names(key);
    let folders = reader.parsed(&key.path, names, folder);
    let own = reader.own_files();
    for folder in &folders {
        for (secret, file) in &own {
            if is_within(file, folder) {
                let folder = folder.display();
                let text =
                    format!("`{folder}` holds {secret}: passwords of targets need a folder of their own");
                reader.fault(&key.path, text);
            }
        }
    }
    folders
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !is_plain {
        return Err("is not an absolute path without . and ..".to_owned());
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(path.to_owned()),
        Ok(_) => Err("is not a folder".to_owned()),
        Err(error) => Err(format!("cannot be opened: {error}")),
    }
}

/// Links are followed: what counts is where the file is. One that is not there is told by its own key.
fn is_within(file: &Path, folder: &Path) -> bool {
    let (Ok(file), Ok(folder)) = (file.canonicalize(), folder.canonicalize()) else { return false };
    file.starts_with(folder)
}

/// `target.password_variables`. No variable of Rolecall's own may begin with it.
pub(super) fn variables(reader: &mut Reader) -> String {
    let key = &keys::TARGET_PASSWORD_VARIABLES;
    let prefix = reader.text(key);
    let is_plain = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !(1..=64).contains(&prefix.len()) || !is_plain {
        reader.fault(&key.path, "must be 1 to 64 of the characters A-Z a-z 0-9 _");
        return prefix;
    }
    let mut own = std::iter::once(PREFIX).chain(ALIASES.map(|(alias, _)| alias));
    if prefix.starts_with(PREFIX) || own.any(|own| own.starts_with(&prefix)) {
        reader.fault(&key.path, "must not be what variables of Rolecall's own begin with");
    }
    prefix
}
