//! JSON:API documents of accounts: resources as they are shown, and requests as they are read.

use axum::http::HeaderMap;
use axum::http::header::HOST;
use jiff::Timestamp;
use rolecall_shared::control::{Account, AccountEnd};
use rolecall_shared::domain::{AccountKind, AccountType};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::app::accounts::{AskedAccount, AskedChange, parse_patterns};
use crate::app::paste::percent_encoded;

/// Where the resources are, as the caller sees it: `http://host`.
pub(super) struct Base(String);

impl Base {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b);
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| host.bytes().all(plain)).unwrap_or("localhost");
        Self(format!("http://{host}"))
    }

    fn of_account(&self, account: &Account) -> String {
        let name = percent_encoded(&account.name);
        format!("{}/v1/users/{}/{name}", self.0, account.kind_of_login)
    }
}

/// One account.
pub(super) fn one(base: &Base, account: &Account) -> Value {
    json!({ "links": { "self": base.of_account(account) }, "data": resource(base, account) })
}

/// Several, with the path at which they are.
pub(super) fn many(base: &Base, path: &str, accounts: &[Account]) -> Value {
    let data: Vec<_> = accounts.iter().map(|account| resource(base, account)).collect();
    json!({ "links": { "self": format!("{}{path}", base.0) }, "data": data })
}

fn resource(base: &Base, account: &Account) -> Value {
    let mut attributes = json!({
        "account": account.kind.as_str(),
        "name": account.name,
        "created": account.created_at,
        "last_update": account.updated_at,
        "last_login": account.last_login_at,
        "disabled": account.disabled_at.is_some(),
        "expires_at": account.expires_at,
    });
    if account.kind == AccountKind::Basic {
        attributes["access"] = json!(account.grants.access);
        attributes["deny"] = json!(account.grants.deny);
    }
    json!({
        "id": account.name,
        "type": account.kind_of_login.as_str(),
        "attributes": attributes,
        "relationships": { "self": base.of_account(account) },
    })
}

/// The account of a request to make one.
pub(super) fn new_account(kind_of_login: AccountType, body: &Value) -> Result<AskedAccount, Refusal> {
    let mut reader = Reader { body, faults: Vec::new() };
    let name = reader.required("/data/id");
    let kind = reader.required("/data/attributes/account");
    let said = reader.required("/data/type");
    if said.as_deref().is_some_and(|said| said != kind_of_login.as_str()) {
        reader.fault(format!("The '/data/type' field must be '{kind_of_login}' here"));
    }
    let password = match kind_of_login {
        AccountType::Inet => reader.required("/data/attributes/password"),
        AccountType::Unix => {
            if body.pointer("/data/attributes/password").is_some() {
                reader.fault("A unix account has no '/data/attributes/password'".to_owned());
            }
            None
        }
    };
    let kind = kind.and_then(|word| reader.kind(&word));
    let attributes = reader.attributes();
    if attributes.disabled.is_some() || attributes.end_sessions {
        reader.fault("A new account is neither disabled nor has it sessions".to_owned());
    }
    reader.only(&["account", "password", "access", "deny", "expires_at", "disabled", "end_sessions"]);
    match (name, kind) {
        (Some(name), Some(kind)) if reader.faults.is_empty() => Ok(AskedAccount {
            name,
            password: password.map(SecretString::from),
            kind,
            access: attributes.access.unwrap_or_default(),
            deny: attributes.deny.unwrap_or_default(),
            expires_at: match attributes.end {
                Some(AccountEnd::At(end)) => Some(end),
                Some(AccountEnd::Never) | None => None,
            },
        }),
        _ => Err(Refusal::of_request(reader.faults)),
    }
}

