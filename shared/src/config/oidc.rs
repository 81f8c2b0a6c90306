//! Issuers and their bindings: `[oidc.NAME]` and `[oidc.NAME.bindings.BINDING]`.

use super::chosen::{must_be_there, names, needed};
use super::keys;
use super::reader::Reader;
use super::settings::{ClaimRule, KeySource, Oidc, OidcBinding, OidcIssuer};
use super::shape::{Key, Plain};
use super::urls::check_issuer_url;
use crate::credentials::check_account_name;
use crate::domain::{ClaimPattern, OWNER_CLAIMS, SignatureAlgorithm};

/// Faults are in the reader's list; what has one may be missing here.
pub(super) fn issuers(reader: &mut Reader) -> Oidc {
    let mut issuers: Vec<OidcIssuer> = Vec::new();
    for name in names(reader, "oidc") {
        if let Some(issuer) = issuer(reader, &name) {
            if let Some(other) = issuers.iter().find(|other| other.issuer == issuer.issuer) {
                let text = format!("is that of oidc.{} too: put their bindings together", other.name);
                reader.fault(&keys::OIDC_ISSUER.within(&name).path, text);
            }
            issuers.push(issuer);
        }
    }
    Oidc { issuers }
}

fn issuer(reader: &mut Reader, name: &str) -> Option<OidcIssuer> {
    let issuer = url(reader, &keys::OIDC_ISSUER.within(name));
    must_be_there(reader, &keys::OIDC_ISSUER.within(name));
    let audience = needed(reader, &keys::OIDC_AUDIENCE.within(name));
    let algorithms = algorithms(reader, name);
    let keys = key_source(reader, name);
    let leeway = reader.period(&keys::OIDC_LEEWAY.within(name));
    let max_age = reader.period(&keys::OIDC_MAX_AGE.within(name));
    let section = format!("oidc.{name}.bindings");
    let bindings: Vec<_> = names(reader, &section);
    if reader.names_under(&section).is_empty() {
        reader.fault(
            &section,
            "is missing: without a binding nobody could come; add [oidc.NAME.bindings.BINDING]",
        );
    }
    let bindings = bindings.iter().filter_map(|binding| self::binding(reader, name, binding)).collect();
    Some(OidcIssuer {
        name: name.to_owned(),
        issuer: issuer?,
        audience: audience?,
        algorithms,
        keys,
        leeway,
        max_age,
        bindings,
    })
}

fn algorithms(reader: &mut Reader, name: &str) -> Vec<SignatureAlgorithm> {
    let key = keys::OIDC_ALGORITHMS.within(name);
    let words = reader.names(&key);
    if words.is_empty() {
        reader.fault(&key.path, "must name at least one algorithm");
    }
    let known: Vec<_> = SignatureAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
    let text = format!("is not one of {}", known.join(", "));
    reader.parsed(&key.path, words, |word| SignatureAlgorithm::parse(word).ok_or(&text))
}

fn key_source(reader: &mut Reader, name: &str) -> KeySource {
    let (url_key, file_key) = (keys::OIDC_JWKS_URL.within(name), keys::OIDC_JWKS_FILE.within(name));
    let (from_url, file) = (url(reader, &url_key), reader.plain(&file_key));
    if reader.has_section(&url_key.path) && reader.has_section(&file_key.path) {
        let text = format!("is stated, and so is {}: remove one of them", file_key.path);
        reader.fault(&url_key.path, text);
    }
    match (from_url, file) {
        (Some(url), _) => KeySource::Url(url),
        (None, Some(file)) => {
            if let Err(error) = std::fs::File::open(&file) {
                reader.fault(&file_key.path, format_args!("{file} cannot be opened: {error}"));
            }
            KeySource::File(file.into())
        }
        (None, None) => KeySource::Discovery,
    }
}

fn binding(reader: &mut Reader, issuer: &str, name: &str) -> Option<OidcBinding> {
    let account_key = keys::OIDC_ACCOUNT.within(issuer).within(name);
    let account = needed(reader, &account_key);
    if let Some(Err(fault)) = account.as_deref().map(check_account_name) {
        reader.fault(&account_key.path, fault);
    }
    let subject_key = keys::OIDC_SUBJECT.within(issuer).within(name);
    let subject_claim = reader.text(&subject_key);
    if subject_claim.is_empty() {
        reader.fault(&subject_key.path, "is empty");
    }
    let claims_key = keys::OIDC_CLAIMS.within(issuer).within(name);
    let section = claims_key.path.trim_end_matches(".**").to_owned();
    let stated = reader.claims(&claims_key);
    // What is stated wrongly has a fault of its own.
    let names = reader.names_under(&section);
    if !names.iter().any(|claim| OWNER_CLAIMS.contains(&claim.as_str())) {
        let owners = OWNER_CLAIMS.join(", ");
        let text =
            format!("must pin whose code it is, by one of {owners}: else every user of the issuer is let in");
        reader.fault(&section, text);
    }
    let claims = stated.into_iter().map(|(claim, values)| {
        let path = format!("{section}.{claim}");
        let any_of = reader.parsed(&path, values, |text| ClaimPattern::parse(&claim, text));
        ClaimRule { claim, any_of }
    });
    let claims = claims.collect();
    Some(OidcBinding { name: name.to_owned(), account: account?, subject_claim, claims })
}

fn url(reader: &mut Reader, key: &Key<Plain>) -> Option<String> {
    let text = reader.plain(key)?;
    match check_issuer_url(&text) {
        Ok(()) => Some(text),
        Err(fault) => {
            reader.fault(&key.path, fault);
            None
        }
    }
}
