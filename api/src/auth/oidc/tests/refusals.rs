//! What is taken, and every reason for which a token is not.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

#[tokio::test]
async fn a_good_token_is_an_account_and_a_subject() {
    let ground = Ground::new();
    let identity = ground.changed(json!({}), json!({})).await.unwrap();
    assert_eq!((identity.issuer.as_str(), identity.binding.as_str()), ("ci", "deploy"));
    assert_eq!(identity.account, "ci");
    assert_eq!(identity.owner, "ci#ci:repo:acme/app:ref:refs/heads/main");
    assert_eq!((identity.jti.as_str(), identity.expires_at.as_second()), ("4711", NOW + 300));
    assert_eq!(identity.remember_until.as_second(), NOW + 360);
    assert_eq!(identity.bound["repository"], ["acme/app"]);
}

#[tokio::test]
async fn every_algorithm_verifies_its_own_signatures() {
    let mut ground = Ground::new();
    ground.issuer.algorithms = SignatureAlgorithm::ALL.to_vec();
    for algorithm in SignatureAlgorithm::ALL {
        let key = match algorithm {
            SignatureAlgorithm::Es256 => p256(),
            SignatureAlgorithm::Es384 => p384(),
            SignatureAlgorithm::EdDsa => ed25519(),
            SignatureAlgorithm::Rs256
            | SignatureAlgorithm::Rs384
            | SignatureAlgorithm::Rs512
            | SignatureAlgorithm::Ps256
            | SignatureAlgorithm::Ps384
            | SignatureAlgorithm::Ps512 => rsa(0),
        };
        ground.publish(&[key.jwk("one"), rsa(1).jwk("two")]);
        let header = with(&header(), &json!({ "alg": algorithm.as_str() }));
        let token = key.token(&header, &claims());
        assert!(ground.identify(&token).await.is_ok(), "{algorithm:?}");
        let other = format!(
            "{}.{}",
            unsigned(&header, &with(&claims(), &json!({ "jti": "x" }))),
            token.rsplit('.').next().unwrap()
        );
        assert_eq!(ground.identify(&other).await.unwrap_err().reason, Reason::BadSignature, "{algorithm:?}");
    }
}

