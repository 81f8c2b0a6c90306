//! Which bindings a token's claims match: the one function that decides, and that explains.

use rolecall_shared::config::{ClaimRule, OidcBinding, OidcIssuer};
use serde_json::{Map, Value};

use super::claims::{find, text_of};

/// What became of one binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingReport {
    /// Its name.
    pub binding: String,
    /// The account it leads to.
    pub account: String,
    /// Each claim that it asks for, in the order of their names.
    pub claims: Vec<ClaimReport>,
}

impl BindingReport {
    /// Whether every claim matches.
    pub fn matches(&self) -> bool {
        self.claims.iter().all(|claim| claim.matches)
    }
}

/// What became of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimReport {
    /// Its name.
    pub claim: String,
    /// Of these one has to match.
    pub expected: Vec<String>,
    /// What the token says: one value, or the elements of a list. None if it has no such claim, or one of another
    /// kind.
    pub got: Option<Vec<String>>,
    /// Whether one of the values is among the expected.
    pub matches: bool,
}

/// Every binding of the issuer in the order in which they are tried. The first that [matches](BindingReport::matches)
/// is taken, also where a later one leads to another account.
pub(super) fn examine(issuer: &OidcIssuer, claims: &Map<String, Value>) -> Vec<BindingReport> {
    issuer.bindings.iter().map(|binding| examine_one(binding, claims)).collect()
}

fn examine_one(binding: &OidcBinding, claims: &Map<String, Value>) -> BindingReport {
    BindingReport {
        binding: binding.name.clone(),
        account: binding.account.clone(),
        claims: binding.claims.iter().map(|rule| compare(rule, claims)).collect(),
    }
}

fn compare(rule: &ClaimRule, claims: &Map<String, Value>) -> ClaimReport {
    let got = find(claims, &rule.claim).and_then(values_of);
    let is_expected = |value: &String| rule.any_of.iter().any(|pattern| pattern.matches(value));
    ClaimReport {
        claim: rule.claim.clone(),
        expected: rule.any_of.iter().map(ToString::to_string).collect(),
        matches: got.as_ref().is_some_and(|values| values.iter().any(is_expected)),
        got,
    }
}

fn values_of(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(elements) => Some(elements.iter().filter_map(text_of).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            text_of(value).map(|text| vec![text])
        }
    }
}
