//! What is asked: the parameters of a call, and what they mean.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::Method;
use rolecall_shared::domain::{
    Code, DatabaseName, Env, Failure, FieldFault, NameRules, Operation, SchemaName, TargetKey,
};

use super::answer::Refusal;
use crate::App;
use crate::dialect::native::body::read_bytes;

/// Of the query, and after them those of a form in the body of a POST. Of several of one name the first counts, and those
/// nobody asks for are passed over, as in the original.
pub(super) struct Parameters(Vec<(String, String)>);

impl FromRequest<Arc<App>> for Parameters {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let mut read = of_form(request.uri().query().unwrap_or_default().as_bytes());
        if request.method() == Method::POST {
            let bytes = read_bytes(request, app.settings.api.max_body_bytes).await?;
            read.extend(of_form(&bytes));
        }
        Ok(Self(read))
    }
}

fn of_form(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form).into_owned().collect()
}

impl Parameters {
    /// A parameter as it was sent; an empty one is there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// All of these, or what is missing.
    pub(super) fn require<const N: usize>(&self, names: [&str; N]) -> Result<[&str; N], Failure> {
        let mut found = [""; N];
        let mut missing = Vec::new();
        for (place, name) in found.iter_mut().zip(names) {
            match self.text(name) {
                Some(text) => *place = text,
                None => missing.push(FieldFault { field: name.to_owned(), detail: "is required".to_owned() }),
            }
        }
        if missing.is_empty() { Ok(found) } else { Err(Failure::fields(missing)) }
    }

    /// The target. What is no name is the name of no target.
    pub(super) fn target(&self) -> Result<Asked<'_>, Refusal> {
        let [env, database] = self.require(["env", "database"])?;
        let parsed = (Env::parse(env), DatabaseName::parse(database));
        let (Ok(parsed_env), Ok(parsed_database)) = parsed else {
            return Err(Refusal::not_registered(env, database));
        };
        Ok(Asked { env, database, key: TargetKey { env: parsed_env, database: parsed_database } })
    }
}

/// A target, and its two names as they were sent.
pub(super) struct Asked<'a> {
    env: &'a str,
    database: &'a str,
    pub(super) key: TargetKey,
}

impl Asked<'_> {
    /// A failure; one about the target as the original phrases it.
    pub(super) fn refusal(&self, failure: Failure) -> Refusal {
        if [Code::TargetNotFound, Code::TargetInactive].contains(&failure.code()) {
            return Refusal::not_registered(self.env, self.database);
        }
        failure.into()
    }
}

/// A port that stands in the name of a role: as PostgreSQL and people write it, so that no two spellings are one number.
pub(super) fn port(text: &str) -> Result<u16, Failure> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0 && port.to_string() == text);
    port.ok_or_else(|| Failure::field("port", "must be a number from 1 to 65535, without zeros before it"))
}

/// The schemas of a `search_path`, separated by commas, each with quotes around it or not. `DEFAULT` is a word of SQL and
/// no schema; to set nothing is not offered.
pub(super) fn schemas(text: &str, rules: &NameRules) -> Result<Vec<SchemaName>, Failure> {
    let fault = |detail: String| Failure::field("schema", detail);
    let names: Vec<_> = text.split(',').map(str::trim).collect();
    if names.len() > Operation::MAX_SCHEMAS {
        return Err(fault(format!("must be at most {} names", Operation::MAX_SCHEMAS)));
    }
    let parse = |name: &str| {
        if name.eq_ignore_ascii_case("default") {
            return Err(fault("must name schemas; DEFAULT is not offered".to_owned()));
        }
        SchemaName::parse(unquoted(name), rules).map_err(|error| fault(error.to_string()))
    };
    names.into_iter().map(parse).collect()
}

fn unquoted(name: &str) -> &str {
    let within = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Parameters {
        Parameters(of_form(query.as_bytes()))
    }

    #[test]
    fn the_first_counts_and_others_are_passed_over() {
        let read = of("env=dev&env=qa&x=1&database=a+b%C3%A9");
        assert_eq!(read.require(["env", "database"]).unwrap(), ["dev", "a bé"]);
        let failure = of("env=").require(["env", "database", "username"]).unwrap_err();
        let fields: Vec<_> = failure.field_faults().iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["database", "username"]);
    }

    #[test]
    fn a_port_has_one_spelling() {
        assert_eq!(port("8080").unwrap(), 8080);
        assert_eq!(port("65535").unwrap(), 65535);
        for text in ["", "0", "08080", "+8080", " 8080", "65536", "80a", "None"] {
            assert!(port(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_search_path_is_a_list_of_names_and_nothing_else() {
        let read = |text: &str| {
            let names = schemas(text, &NameRules::default()).ok()?;
            Some(names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>().join("|"))
        };
        for (text, names) in [
            ("public", "public"),
            ("a,b", "a|b"),
            ("\"$user\", public", "$user|public"),
            ("'app' ,\"my-schema\"", "app|my-schema"),
        ] {
            assert_eq!(read(text).as_deref(), Some(names), "{text}");
        }
        for text in [
            "",
            "a,",
            "DEFAULT",
            "default",
            "MySchema",
            "'a,b'",
            "\"a",
            "public; ALTER ROLE jsmith CREATEROLE CREATEDB",
            "public\"; DROP ROLE x; --",
            &vec!["a"; 33].join(","),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