#[tokio::test]
async fn claims_are_refused_for_their_reason() {
    let ground = Ground::new();
    for (claims, reason) in [
        (json!({ "iss": null }), Reason::ClaimMissing),
        (json!({ "iss": "https://issuer.example/" }), Reason::UnknownIssuer),
        (json!({ "iss": ["https://issuer.example"] }), Reason::UnknownIssuer),
        (json!({ "aud": "rolecall2" }), Reason::WrongAudience),
        (json!({ "aud": ["a", "b"] }), Reason::WrongAudience),
        (json!({ "aud": { "rolecall": 1 } }), Reason::WrongAudience),
        (json!({ "aud": null }), Reason::ClaimMissing),
        (json!({ "exp": NOW - 60, "iat": NOW - 100 }), Reason::Expired),
        (json!({ "exp": null }), Reason::ClaimMissing),
        (json!({ "exp": "soon" }), Reason::Malformed),
        (json!({ "exp": 1e300 }), Reason::Malformed),
        (json!({ "nbf": NOW + 61 }), Reason::NotYetValid),
        (json!({ "nbf": null }), Reason::ClaimMissing),
        (json!({ "iat": NOW + 61 }), Reason::NotYetValid),
        (json!({ "iat": null }), Reason::ClaimMissing),
        (json!({ "exp": NOW + 3591 }), Reason::LivesTooLong),
        (json!({ "jti": null }), Reason::ClaimMissing),
        (json!({ "jti": "" }), Reason::ClaimMissing),
        (json!({ "jti": 5 }), Reason::ClaimMissing),
        (json!({ "jti": "a\nb" }), Reason::Malformed),
        (json!({ "repository": "acme/app2" }), Reason::NoBinding),
        (json!({ "repository": null }), Reason::NoBinding),
        (json!({ "repository": { "a": "acme/app" } }), Reason::NoBinding),
        (json!({ "sub": null }), Reason::ClaimMissing),
        (json!({ "sub": ["a"] }), Reason::Malformed),
        (json!({ "sub": "x".repeat(513) }), Reason::Malformed),
    ] {
        assert_eq!(ground.changed(json!({}), claims.clone()).await.unwrap_err(), reason, "{claims}");
    }
    for claims in [
        json!({ "aud": ["other", "rolecall"] }),
        json!({ "exp": NOW - 59, "iat": NOW - 100 }),
        json!({ "nbf": NOW + 60, "iat": NOW + 60 }),
        json!({ "exp": NOW + 3590 }),
        json!({ "exp": 1_800_000_300.5, "sub": 12 }),
    ] {
        assert!(ground.changed(json!({}), claims.clone()).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn headers_are_refused_for_their_reason() {
    let mut ground = Ground::new();
    ground.issuer.algorithms = vec![SignatureAlgorithm::Rs256, SignatureAlgorithm::Es256];
    let evil = rsa(1).jwk("one");
    for (header, reason) in [
        (json!({ "alg": null }), Reason::Malformed),
        (json!({ "alg": "none" }), Reason::AlgorithmNotAllowed),
        (json!({ "alg": "None" }), Reason::AlgorithmNotAllowed),
        (json!({ "alg": "HS256" }), Reason::AlgorithmNotAllowed),
        (json!({ "alg": "RS384" }), Reason::AlgorithmNotAllowed),
        (json!({ "alg": "ES256" }), Reason::AlgorithmNotAllowed),
        (json!({ "kid": "two" }), Reason::UnknownKey),
        (json!({ "kid": 1 }), Reason::Malformed),
        (json!({ "crit": ["exp"] }), Reason::Malformed),
        (json!({ "crit": [] }), Reason::Malformed),
        (json!({ "typ": "at+jwt" }), Reason::Malformed),
    ] {
        assert_eq!(ground.changed(header.clone(), json!({})).await.unwrap_err(), reason, "{header}");
    }
    // What a token says about its own key is not looked at.
    let pointing =
        json!({ "jwk": evil, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "x5c": ["AA"] });
    assert!(ground.changed(pointing.clone(), json!({})).await.is_ok());
    let forged = rsa(1).token(&with(&header(), &pointing), &claims());
    assert_eq!(ground.identify(&forged).await.unwrap_err().reason, Reason::BadSignature);
}

/// Without a signature, and with one made of what everybody knows.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    let ground = Ground::new();
    for alg in ["none", "HS256"] {
        let message = unsigned(&with(&header(), &json!({ "alg": alg })), &claims());
        assert_eq!(
            ground.identify(&format!("{message}.")).await.unwrap_err().reason,
            Reason::AlgorithmNotAllowed
        );
        let Private::Rsa(pair) = rsa(0) else { unreachable!() };
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        for secret in [pair.public_key().as_ref().to_vec(), modulus, ground.path().to_str().unwrap().into()] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
            mac.update(message.as_bytes());
            let token = format!("{message}.{}", b64(mac.finalize().into_bytes()));
            assert_eq!(ground.identify(&token).await.unwrap_err().reason, Reason::AlgorithmNotAllowed);
            // Nor does the same signature pass as one of RSA.
            let token = format!("{}.{}", unsigned(&header(), &claims()), token.rsplit('.').next().unwrap());
            assert_eq!(ground.identify(&token).await.unwrap_err().reason, Reason::BadSignature);
        }
    }
}

#[tokio::test]
async fn a_secret_in_a_key_set_is_no_key() {
    let mut ground = Ground::new();
    let secret = json!({ "kty": "oct", "kid": "one", "alg": "HS256", "k": b64("secret") });
    ground.publish(&[secret.clone(), rsa(0).jwk("two")]);
    assert_eq!(ground.changed(json!({}), json!({})).await.unwrap_err(), Reason::UnknownKey);
    ground.publish(&[secret]);
    assert_eq!(ground.changed(json!({}), json!({})).await.unwrap_err(), Reason::KeysUnavailable);
    // A key that says what it is for is used for nothing else.
    ground.publish(&[with(&rsa(0).jwk("one"), &json!({ "use": "enc" })), rsa(1).jwk("two")]);
    assert_eq!(ground.changed(json!({}), json!({})).await.unwrap_err(), Reason::UnknownKey);
    ground.publish(&[with(&rsa(0).jwk("one"), &json!({ "alg": "RS512" }))]);
    ground.issuer.algorithms.push(SignatureAlgorithm::Rs512);
    assert_eq!(ground.changed(json!({}), json!({})).await.unwrap_err(), Reason::AlgorithmNotAllowed);
    assert!(ground.changed(json!({ "alg": "RS512" }), json!({})).await.is_ok());
}

#[tokio::test]
async fn a_key_id_may_be_missing_only_where_there_is_no_choice() {
    let ground = Ground::new();
    assert!(ground.changed(json!({ "kid": null }), json!({})).await.is_ok());
    ground.publish(&[rsa(0).jwk("one"), rsa(1).jwk("two")]);
    assert_eq!(ground.changed(json!({ "kid": null }), json!({})).await.unwrap_err(), Reason::UnknownKey);
    assert!(ground.changed(json!({}), json!({})).await.is_ok());
}

#[tokio::test]
async fn what_has_not_the_form_of_a_token_is_malformed() {
    let ground = Ground::new();
    let good = rsa(0).token(&header(), &claims());
    for token in [
        String::new(),
        "a.b".to_owned(),
        format!("{good}.x"),
        format!("{good}="),
        good.replacen('.', ". ", 1),
        format!("{}.{}.x", b64("[]"), b64("{}")),
        format!("{}.{}.x", b64(r#"{"alg":"RS256"}"#), b64("\"text\"")),
        format!("{good}{}", "A".repeat(16 * 1024)),
    ] {
        let reason = ground.identify(&token).await.unwrap_err().reason;
        let is_signature = token.ends_with('=');
        assert_eq!(reason, if is_signature { Reason::BadSignature } else { Reason::Malformed }, "{token}");
    }
}

#[tokio::test]
async fn an_explanation_says_what_is_wrong_and_what_would_be() {
    let mut ground = Ground::new();
    ground.issuer.bindings.push(binding(
        "release",
        "rel",
        &[("ref", &["refs/tags/*"]), ("repository", &["acme/app"])],
    ));
    let forged = rsa(1).token(&header(), &with(&claims(), &json!({ "ref": "refs/tags/a/b" })));
    let explanation = ground.verifier().explain(&forged).await;
    assert_eq!(explanation.invalid.map(|refusal| refusal.reason), Some(Reason::BadSignature));
    assert_eq!(explanation.outcome.unwrap_err().reason, Reason::BadSignature);
    let [deploy, release] = explanation.bindings.as_slice() else { panic!("two bindings") };
    assert!(deploy.matches() && !release.matches());
    assert_eq!((release.claims[0].claim.as_str(), release.claims[0].matches), ("ref", false));
    assert_eq!(release.claims[0].expected, ["refs/tags/*"]);
    assert_eq!(release.claims[0].got.as_deref(), Some(&["refs/tags/a/b".to_owned()][..]));
    let good = ground.verifier().explain(&rsa(0).token(&header(), &claims())).await;
    assert!(good.invalid.is_none() && good.outcome.unwrap().binding == "deploy");
    assert_eq!(good.bindings[1].claims[0].got, None);
    let stranger = with(&claims(), &json!({ "iss": "https://a.example" }));
    let stranger = ground.verifier().explain(&rsa(0).token(&header(), &stranger)).await;
    assert!(stranger.issuer.is_none() && stranger.bindings.is_empty());
}
