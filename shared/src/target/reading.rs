//! Reading columns: nothing a server answers makes us panic.
//!
//! Names, settings and comments of roles are the whole server's. Each is kept in the bytes of the database it was
//! written from, whose encoding nobody remembers; a session in another database gets bytes that are no UTF-8, or an
//! error for the whole question where the server tries to convert them. So they travel as bytes.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::domain::Mark;

use super::TargetError;

/// SQL for the bytes of a text, as they are kept. Never fails.
macro_rules! raw {
    ($text:literal) => {
        concat!("decode(replace(", $text, ", chr(92), chr(92) || chr(92)), 'escape')")
    };
}

/// SQL for the bytes of a text for people: in UTF-8 wherever the session's database knows its encoding.
macro_rules! shown {
    ($text:literal) => {
        concat!(
            "CASE WHEN getdatabaseencoding() IN ('UTF8', 'SQL_ASCII') THEN ",
            raw!($text),
            " ELSE convert_to(",
            $text,
            ", 'UTF8') END"
        )
    };
}

pub(super) use {raw, shown};

/// A column, or the word that it cannot be read.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, TargetError> {
    row.try_get(index).map_err(TargetError::unreadable)
}

/// A mark among comments. Ours is plain ASCII; one that is no UTF-8 is somebody else's.
pub(super) fn mark(row: &Row, index: usize) -> Result<Option<Mark>, TargetError> {
    let comment: Option<&[u8]> = column(row, index)?;
    Ok(comment.and_then(|comment| std::str::from_utf8(comment).ok()).and_then(|text| text.parse().ok()))
}

/// A text for people; what cannot be read in it is shown as U+FFFD.
pub(super) fn text(row: &Row, index: usize) -> Result<String, TargetError> {
    column(row, index).map(lossy)
}

/// A list of such texts.
pub(super) fn texts(row: &Row, index: usize) -> Result<Vec<String>, TargetError> {
    Ok(column::<Vec<&[u8]>>(row, index)?.into_iter().map(lossy).collect())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
