use rolecall_shared::domain::Code;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::app::fakes;

fn read(value: &Value) -> Result<AskedTarget, Failure> {
    parse(fakes::target("db1").key, value.as_object().unwrap())
}

fn faults(value: &Value) -> Vec<String> {
    let failure = read(value).expect_err("a fault");
    assert_eq!(failure.code(), Code::InvalidRequest);
    failure.field_faults().iter().map(|fault| fault.field.clone()).collect()
}

#[test]
fn what_is_left_out_takes_its_default() {
    let target = read(&json!({ "hostname": "db1" })).unwrap();
    assert_eq!(target.host.to_string(), "db1:5432");
    assert_eq!(target.lock_database.as_str(), "postgres");
    assert!(target.active && target.notes.is_empty() && target.sslmode == SslMode::Prefer);
    assert!(matches!(target.login, AskedLogin::Default));
}

#[test]
fn a_login_has_one_password_or_a_reference() {
    let login = |login: Value| read(&json!({ "hostname": "db1", "login": login })).map(|t| t.login);
    let Ok(AskedLogin::Own { user, password: AskedPassword::Given(password) }) =
        login(json!({ "user": "dba", "password": "hunter2" }))
    else {
        panic!("a given password")
    };
    assert_eq!((user.as_str(), password.expose_secret()), ("dba", "hunter2"));
    let reference = login(json!({ "user": "dba", "password_ref": "env:DB1" }));
    assert!(matches!(reference, Ok(AskedLogin::Own { password: AskedPassword::Reference(_), .. })));
    let kept = login(json!({ "user": "dba" }));
    assert!(matches!(kept, Ok(AskedLogin::Own { password: AskedPassword::Kept, .. })));

    let of = |login: Value| faults(&json!({ "hostname": "db1", "login": login }));
    assert_eq!(of(json!("dba")), ["login"]);
    assert_eq!(of(json!({ "password": "" })), ["login.user", "login.password"]);
    assert_eq!(
        of(json!({ "user": "dba", "password": "x", "password_ref": "env:DB1" })),
        ["login.password_ref"]
    );
    assert_eq!(
        of(json!({ "user": "dba", "password_ref": "hunter2", "pass": 1 })),
        ["login.password_ref", "login.pass"]
    );
}

#[test]
fn all_faults_are_told_at_once_and_repeat_no_password() {
    let body = json!({
        "hostname": "DB1", "port": 0, "login": { "user": 1, "password": 42 }, "sslmode": "always",
        "ca_file": "ca.pem", "lock_database": "", "active": "yes", "notes": "\0", "env": "dev",
    });
    let fields = [
        "port",
        "hostname",
        "login.user",
        "login.password",
        "sslmode",
        "ca_file",
        "lock_database",
        "active",
        "notes",
        "env",
    ];
    assert_eq!(faults(&body), fields);
}

#[test]
fn a_password_is_not_shown() {
    let mut target = fakes::target("db1");
    target.login = Login::Own { user: "dba".into(), password: LoginPassword::Sealed(b"x".to_vec()) };
    let body = serde_json::to_value(TargetBody::from(&target)).unwrap();
    assert_eq!(body["login"], json!({ "default": false, "user": "dba", "password": "sealed" }));
}

#[test]
fn the_documented_fields_are_those_that_are_read() {
    let schema = serde_json::to_value(<NewTargetBody as utoipa::PartialSchema>::schema()).unwrap();
    for field in schema["properties"].as_object().unwrap().keys() {
        let failure = read(&json!({ field: [] })).expect_err("an empty list is no value of any field");
        let unknown = |f: &&rolecall_shared::domain::FieldFault| f.detail.contains("not known");
        assert!(failure.field_faults().iter().find(unknown).is_none(), "{field}");
    }
}
