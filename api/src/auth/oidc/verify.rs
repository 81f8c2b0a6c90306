//! From a token to an account and a subject.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rolecall_shared::config::{Oidc, OidcIssuer};
use rolecall_shared::domain::{Clock, SignatureAlgorithm};

use super::bindings::{BindingReport, examine};
use super::claims::{self, Standing};
use super::keys::Keys;
use super::refusal::{Reason, Refusal};
use super::token::Token;

/// Who a token proves its bearer to be, until it is [used up](Identity::jti).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The operator's name for the issuer.
    pub issuer: String,
    /// The binding that was taken.
    pub binding: String,
    /// The account whose rights count. Whether it exists is not known here.
    pub account: String,
    /// The value of the binding's subject claim.
    pub subject: String,
    /// Who owns what this caller makes: `account#issuer:subject`. No account and no other subject has the same, since
    /// an account's name has no colon and an issuer's no `#`.
    pub owner: String,
    /// The token's own id. A token is taken once: whoever takes it must remember this, together with the issuer, until
    /// [`remember_until`](Self::remember_until).
    pub jti: String,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The same and the leeway of the issuer's section: from then on it is refused as expired.
    pub remember_until: Timestamp,
    /// The claims that the binding asked for and what they were, for the audit.
    pub bound: BTreeMap<String, Vec<String>>,
}

/// What becomes of a token, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The operator's name for the issuer; none if it is unknown.
    pub issuer: Option<String>,
    /// What is wrong with the token itself: then what follows is about claims that nobody vouches for.
    pub invalid: Option<Refusal>,
    /// Every binding of the issuer, in the order in which they are tried.
    pub bindings: Vec<BindingReport>,
    /// What a caller with this token gets.
    pub outcome: Result<Identity, Refusal>,
}

/// Takes ID tokens of the issuers of the configuration. One lives as long as the process: it keeps their keys.
pub struct Verifier {
    issuers: Vec<Arc<Keys>>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Asks nobody for keys before there is a token.
    pub fn new(settings: &Oidc, clock: Arc<dyn Clock>) -> Self {
        let issuers = settings.issuers.iter().map(|issuer| Keys::new(issuer.clone(), Arc::clone(&clock)));
        Self { issuers: issuers.collect(), clock }
    }

    /// Whose token this is: of the bindings that match, the first by name. May ask the issuer for its keys, which
    /// takes 10 s at most.
    pub async fn identify(&self, token: &str) -> Result<Identity, Refusal> {
        let token = Token::parse(token)?;
        let keys = self.issuer_of(&token)?;
        let issuer = keys.issuer();
        let standing = self.check(keys, &token).await?;
        settle(issuer, &token, standing, &examine(issuer, &token.claims))
    }

    /// The same in every detail, for the operator who wonders; bindings are looked at even if the token is not valid.
    pub async fn explain(&self, token: &str) -> Explanation {
        let nothing = |refusal: Refusal| Explanation {
            issuer: None,
            invalid: Some(refusal.clone()),
            bindings: Vec::new(),
            outcome: Err(refusal),
        };
        let token = match Token::parse(token) {
            Ok(token) => token,
            Err(refusal) => return nothing(refusal),
        };
        let keys = match self.issuer_of(&token) {
            Ok(found) => found,
            Err(refusal) => return nothing(refusal),
        };
        let issuer = keys.issuer();
        let bindings = examine(issuer, &token.claims);
        let checked = self.check(keys, &token).await;
        Explanation {
            issuer: Some(issuer.name.clone()),
            invalid: checked.as_ref().err().cloned(),
            outcome: checked.and_then(|standing| settle(issuer, &token, standing, &bindings)),
            bindings,
        }
    }

    fn issuer_of(&self, token: &Token<'_>) -> Result<&Arc<Keys>, Refusal> {
        let Some(name) = token.claims.get("iss") else {
            return Err(Refusal::new(Reason::ClaimMissing, "it has no iss"));
        };
        let found = self.issuers.iter().find(|keys| name.as_str() == Some(&keys.issuer().issuer));
        found.ok_or_else(|| {
            let name = name.as_str().unwrap_or("something that is no text");
            let detail = format!("no section [oidc.NAME] has the issuer `{}`", name.escape_debug());
            Refusal::new(Reason::UnknownIssuer, detail)
        })
    }

    async fn check(&self, keys: &Arc<Keys>, token: &Token<'_>) -> Result<Standing, Refusal> {
        let issuer = keys.issuer();
        let algorithm = SignatureAlgorithm::parse(&token.algorithm)
            .filter(|algorithm| issuer.algorithms.contains(algorithm))
            .ok_or_else(|| {
                let stated = token.algorithm.escape_debug();
                let detail =
                    format!("it is signed with `{stated}`, which is not in oidc.{}.algorithms", issuer.name);
                Refusal::new(Reason::AlgorithmNotAllowed, detail)
            })?;
        keys.verify(token, algorithm).await?;
        claims::check(&token.claims, issuer, self.clock.now())
    }
}

/// Takes the first binding that matches. One whose subject claim is missing is not passed over: the next one might
/// lead to another account.
fn settle(
    issuer: &OidcIssuer,
    token: &Token<'_>,
    standing: Standing,
    reports: &[BindingReport],
) -> Result<Identity, Refusal> {
    let matching = issuer.bindings.iter().zip(reports).find(|(_, report)| report.matches());
    let Some((binding, report)) = matching else {
        let detail = format!("none of the bindings of oidc.{} matches its claims", issuer.name);
        return Err(Refusal::new(Reason::NoBinding, detail));
    };
    let subject = claims::subject(&token.claims, &binding.subject_claim)?;
    let bound =
        report.claims.iter().map(|claim| (claim.claim.clone(), claim.got.clone().unwrap_or_default()));
    Ok(Identity {
        owner: format!("{}#{}:{subject}", binding.account, issuer.name),
        issuer: issuer.name.clone(),
        binding: binding.name.clone(),
        account: binding.account.clone(),
        subject,
        jti: standing.jti,
        expires_at: standing.expires_at,
        remember_until: standing.remember_until,
        bound: bound.collect(),
    })
}
