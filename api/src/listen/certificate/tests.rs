use super::*;

struct Files {
    dir: tempfile::TempDir,
    tls: ApiTls,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [certificate_file, key_file] = ["c.pem", "k.pem"].map(|name| dir.path().join(name));
        let tls = ApiTls { listen: "127.0.0.1:0".parse().unwrap(), certificate_file, key_file };
        Self { dir, tls }
    }

    fn write(&self, certificate: &str, key: &str) {
        std::fs::write(&self.tls.certificate_file, certificate).unwrap();
        std::fs::write(&self.tls.key_file, key).unwrap();
    }

    /// The faults, with nothing of the folder's own name.
    fn faults(&self) -> Vec<String> {
        let folder = format!("{}/", self.dir.path().display());
        let faults = Certificate::load(&self.tls).expect_err("a fault").0;
        faults.into_iter().map(|fault| fault.replace(&folder, "")).collect()
    }
}

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn shown(certificate: &Certificate) -> Vec<u8> {
    certificate.current.read().unwrap().cert[0].to_vec()
}

#[test]
fn every_fault_of_the_files_is_told_by_its_key() {
    let files = Files::new();
    let faults = files.faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("api.tls_certificate_file: c.pem cannot be read: "), "{faults:?}");
    assert!(faults[1].starts_with("api.tls_key_file: k.pem cannot be read: "), "{faults:?}");

    let ((certificate, key), (_, other)) = (pair(), pair());
    let none = "api.tls_certificate_file: c.pem holds no certificate in PEM";
    let no_key = "api.tls_key_file: k.pem holds no private key in PEM, or one with a passphrase";
    let nonsense = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    for (certificate, key, expected) in [
        ("", "", &[none, no_key][..]),
        (&certificate, &certificate, &[no_key]),
        (&key, &key, &[none]),
        (&certificate, &other, &["api.tls_key_file: k.pem is not the key of the certificate in c.pem"]),
        (&certificate, &nonsense("PRIVATE KEY"), &["api.tls_key_file: k.pem holds no key that TLS can use"]),
    ] {
        files.write(certificate, key);
        assert_eq!(files.faults(), expected);
    }
    files.write(&nonsense("CERTIFICATE"), &key);
    let faults = files.faults();
    assert!(
        faults[0].starts_with("api.tls_certificate_file: c.pem does not begin with a certificate"),
        "{faults:?}"
    );

    files.write(&certificate, &key);
    assert!(Certificate::load(&files.tls).is_ok());
    std::fs::write(&files.tls.key_file, vec![b'a'; 2_000_000]).unwrap();
    let faults = files.faults();
    assert_eq!(faults, ["api.tls_key_file: k.pem cannot be read: longer than 1048576 bytes"]);
}

#[test]
fn a_changed_pair_takes_the_place_of_the_old_one_if_it_is_whole() {
    let files = Files::new();
    let ((certificate, key), (next, next_key)) = (pair(), pair());
    files.write(&certificate, &key);
    let loaded = Certificate::load(&files.tls).unwrap();
    let first = shown(&loaded);
    let mut seen = Ok(loaded.digest);

    loaded.look(&mut seen);
    assert_eq!((shown(&loaded), &seen), (first.clone(), &Ok(loaded.digest)));
    for (certificate, key) in [(&next, &key), (&String::new(), &next_key)] {
        files.write(certificate, key);
        loaded.look(&mut seen);
        assert_eq!(shown(&loaded), first);
        assert_ne!(seen, Ok(loaded.digest));
    }
    std::fs::remove_file(&files.tls.certificate_file).unwrap();
    loaded.look(&mut seen);
    assert!(shown(&loaded) == first && seen.is_err());

    files.write(&next, &next_key);
    loaded.look(&mut seen);
    assert_ne!(shown(&loaded), first);
}
