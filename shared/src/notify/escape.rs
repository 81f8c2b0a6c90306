//! How a value is written where it must be read as nothing but text.

use std::borrow::Cow;

/// Who reads the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    /// Slack's mrkdwn: `<`, `>` and `&` make links, mentions (`<!channel>`) and entities
    /// (<https://docs.slack.dev/messaging/formatting-message-text>).
    Slack,
    /// Markdown that may hold HTML: Webex, where `<@all>` calls everybody, and Teams.
    Markdown,
    /// Nothing is special.
    Plain,
}

impl Tongue {
    /// The value, which is read as it is.
    pub(super) fn escape(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Slack => replaced(value, html),
            Self::Markdown => replaced(value, |c| html(c).map(ToOwned::to_owned).or_else(|| markdown(c))),
            Self::Plain => value.into(),
        }
    }
}

fn html(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Any ASCII punctuation may be escaped by a backslash (`CommonMark` 0.31, section 2.4). A full stop, a dash, a slash and
/// their like mean nothing within a line, and names and addresses are full of them.
fn markdown(c: char) -> Option<String> {
    matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '{' | '}' | '~' | '|' | '#' | '!' | '$')
        .then(|| format!("\\{c}"))
}

fn replaced<T: AsRef<str>>(value: &str, by: impl Fn(char) -> Option<T>) -> Cow<'_, str> {
    if !value.chars().any(|c| by(c).is_some()) {
        return value.into();
    }
    let mut text = String::with_capacity(value.len() + 16);
    for c in value.chars() {
        match by(c) {
            Some(escaped) => text.push_str(escaped.as_ref()),
            None => text.push(c),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_reads_no_link_no_mention_and_no_entity() {
        let escaped = Tongue::Slack.escape("<!channel> <https://x|y> &lt; *a* _b_");
        assert_eq!(escaped, "&lt;!channel&gt; &lt;https://x|y&gt; &amp;lt; *a* _b_");
    }

    #[test]
    fn markdown_reads_no_link_no_mention_no_html() {
        let escaped = Tongue::Markdown.escape("[a](https://x) <@all> *b* web_01 `c` &amp; \\ $x$");
        assert_eq!(
            escaped,
            "\\[a\\](https://x) &lt;@all&gt; \\*b\\* web\\_01 \\`c\\` &amp;amp; \\\\ \\$x\\$"
        );
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        for tongue in [Tongue::Slack, Tongue::Markdown, Tongue::Plain] {
            assert!(matches!(tongue.escape("db-1.example.com:5432/app@x"), Cow::Borrowed(_)), "{tongue:?}");
        }
        assert_eq!(Tongue::Plain.escape("<*>"), "<*>");
    }
}
