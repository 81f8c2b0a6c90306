//! The `sslmode`s. The stack's servers have a certificate for `localhost` and for no address.

use rolecall_shared::domain::{HostKey, SslMode, Target};
use rolecall_shared::target::{Purpose, TargetError};

use crate::scene::{Scene, host_cause, login_cause, stack};
use crate::wire;

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

fn target(scene: &Scene, hostname: &str, mode: SslMode, ca_file: Option<&str>) -> Target {
    let target = scene.target();
    Target {
        host: HostKey::new(hostname, target.host.port()).unwrap(),
        sslmode: mode,
        ca_file: ca_file.map(ToOwned::to_owned),
        ..target
    }
}

/// Whether the connection is encrypted, as the server sees it.
async fn open(scene: &Scene, target: &Target) -> Result<bool, TargetError> {
    let session = scene.connector.open(target, &target.key.database, Purpose::Read).await?;
    Ok(session.check().await?.tls)
}

#[tokio::test]
async fn each_mode_accepts_and_refuses_what_libpq_does() {
    use SslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    let scene = Scene::new().await;
    let other = scene.folder.path().join("other.crt");
    std::fs::write(&other, OTHER_CA).unwrap();
    let (right, other) = (Some(stack().get("STACK_CA_FILE")), other.to_str());

    for (mode, hostname, ca_file, encrypted) in [
        (Disable, "localhost", None, Some(false)),
        (Prefer, "127.0.0.1", None, Some(true)),
        (Prefer, "127.0.0.1", other, Some(true)),
        (Require, "127.0.0.1", None, Some(true)),
        (Require, "127.0.0.1", right, Some(true)),
        (Require, "localhost", other, None),
        (VerifyCa, "127.0.0.1", right, Some(true)),
        (VerifyCa, "localhost", right, Some(true)),
        (VerifyCa, "localhost", other, None),
        (VerifyCa, "localhost", None, None),
        (VerifyFull, "localhost", right, Some(true)),
        (VerifyFull, "127.0.0.1", right, None),
        (VerifyFull, "localhost", other, None),
        (VerifyFull, "localhost", None, None),
    ] {
        let case = format!("{mode:?} on {hostname} with {ca_file:?}");
        match (open(&scene, &target(&scene, hostname, mode, ca_file)).await, encrypted) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{case}"),
            (Err(error), None) => assert!(!login_cause(&error).is_empty(), "{case}"),
            (result, _) => panic!("{case}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn a_ca_file_is_read_again_when_it_changes() {
    let scene = Scene::new().await;
    let path = scene.folder.path().join("ca.crt");
    let target = target(&scene, "localhost", SslMode::VerifyFull, path.to_str());
    assert!(login_cause(&open(&scene, &target).await.unwrap_err()).contains("cannot be read"));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(login_cause(&open(&scene, &target).await.unwrap_err()).contains("no certificate"));

    std::fs::write(&path, OTHER_CA).unwrap();
    login_cause(&open(&scene, &target).await.unwrap_err());
    std::fs::copy(stack().get("STACK_CA_FILE"), &path).unwrap();
    // Some file systems tell changes apart by whole ticks of a clock.
    let later = std::fs::metadata(&path).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    assert!(open(&scene, &target).await.unwrap());
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_tls_is_only_preferred() {
    let scene = Scene::new().await;
    let mut target = target(&scene, "127.0.0.1", SslMode::Require, None);
    let without = wire::answering(b"N", false).await;
    target.host = HostKey::new("127.0.0.1", without.port()).unwrap();
    assert!(login_cause(&open(&scene, &target).await.unwrap_err()).contains("does not support TLS"));

    // Says it has TLS and breaks off the handshake.
    let breaking = wire::answering(b"S", false).await;
    target.host = HostKey::new("127.0.0.1", breaking.port()).unwrap();
    host_cause(&open(&scene, &target).await.unwrap_err());

    let breaking_once = wire::answering(b"S", true).await;
    target.sslmode = SslMode::Prefer;
    target.host = HostKey::new("127.0.0.1", breaking_once.port()).unwrap();
    assert!(!open(&scene, &target).await.unwrap(), "goes on without TLS");
}
