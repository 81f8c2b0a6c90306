//! What the other side of a channel said.

use crate::outbound::Attempt;

/// The longest piece of an answer that is shown.
const MAX_CHARS: usize = 300;

/// A message for trying out, and what became of it.
#[derive(Debug)]
pub struct Told {
    /// As a delivery would have it.
    pub attempt: Attempt,
    /// The beginning of the answer; empty if it said nothing.
    pub said: String,
}

/// The beginning of an answer on one line.
pub(super) fn first_line(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    cut(&line, MAX_CHARS)
}

/// At most so many characters, with an ellipsis where something was left out.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line_of_bounded_length() {
        assert_eq!(first_line(" ok\r\n\u{1b}[31m  red \0"), "ok [31m red");
        assert_eq!(first_line(&"é".repeat(300)).chars().count(), 300);
        let long = first_line(&"é".repeat(301));
        assert!(long.ends_with("é…") && long.chars().count() == 301);
    }
}
