//! Targets as they stand in files and on the command line: the fields of `PUT …/targets/{env}/{database}`, with
//! `env` and `database` among them.
//!
//! What is not stated stays as it is, so that a list which knows hosts and ports alone does not undo what was set since.

use std::collections::BTreeMap;

use rolecall_shared::domain::{
    DatabaseName, Env, Failure, FieldFault, Login, LoginPassword, Target, TargetKey,
};
use serde_json::{Map, Value, json};

use super::params::target_key;
use super::target_body::{self, TargetBody};
use crate::app::targets::AskedTarget;

/// Every field of a target. A sealed password is not among them, and reading this back keeps it.
pub fn stated(target: &Target) -> Map<String, Value> {
    let login = match &target.login {
        Login::Default => Value::Null,
        Login::Own { user, password } => match password {
            LoginPassword::Sealed(_) => json!({ "user": user }),
            LoginPassword::Env(name) => json!({ "user": user, "password_ref": format!("env:{name}") }),
            LoginPassword::File(path) => json!({ "user": user, "password_ref": format!("file:{path}") }),
        },
    };
    let fields = [
        ("env", json!(target.key.env)),
        ("database", json!(target.key.database)),
        ("hostname", json!(target.host.hostname())),
        ("port", json!(target.host.port())),
        ("login", login),
        ("sslmode", json!(target.sslmode)),
        ("ca_file", json!(target.ca_file)),
        ("lock_database", json!(target.lock_database)),
        ("active", json!(target.active)),
        ("notes", json!(target.notes)),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

/// A target as the API shows it.
pub fn shown(target: &Target) -> Value {
    json!(TargetBody::from(target))
}

/// Takes `env` and `database` out of the fields of a target.
///
/// `Code::InvalidRequest` names them if they are missing or could be no target's.
pub fn take_key(fields: &mut Map<String, Value>) -> Result<TargetKey, Failure> {
    let mut faults = Vec::new();
    let mut text = |field: &str| match fields.remove(field) {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => fault(&mut faults, field, "is required"),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            fault(&mut faults, field, "must be a string")
        }
    };
    let (env, database) = (text("env"), text("database"));
    if !faults.is_empty() {
        return Err(Failure::fields(faults));
    }
    target_key(&env, &database).ok_or_else(|| {
        let rules = [("env", Env::parse(&env).err()), ("database", DatabaseName::parse(&database).err())];
        for (field, broken) in rules {
            if let Some(broken) = broken {
                fault(&mut faults, field, &broken.to_string());
            }
        }
        Failure::fields(faults)
    })
}

fn fault(faults: &mut Vec<FieldFault>, field: &str, detail: &str) -> String {
    faults.push(FieldFault { field: field.to_owned(), detail: detail.to_owned() });
    String::new()
}

/// Reads the fields of a target, or tells all its faults at once. What is not stated is as it is, or its default; but
/// where its host is locked is as the host's other targets say.
pub fn read(
    key: TargetKey,
    existing: &BTreeMap<TargetKey, Target>,
    fields: Map<String, Value>,
) -> Result<AskedTarget, Failure> {
    let before = existing.get(&key);
    let states_lock = fields.contains_key("lock_database");
    let mut whole = before.map(stated).unwrap_or_default();
    whole.remove("env");
    whole.remove("database");
    for (field, value) in fields {
        let value = match (whole.get("login"), value) {
            // As whom stays, too, if only the password is stated.
            (Some(Value::Object(known)), Value::Object(mut login)) if field == "login" => {
                if let (false, Some(user)) = (login.contains_key("user"), known.get("user")) {
                    login.insert("user".to_owned(), user.clone());
                }
                Value::Object(login)
            }
            (_, value) => value,
        };
        whole.insert(field, value);
    }
    let mut asked = target_body::parse(key, &whole)?;
    let is_new_there = before.is_none_or(|before| before.host != asked.host);
    let is_neighbour = |target: &&Target| target.host == asked.host && target.key != asked.key;
    if is_new_there
        && !states_lock
        && let Some(neighbour) = existing.values().find(is_neighbour)
    {
        asked.lock_database = neighbour.lock_database.clone();
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fakes;
    use crate::app::login::{AskedLogin, AskedPassword};

    fn all(target: &Target) -> BTreeMap<TargetKey, Target> {
        BTreeMap::from([(target.key.clone(), target.clone())])
    }

    #[test]
    fn a_host_is_locked_where_its_other_targets_say() {
        let mut neighbour = fakes::target("db1");
        neighbour.lock_database = DatabaseName::parse("locks").unwrap();
        let key = TargetKey { env: Env::parse("qa").unwrap(), ..neighbour.key.clone() };
        let locked = |value: Value| {
            read(key.clone(), &all(&neighbour), fields(&value)).unwrap().lock_database.to_string()
        };
        assert_eq!(locked(json!({ "hostname": "db1" })), "locks");
        assert_eq!(locked(json!({ "hostname": "db2" })), "postgres");
        // It is told that this cannot be, and not read otherwise.
        assert_eq!(locked(json!({ "hostname": "db1", "lock_database": "mine" })), "mine");
    }

    fn fields(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_not_stated_stays() {
        let mut before = fakes::target("db1");
        before.notes = "kept".into();
        before.login = Login::Own { user: "dba".into(), password: LoginPassword::Sealed(vec![1]) };
        let asked = read(before.key.clone(), &all(&before), fields(&json!({ "port": 6000 }))).unwrap();
        assert_eq!((asked.host.to_string().as_str(), asked.notes.as_str()), ("db1:6000", "kept"));
        assert!(matches!(asked.login, AskedLogin::Own { password: AskedPassword::Kept, .. }));
        let asked = read(
            before.key.clone(),
            &all(&before),
            fields(&json!({ "login": { "password_ref": "env:DB1" }, "notes": null })),
        );
        let AskedLogin::Own { user, password: AskedPassword::Reference(_) } = asked.unwrap().login else {
            panic!("a reference")
        };
        assert_eq!(user, "dba");
        let asked = read(before.key.clone(), &all(&before), fields(&json!({ "login": null }))).unwrap();
        assert!(matches!(asked.login, AskedLogin::Default));
        assert!(read(before.key.clone(), &BTreeMap::new(), Map::new()).is_err(), "a new one needs a host");
    }

    #[test]
    fn everything_that_is_stated_reads_back_the_same() {
        let mut target = fakes::target("db1");
        target.ca_file = Some("/etc/ca.pem".into());
        target.login = Login::Own { user: "dba".into(), password: LoginPassword::Env("DB1".into()) };
        let mut map = stated(&target);
        let key = take_key(&mut map).unwrap();
        assert_eq!(key, target.key);
        let asked = read(key, &BTreeMap::new(), map).unwrap();
        assert_eq!((asked.host, asked.ca_file), (target.host, target.ca_file));
        assert!(matches!(asked.login, AskedLogin::Own { password: AskedPassword::Reference(_), .. }));
    }

    #[test]
    fn a_key_that_is_none_is_told_by_its_parts() {
        let told = |value: Value| {
            let failure = take_key(&mut fields(&value)).unwrap_err();
            failure.field_faults().iter().map(|fault| fault.field.clone()).collect::<Vec<_>>()
        };
        assert_eq!(told(json!({})), ["env", "database"]);
        assert_eq!(told(json!({ "env": 1, "database": "x" })), ["env"]);
        assert_eq!(told(json!({ "env": "DEV", "database": "" })), ["env", "database"]);
    }
}