/// The change of a request to make one.
pub(super) fn change(kind_of_login: AccountType, name: &str, body: &Value) -> Result<AskedChange, Refusal> {
    let mut reader = Reader { body, faults: Vec::new() };
    for (pointer, expected) in [("/data/id", name), ("/data/type", kind_of_login.as_str())] {
        if reader.optional(pointer).is_some_and(|said| said != expected) {
            reader.fault(format!("The '{pointer}' field cannot be changed"));
        }
    }
    let password = reader.optional("/data/attributes/password");
    let kind = reader.optional("/data/attributes/account").and_then(|word| reader.kind(&word));
    let mut change = reader.attributes();
    reader.only(&["account", "password", "access", "deny", "expires_at", "disabled", "end_sessions"]);
    if reader.faults.is_empty() && body.pointer("/data/attributes").is_none_or(|it| it == &json!({})) {
        reader.fault("No password provided".to_owned());
    }
    if !reader.faults.is_empty() {
        return Err(Refusal::of_request(reader.faults));
    }
    change.password = password.map(SecretString::from);
    change.kind = kind;
    Ok(change)
}

/// Reads a document; every fault names its field by a JSON pointer.
struct Reader<'a> {
    body: &'a Value,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn fault(&mut self, detail: String) {
        self.faults.push(detail);
    }

    fn required(&mut self, pointer: &str) -> Option<String> {
        if self.body.pointer(pointer).is_none() {
            self.fault(format!("Request body does not define the '{pointer}' field"));
            return None;
        }
        self.optional(pointer)
    }

    fn optional(&mut self, pointer: &str) -> Option<String> {
        let text = self.body.pointer(pointer)?.as_str().map(str::to_owned);
        match text {
            None => self.fault(format!("The '{pointer}' field is not a string")),
            Some(ref text) if text.is_empty() => self.fault(format!("The '{pointer}' field is empty")),
            Some(_) => {}
        }
        text.filter(|text| !text.is_empty())
    }

    fn kind(&mut self, word: &str) -> Option<AccountKind> {
        let kind = word.parse().ok();
        if kind.is_none() {
            self.fault("The '/data/attributes/account' field is not a valid account value".to_owned());
        }
        kind
    }

    /// What the model does not know.
    fn attributes(&mut self) -> AskedChange {
        let access = self.patterns("access");
        let deny = self.patterns("deny");
        let disabled = self.flag("disabled");
        let end_sessions = self.flag("end_sessions").unwrap_or(false);
        let end = match self.body.pointer("/data/attributes/expires_at") {
            None => None,
            Some(Value::Null) => Some(AccountEnd::Never),
            Some(value) => {
                let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
                if time.is_none() {
                    self.fault(
                        "The '/data/attributes/expires_at' field is not a time as in RFC 3339".to_owned(),
                    );
                }
                time.map(AccountEnd::At)
            }
        };
        AskedChange { access, deny, disabled, end, end_sessions, ..AskedChange::default() }
    }

    fn patterns(&mut self, name: &str) -> Option<Vec<rolecall_shared::domain::Pattern>> {
        let pointer = format!("/data/attributes/{name}");
        let value = self.body.pointer(&pointer)?;
        let texts: Option<Vec<String>> = value
            .as_array()
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        let Some(texts) = texts else {
            self.fault(format!("The '{pointer}' field is not a list of strings"));
            return None;
        };
        match parse_patterns(&pointer, &texts) {
            Ok(patterns) => Some(patterns),
            Err(failure) => {
                let faults = failure.field_faults().iter();
                self.faults.extend(faults.map(|fault| format!("{}: {}", fault.field, fault.detail)));
                None
            }
        }
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        let pointer = format!("/data/attributes/{name}");
        let flag = self.body.pointer(&pointer)?.as_bool();
        if flag.is_none() {
            self.fault(format!("The '{pointer}' field is not true or false"));
        }
        flag
    }

    /// A misspelt attribute must not look like a change that was made.
    fn only(&mut self, known: &[&str]) {
        let none = Map::new();
        let attributes = self.body.pointer("/data/attributes").and_then(Value::as_object).unwrap_or(&none);
        let unknown: Vec<_> = attributes.keys().filter(|name| !known.contains(&name.as_str())).collect();
        let faults = unknown.iter().map(|name| format!("The '/data/attributes/{name}' field is not known"));
        self.faults.extend(faults.collect::<Vec<_>>());
    }
}
