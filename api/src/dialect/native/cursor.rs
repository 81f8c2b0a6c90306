//! Opaque cursors: where the next page of a list begins.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rolecall_shared::domain::{Code, Failure};
use serde::Serialize;
use utoipa::ToSchema;

/// Items per page unless the caller says otherwise.
pub(super) const DEFAULT_LIMIT: usize = 50;
/// The most items per page.
pub(super) const MAX_LIMIT: usize = 200;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// In the order of the list.
    items: Vec<T>,
    /// Send as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page whose end was found elsewhere: `next` is the key behind which the next one begins.
    pub(super) fn new(list: &str, items: Vec<T>, next: Option<&[String]>) -> Self {
        Self { items, next_cursor: next.map(|key| write(list, key)) }
    }

    /// A page of what was found with a limit of one more than fits: the surplus only says that there is more. `key`
    /// gives an item's place in its list.
    pub(super) fn of<F>(
        list: &str,
        mut found: Vec<F>,
        limit: usize,
        key: impl Fn(&F) -> Vec<String>,
        phrase: impl Fn(F) -> T,
    ) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|last| write(list, &key(last)));
        Self { items: found.into_iter().map(phrase).collect(), next_cursor }
    }
}

/// A cursor names its list, so that one of another list is not misread.
fn write(list: &str, key: &[String]) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!([list, key]).to_string())
}

/// The key in a cursor of that list with so many parts.
pub(super) fn read<const N: usize>(list: &str, cursor: &str) -> Result<[String; N], Failure> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| malformed())?;
    let (of, key): (String, Vec<String>) = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    if of != list {
        return Err(malformed());
    }
    key.try_into().map_err(|_| malformed())
}

/// The same where a key is one id.
pub(super) fn read_id<T: FromStr>(list: &str, cursor: &str) -> Result<T, Failure> {
    let [id] = read(list, cursor)?;
    id.parse().map_err(|_| malformed())
}

/// The failure for everything that is no cursor of its list.
fn malformed() -> Failure {
    Failure::new(Code::MalformedRequest, "`cursor` is not one that this list has given.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(found: Vec<i64>) -> Page<i64> {
        Page::of("numbers", found, 2, |n| vec![n.to_string()], |n| n)
    }

    #[test]
    fn a_cursor_leads_to_what_follows_and_the_last_page_has_none() {
        let first = page(vec![1, 2, 3]);
        assert_eq!(first.items, [1, 2]);
        assert_eq!(read::<1>("numbers", &first.next_cursor.unwrap()).unwrap(), ["2"]);
        assert!(page(vec![1, 2]).next_cursor.is_none());
        assert!(page(Vec::new()).next_cursor.is_none());
    }

    #[test]
    fn other_cursors_are_refused() {
        let cursor = write("numbers", &["2".to_owned()]);
        for (list, cursor) in
            [("letters", cursor.as_str()), ("numbers", ""), ("numbers", "x y"), ("numbers", "e30")]
        {
            assert_eq!(read::<1>(list, cursor).unwrap_err().code(), Code::MalformedRequest, "{cursor}");
        }
        assert!(read::<2>("numbers", &cursor).is_err());
    }
}
