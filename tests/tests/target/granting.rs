//! Step 3b: reading rights, as far as our role may grant them.

use rolecall_shared::domain::{DatabaseName, RoleName, SchemaName};
use rolecall_shared::target::{Purpose, Session};

use crate::scene::{Scene, admin, create, database, host_cause, role, unique};

/// A database of `app_owner` and a role that may read nothing of it yet.
struct Library {
    scene: Scene,
    database: DatabaseName,
    owner: tokio_postgres::Client,
    reader: RoleName,
    lane: Session,
}

impl Library {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let (name, reader) = (unique("library"), role(&unique("reader")));
        scene.sql(&format!("CREATE DATABASE {name} OWNER app_owner")).await;
        scene
            .sql(&format!(
                "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO role_create"
            ))
            .await;
        let owner = admin(&name).await;
        let lane = scene.open("postgres", Purpose::Lane).await;
        lane.execute(&[create(&reader)]).await.unwrap();
        Self { scene, database: database(&name), owner, reader, lane }
    }

    async fn grant(&self, schemas: &[&str]) -> Vec<String> {
        let session = self.scene.open(self.database.as_str(), Purpose::Grants).await;
        let schemas: Vec<_> = schemas.iter().map(|name| SchemaName::from_stored(name).unwrap()).collect();
        session.grant_reading(&self.reader, &schemas, &self.lane).await.unwrap()
    }

    async fn reader_may(&self, table: &str) -> bool {
        let sql = "SELECT has_table_privilege($1::text::name, $2::text, 'SELECT')";
        self.owner.query_one(sql, &[&self.reader.as_str(), &table]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn what_can_be_granted_is_and_the_rest_is_named() {
    let library = Library::new().await;
    library
        .owner
        .batch_execute(
            "SET ROLE app_owner; CREATE SCHEMA shelf; CREATE TABLE shelf.\"Odd \"\"name\" (); CREATE TABLE shelf.a ();
             CREATE VIEW shelf.v AS SELECT 1; CREATE MATERIALIZED VIEW shelf.m AS SELECT 1;
             CREATE TABLE shelf.parted (n int) PARTITION BY RANGE (n); RESET ROLE;
             CREATE TABLE shelf.of_somebody_else (); CREATE TABLE shelf.half ();
             GRANT INSERT ON shelf.half TO role_create",
        )
        .await
        .unwrap();

    let missing = library.grant(&["shelf", "$user", "nowhere"]).await;
    assert_eq!(
        missing,
        [
            "SELECT on shelf.half",
            "SELECT on shelf.of_somebody_else",
            "USAGE on schema nowhere (no such schema)"
        ]
    );
    for table in ["shelf.\"Odd \"\"name\"", "shelf.a", "shelf.v", "shelf.m", "shelf.parted"] {
        assert!(library.reader_may(table).await, "{table}");
    }
    assert!(!library.reader_may("shelf.of_somebody_else").await);

    // Tables the owner makes later.
    library.owner.batch_execute("SET ROLE app_owner; CREATE TABLE shelf.later (); RESET ROLE").await.unwrap();
    assert!(library.reader_may("shelf.later").await);
    // Again, and nothing changes.
    assert_eq!(library.grant(&["shelf", "nowhere"]).await, missing);
}

#[tokio::test]
async fn where_nothing_can_be_granted_everything_is_missing_and_nothing_fails() {
    let library = Library::new().await;
    let name = &library.database;
    library
        .scene
        .sql(&format!(
            "ALTER DATABASE {name} OWNER TO postgres; GRANT CONNECT ON DATABASE {name} TO role_create"
        ))
        .await;
    let tables = (10..40).map(|n| format!("CREATE TABLE vault.t{n} ();")).collect::<Vec<_>>().concat();
    library.owner.batch_execute(&format!("CREATE SCHEMA vault; {tables}")).await.unwrap();

    let missing = library.grant(&["vault"]).await;
    assert_eq!(
        missing[..3],
        [
            format!("CONNECT on database {name}"),
            "USAGE on schema vault".to_owned(),
            "SELECT on vault.t10".to_owned(),
        ]
    );
    assert_eq!(missing.len(), 21);
    // 33 in all: CONNECT, USAGE, 30 tables, and the tables to come.
    assert_eq!(missing[20], "and 13 more");
    let sql = "SELECT pg_has_role('role_create', 'postgres', 'MEMBER')";
    assert!(!library.owner.query_one(sql, &[]).await.unwrap().get::<_, bool>(0), "no membership was taken");
}

#[tokio::test]
async fn many_tables_are_granted_in_several_transactions() {
    let library = Library::new().await;
    let tables = (0..450).map(|n| format!("CREATE TABLE stacks.t{n} ();")).collect::<Vec<_>>().concat();
    library
        .owner
        .batch_execute(&format!("SET ROLE app_owner; CREATE SCHEMA stacks; {tables} RESET ROLE"))
        .await
        .unwrap();
    assert_eq!(library.grant(&["stacks"]).await, Vec::<String>::new());
    let sql = "SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'stacks'::regnamespace";
    assert_eq!(library.owner.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 3);
}

#[tokio::test]
async fn one_refused_grant_does_not_take_its_neighbours_along() {
    let library = Library::new().await;
    // A grant of this table fails although our role may make it: the trigger refuses.
    library
        .owner
        .batch_execute(
            "SET ROLE app_owner; CREATE SCHEMA rules; CREATE TABLE rules.a (); CREATE TABLE rules.forbidden ();
             CREATE TABLE rules.z (); RESET ROLE;
             CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF current_query() LIKE '%SAVEPOINT s0%' OR current_query() LIKE '%forbidden%' THEN
                     RAISE EXCEPTION 'refused'; END IF; END $$;
             CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('GRANT') EXECUTE FUNCTION refuse()",
        )
        .await
        .unwrap();
    let missing = library.grant(&["rules"]).await;
    assert_eq!(missing, ["SELECT on rules.forbidden"]);
    assert!(library.reader_may("rules.a").await && library.reader_may("rules.z").await);
}

#[tokio::test]
async fn nothing_is_committed_once_the_lock_session_is_dead() {
    let library = Library::new().await;
    library
        .owner
        .batch_execute("CREATE TABLE public.orders (); ALTER TABLE public.orders OWNER TO app_owner")
        .await
        .unwrap();
    let own = library.scene.own_database().await;
    let dead = library.scene.open(own.as_str(), Purpose::Lane).await;
    assert!(dead.try_host_lock().await.unwrap());
    library.scene.end_backend_of(&dead).await;

    let session = library.scene.open(library.database.as_str(), Purpose::Grants).await;
    let schemas = [SchemaName::from_stored("public").unwrap()];
    let error = session.grant_reading(&library.reader, &schemas, &dead).await.unwrap_err();
    host_cause(&error);
    assert!(!library.reader_may("public.orders").await);
    // The grants' own session is not left in the middle of a transaction.
    session.ping().await.unwrap();
    assert_eq!(library.grant(&["public"]).await, Vec::<String>::new());
}
