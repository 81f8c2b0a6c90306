//! The `sslmode`s through the API. The stack's servers have a certificate for `localhost` and for no address.

use rolecall_tests::Running;
use serde_json::{Value, json};

use crate::{create, dba, own_login, with};

/// A certificate authority that has signed nothing.
const OTHER_CA: &str = "-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUTU9y3maPAmpUMlYXXG+3DbrELnYwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNU29tZSBvdGhlciBDQTAgFw0yNjExMjIxMDQyMTRaGA8yMTI2
MTAyOTEwNDIxNFowGDEWMBQGA1UEAwwNU29tZSBvdGhlciBDQTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABMcXO6U6PQWY8Ohpv/UdfPVNrt5av2BRYpUE8dvPHkgI
FwnXTMTNi8+M7I+5GQ6QjxLutxRTKfDfMaTmoKxn8VmjUzBRMB0GA1UdDgQWBBRh
w5/hibhyeghoRLskt62IrXe2jTAfBgNVHSMEGDAWgBRhw5/hibhyeghoRLskt62I
rXe2jTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIGPkLXDQDjBX
MdBUUG7SK9Ot5cLAZozvwTZkI1HI4IU3AiEAwtoSr8qGZ6jF0Sr45KqY2MCezlM8
Yhm9D56XmD4/lxQ=
-----END CERTIFICATE-----
";

#[tokio::test]
async fn each_mode_accepts_and_refuses_what_libpq_does() {
    let rolecall = Running::start("tls").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let other = rolecall.dir().join("other.crt");
    std::fs::write(&other, OTHER_CA).unwrap();
    let (right, other) = (rolecall.stack.get("STACK_CA_FILE"), other.to_str().unwrap());
    let [user, password] = dba(&rolecall);

    // What the check says of TLS; none where the connection has to be refused.
    for (mode, hostname, ca_file, tls) in [
        ("disable", "localhost", "", Some(false)),
        ("prefer", "localhost", "", Some(true)),
        ("prefer", "127.0.0.1", other, Some(true)),
        ("require", "127.0.0.1", "", Some(true)),
        ("require", "127.0.0.1", right, Some(true)),
        ("require", "localhost", other, None),
        ("verify-ca", "127.0.0.1", right, Some(true)),
        ("verify-ca", "localhost", other, None),
        ("verify-ca", "localhost", "", None),
        ("verify-ca", "localhost", "/no/such/file.crt", None),
        ("verify-full", "localhost", right, Some(true)),
        ("verify-full", "127.0.0.1", right, None),
        ("verify-full", "localhost", other, None),
        ("verify-full", "localhost", "", None),
    ] {
        let case = format!("{mode} to {hostname} with {ca_file:?}");
        let ca_file = if ca_file.is_empty() { Value::Null } else { json!(ca_file) };
        let registration = with(&with(&target.registration(), "hostname", hostname), "sslmode", mode);
        let registration = with(&with(&registration, "ca_file", ca_file), "login", own_login(user, password));
        let put = client.put_target("tls", &target.database, &registration).await;
        assert!(matches!(put.status, 200 | 201), "{case}: {put}");
        let answer = client.target_act("tls", &target.database, "check").await;
        match tls {
            Some(tls) => {
                assert_eq!((answer.status, answer.at("tls")), (200, &json!(tls)), "{case}: {answer}");
            }
            None => assert!(answer.is_problem(502, "target_login_refused"), "{case}: {answer}"),
        }
    }
}

#[tokio::test]
async fn a_role_is_made_over_a_checked_connection_and_logs_in() {
    let rolecall = Running::start("verify-full").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let [user, password] = dba(&rolecall);
    let mut registration = target.registration();
    for (field, value) in [
        ("hostname", json!("localhost")),
        ("sslmode", json!("verify-full")),
        ("ca_file", json!(rolecall.stack.get("STACK_CA_FILE"))),
        ("login", own_login(user, password)),
    ] {
        registration[field] = value;
    }
    client.put_target("tls", &target.database, &registration).await.expect(201);
    let role = rolecall.role("ada");
    let ended = client.run(&with(&create(target, &role), "env", "tls")).await.expect_outcome("created");
    assert_eq!(ended.text("host"), format!("localhost:{}", target.port));
    let secret = client.take_secret(&ended.id()).await.expect(200);
    target.login(&role, secret.text("password"), &target.database).await.unwrap();
}
