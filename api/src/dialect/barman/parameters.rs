//! Parameters of a call: of its query, and of the form in its body.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::Method;
use rolecall_shared::domain::{Code, Failure, Pattern};
use zeroize::Zeroizing;

use super::answer::Refusal;
use crate::App;
use crate::app::accounts::parse_patterns;
use crate::dialect::native::body::read_bytes;

/// Each stands once, in the query or in the form. Has no `Debug` text: one of them is a password.
pub(super) struct Parameters(BTreeMap<String, Zeroizing<String>>);

impl FromRequest<Arc<App>> for Parameters {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let mut read = BTreeMap::new();
        add(&mut read, request.uri().query().unwrap_or_default().as_bytes())?;
        if request.method() == Method::POST {
            let bytes = Zeroizing::new(read_bytes(request, app.settings.api.max_body_bytes).await?);
            add(&mut read, &bytes)?;
        }
        Ok(Self(read))
    }
}

fn add(read: &mut BTreeMap<String, Zeroizing<String>>, form: &[u8]) -> Result<(), Refusal> {
    for (name, value) in form_urlencoded::parse(form) {
        let twice = read.insert(name.to_string(), Zeroizing::new(value.into_owned())).is_some();
        if twice {
            let detail = format!("The parameter {name:.32} stands twice.");
            return Err(Failure::new(Code::InvalidRequest, detail).into());
        }
    }
    Ok(())
}

impl Parameters {
    /// A parameter that was given and is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.as_str()).filter(|text| !text.is_empty())
    }

    /// A parameter that must be given.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A list of patterns, as `['a','b']`, `["a","b"]` or `a,b`; `[]` is an empty one.
    pub(super) fn patterns(&self, name: &str) -> Result<Option<Vec<Pattern>>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let inner = text.trim();
        let inner = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(inner).trim();
        let texts: Vec<String> = if inner.is_empty() {
            Vec::new()
        } else {
            inner.split(',').map(|item| unquoted(item.trim()).to_owned()).collect()
        };
        Ok(Some(parse_patterns(name, &texts)?))
    }

    /// A parameter nobody knows is a mistake of the caller's, not a wish to be passed over.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let detail = format!("There is no parameter {name:.32}.");
                Err(Failure::new(Code::InvalidRequest, detail).into())
            }
        }
    }
}

fn unquoted(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Parameters {
        let mut read = BTreeMap::new();
        add(&mut read, form.as_bytes()).unwrap();
        Parameters(read)
    }

    fn list(text: &str) -> Option<Vec<String>> {
        let read = of(&format!("access={text}")).patterns("access").ok()?;
        Some(read?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists_are_read_and_never_evaluated() {
        let two = Some(vec!["read:*/*:*".to_owned(), "submit:dev/app:app".to_owned()]);
        for text in [
            "['read:*/*:*','submit:dev/app:app']",
            "[\"read:*/*:*\", \"submit:dev/app:app\"]",
            "read:*/*:*,submit:dev/app:app",
        ] {
            assert_eq!(list(text), two, "{text}");
        }
        assert_eq!(list("[]"), Some(Vec::new()));
        assert_eq!(list(""), None);
        for text in ["__import__('os').popen('id').read().split()", "['barman']", "[read:*/*:*"] {
            assert!(of(&format!("access={text}")).patterns("access").is_err(), "{text}");
        }
    }

    #[test]
    fn each_stands_once_and_is_known() {
        assert!(add(&mut BTreeMap::new(), b"a=1&a=2").is_err());
        assert!(of("username=a").only(&["username"]).is_ok());
        assert!(of("user=a").only(&["username"]).is_err());
        assert_eq!(of("a=%C3%A9+1").text("a"), Some("é 1"));
        assert!(of("a=").required("a").is_err());
    }
}
