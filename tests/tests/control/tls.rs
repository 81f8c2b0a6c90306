//! TLS by the `sslmode` of the URL. The stack's server offers it with a certificate no machine trusts.

use rolecall_shared::config;
use rolecall_shared::control::Control;
use rolecall_shared::domain::Code;
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;

#[tokio::test]
async fn prefer_encrypts_disable_does_not_require_checks() {
    let (database, _) = ControlDatabase::migrated(Stack::shared()).await;
    let superuser = database.superuser().await;
    let with = |mode: &str| {
        let url = format!("{}?sslmode={mode}&application_name={mode}", database.writer_url);
        Control::new(&config::Control { url: url.into(), ..database.settings() }).unwrap()
    };
    for (mode, encrypted) in [("prefer", true), ("disable", false)] {
        let control = with(mode);
        control.ping().await.unwrap();
        let row = superuser
            .query_one(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                 WHERE datname = current_database() AND application_name = $1",
                &[&mode],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, bool>("ssl"), encrypted, "{mode}");
    }
    let failure = with("require").ping().await.unwrap_err();
    assert_eq!(failure.code(), Code::ControlDatabaseUnavailable);
    let chain = failure.cause_chain().unwrap();
    assert!(chain.contains("certificate"), "{chain}");
}
