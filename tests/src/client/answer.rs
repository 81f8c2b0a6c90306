//! What came back.

use std::fmt;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer of the api, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; a string if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// Panics, showing the whole answer, unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, got {self}");
        self
    }

    /// Panics unless it is a problem (RFC 9457) with this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert!(self.is_problem(status, code), "expected the problem {status} {code}, got {self}");
        self
    }

    /// Whether it is a well-formed problem with this status and code.
    pub fn is_problem(&self, status: u16, code: &str) -> bool {
        self.status == status
            && self.header("content-type") == Some("application/problem+json")
            && self.body["status"] == status
            && self.body["code"] == code
            && ["type", "title", "detail"].iter().all(|member| self.body[member].is_string())
    }

    /// Panics unless it is a job that ended as `succeeded` with this outcome.
    #[track_caller]
    pub fn expect_outcome(self, outcome: &str) -> Self {
        let is_as_expected = self.find("state") == Some("succeeded") && self.find("outcome") == Some(outcome);
        assert!(is_as_expected, "expected a job that succeeded with {outcome}, got {self}");
        self
    }

    /// A value within the body, by its path: `result.outcome`. Null if there is none.
    pub fn at(&self, path: &str) -> &Value {
        path.split('.').fold(&self.body, |value, name| match name.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[name],
        })
    }

    /// A text within the body; none if there is none.
    pub fn find(&self, path: &str) -> Option<&str> {
        self.at(path).as_str()
    }

    /// A text within the body, which must be there.
    #[track_caller]
    pub fn text(&self, path: &str) -> &str {
        self.find(path).unwrap_or_else(|| panic!("no text {path} in {self}"))
    }

    /// A list within the body, which must be there.
    #[track_caller]
    pub fn list(&self, path: &str) -> &[Value] {
        self.at(path).as_array().unwrap_or_else(|| panic!("no list {path} in {self}"))
    }

    /// The id of the ticket it shows.
    #[track_caller]
    pub fn id(&self) -> String {
        self.text("ticket").to_owned()
    }

    /// The names of the fields a problem complains about.
    pub fn faulty_fields(&self) -> Vec<&str> {
        let errors = self.at("errors").as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    /// Whether it shows a ticket after which nothing follows.
    pub fn is_final(&self) -> bool {
        matches!(self.find("state"), Some("succeeded" | "failed" | "cancelled" | "expired" | "withdrawn"))
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.body.as_str() {
            Some(text) => write!(f, "{} {text}", self.status),
            None => write!(f, "{} {:#}", self.status, self.body),
        }
    }
}
