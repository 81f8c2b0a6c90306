//! The claims that GitHub Actions and GitLab document for their ID tokens, and bindings as one would write them.
//!
//! GitHub: docs.github.com, "OpenID Connect reference". GitLab: docs.gitlab.com, "OpenID Connect (OIDC) authentication
//! using ID tokens".

use super::*;

fn github() -> Value {
    json!({
        "jti": "example-id", "sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod",
        "aud": "rolecall", "ref": "refs/heads/main", "sha": "example-sha", "repository": "octo-org/octo-repo",
        "repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private",
        "repository_id": "74", "repository_owner_id": "65", "run_id": "example-run-id", "run_number": "10",
        "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat",
        "workflow": "example-workflow", "head_ref": "", "base_ref": "", "event_name": "workflow_dispatch",
        "ref_type": "branch", "ref_protected": "true",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/heads/main",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        "iss": ISSUER, "nbf": NOW - 600, "exp": NOW + 300, "iat": NOW,
    })
}

fn gitlab() -> Value {
    json!({
        "namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project",
        "user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com",
        "user_access_level": "owner", "user_identities": [{ "provider": "github", "extern_uid": "2435223452345" }],
        "groups_direct": ["my-group", "my-group/admins"], "pipeline_id": "574", "pipeline_source": "push",
        "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "environment": "production", "environment_protected": "false", "deployment_tier": "production",
        "environment_action": "start", "runner_id": 1, "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc", "project_visibility": "public",
        "ci_config_ref_uri": "gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc", "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
        "iss": ISSUER, "iat": NOW, "nbf": NOW - 5, "exp": NOW + 3600, "aud": "rolecall",
        "sub": "project_path:my-group/my-project:ref_type:branch:ref:main",
    })
}

async fn taken(bindings: Vec<OidcBinding>, claims: &Value) -> Result<(String, String), Reason> {
    let mut ground = Ground::new();
    ground.issuer.bindings = bindings;
    let identity = ground.identify(&rsa(0).token(&header(), claims)).await;
    identity.map(|identity| (identity.binding, identity.subject)).map_err(|refusal| refusal.reason)
}

#[tokio::test]
async fn github_by_repository_branch_and_environment() {
    let bindings = || {
        vec![binding(
            "deploy",
            "ci",
            &[
                ("environment", &["prod"]),
                ("ref", &["refs/heads/main", "refs/heads/release/*"]),
                ("repository", &["octo-org/octo-repo"]),
            ],
        )]
    };
    let is_taken = async |changes: Value| taken(bindings(), &with(&github(), &changes)).await;
    let subject = "repo:octo-org/octo-repo:environment:prod".to_owned();
    assert_eq!(is_taken(json!({})).await, Ok(("deploy".to_owned(), subject)));
    assert!(is_taken(json!({ "ref": "refs/heads/release/1" })).await.is_ok());
    for changes in [
        json!({ "ref": "refs/pull/3/merge", "head_ref": "main", "base_ref": "main" }),
        json!({ "ref": "refs/heads/release/1/x" }),
        json!({ "ref": "refs/tags/refs/heads/main" }),
        json!({ "environment": "staging" }),
        // A job without an environment has no such claim.
        json!({ "environment": null }),
        json!({ "repository": "octo-org/octo-repo-fork" }),
        json!({ "repository": "Octo-org/octo-repo" }),
    ] {
        assert_eq!(is_taken(changes.clone()).await, Err(Reason::NoBinding), "{changes}");
    }
    // Ids outlive a rename, and somebody else's taking of the old name.
    let by_id = vec![binding("id", "ci", &[("repository_id", &["74"]), ("repository_owner_id", &["65"])])];
    assert!(taken(by_id, &github()).await.is_ok());
}

#[tokio::test]
async fn gitlab_by_project_and_protected_branch() {
    let bindings = || {
        vec![binding(
            "deploy",
            "ci",
            &[
                ("project_path", &["my-group/my-project"]),
                ("ref_path", &["refs/heads/main", "refs/tags/v*"]),
                ("ref_protected", &["true"]),
            ],
        )]
    };
    let is_taken = async |changes: Value| taken(bindings(), &with(&gitlab(), &changes)).await;
    let subject = "project_path:my-group/my-project:ref_type:branch:ref:main".to_owned();
    assert_eq!(is_taken(json!({})).await, Ok(("deploy".to_owned(), subject)));
    assert!(is_taken(json!({ "ref_path": "refs/tags/v1.2" })).await.is_ok());
    assert!(is_taken(json!({ "ref_protected": true })).await.is_ok());
    for changes in [
        // A tag may be called like a branch: `ref` alone would not tell them apart.
        json!({ "ref_path": "refs/tags/main", "ref_type": "tag" }),
        json!({ "ref_protected": "false" }),
        json!({ "project_path": "my-group/my-project/sub" }),
    ] {
        assert_eq!(is_taken(changes.clone()).await, Err(Reason::NoBinding), "{changes}");
    }
}

#[tokio::test]
async fn lists_match_by_an_element_and_dots_lead_into_objects() {
    let by = async |claim: &str, value: &str, claims: Value| {
        let rules: &[(&str, &[&str])] = &[(claim, &[value]), ("project_id", &["20"])];
        taken(vec![binding("b", "ci", rules)], &claims).await.is_ok()
    };
    assert!(by("groups_direct", "my-group/admins", gitlab()).await);
    assert!(!by("groups_direct", "my-group/admin", gitlab()).await);
    assert!(!by("groups_direct", "my-group", with(&gitlab(), &json!({ "groups_direct": [] }))).await);
    assert!(by("runner_id", "1", gitlab()).await);
    let nested = with(&gitlab(), &json!({ "realm": { "roles": ["a", "b"], "x.y": "c" }, "a.b": "flat" }));
    assert!(by("realm.roles", "b", nested.clone()).await && by("realm.x.y", "c", nested.clone()).await);
    assert!(by("a.b", "flat", nested.clone()).await && !by("realm", "a", nested.clone()).await);
    assert!(!by("realm.roles.0", "a", nested).await);
}

#[tokio::test]
async fn of_several_bindings_the_first_that_matches_is_taken() {
    let all = vec![
        binding("a", "none", &[("project_id", &["21"])]),
        binding("b", "second", &[("namespace_id", &["72"])]),
        binding("c", "third", &[("project_id", &["20"])]),
    ];
    assert_eq!(taken(all.clone(), &gitlab()).await.unwrap().0, "b");
    // One that matches and has no subject does not give way to the next.
    let mut by_user = all;
    by_user[1].subject_claim = "not_there".to_owned();
    assert_eq!(taken(by_user.clone(), &gitlab()).await, Err(Reason::ClaimMissing));
    by_user[1].subject_claim = "project_path".to_owned();
    assert_eq!(taken(by_user, &gitlab()).await.unwrap().1, "my-group/my-project");
}
