//! Step 3b: reading rights in a target's database, as far as our role may grant them.
//!
//! Runs on a second session, in short transactions that can each be repeated: rights that are there already are
//! not granted again. The session that holds the host lock must answer right before each COMMIT; if it is dead,
//! another lane may be at work by then.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::ddl::Statement;
use crate::domain::{RoleName, SchemaName};
use crate::failpoints::{Failpoint, reach};

use super::reading::{column, raw, shown, text};
use super::{Session, TargetError, Verdict};

/// Tables granted in one transaction. Each costs the server a catalog row, and the transaction must stay far below
/// the limits of the lock session.
const TABLES_AT_ONCE: usize = 200;
/// The lock session is asked for a sign of life at least this often while something takes long.
const PING_EVERY: Duration = Duration::from_secs(4);
/// Missing rights named one by one; the rest is counted.
const MAX_NAMED: usize = 20;

/// What our role may do about a schema of the database (`$1`) for a role (`$2`). "WITH GRANT OPTION" is also true
/// for the owner, for members that inherit from the owner, and for superusers.
const SCHEMA: &str = "
    SELECT has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') AND NOT EXISTS (
               SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = r.oid AND a.privilege_type = 'USAGE'),
           CASE WHEN pg_has_role(d.datdba, 'MEMBER') AND NOT EXISTS (
                    SELECT FROM pg_default_acl p, aclexplode(p.defaclacl) a
                    WHERE p.defaclrole = d.datdba AND p.defaclnamespace = n.oid AND p.defaclobjtype = 'r'
                      AND a.grantee = r.oid AND a.privilege_type = 'SELECT')
                THEN o.rolname::text END
    FROM pg_namespace n, pg_roles r, pg_database d JOIN pg_roles o ON o.oid = d.datdba
    WHERE n.nspname = $1 AND r.rolname = $2 AND d.datname = current_database()";

/// Whether CONNECT on this database is still to be granted to a role (`$1`), and may be.
const DATABASE: &str = "
    SELECT has_database_privilege(d.oid, 'CONNECT WITH GRANT OPTION') AND NOT EXISTS (
               SELECT FROM aclexplode(d.datacl) a WHERE a.grantee = r.oid AND a.privilege_type = 'CONNECT')
    FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = $1";

/// The next tables of a schema (`$1`), after a name (`$3`), that our role may grant to a role (`$2`).
const TABLES: &str = "
    SELECT c.relname::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
    WHERE n.nspname = $1 AND r.rolname = $2 AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
      AND c.relname::text COLLATE \"C\" > $3
      AND has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION')
      AND NOT EXISTS (
          SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = r.oid AND a.privilege_type = 'SELECT')
    ORDER BY c.relname::text COLLATE \"C\" LIMIT $4";

/// The tables of a schema (`$1`) that a role (`$2`) cannot read after all, whoever granted what; `$3`: how many to
/// name. Each row says how many there are in all.
const MISSING_TABLES: &str = "
    WITH missing AS (
        SELECT c.relname::text AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
          AND NOT has_table_privilege($2::name, c.oid, 'SELECT'))
    SELECT m.name, count(*) OVER () FROM missing m ORDER BY m.name COLLATE \"C\" LIMIT $3";

/// Whether a role (`$2`) may use a schema (`$1`), and will be able to read what the database's owner makes in it.
const MISSING_SCHEMA: &str = concat!(
    "
    SELECT has_schema_privilege($2::name, n.oid, 'USAGE'), ",
    shown!("o.rolname::text"),
    ", EXISTS (
               SELECT FROM pg_default_acl p, aclexplode(p.defaclacl) a
               WHERE p.defaclrole = d.datdba AND p.defaclnamespace IN (n.oid, 0) AND p.defaclobjtype = 'r'
                 AND a.grantee IN (0, r.oid) AND a.privilege_type = 'SELECT')
    FROM pg_namespace n, pg_roles r, pg_database d JOIN pg_roles o ON o.oid = d.datdba
    WHERE n.nspname = $1 AND r.rolname = $2 AND d.datname = current_database()"
);

impl Session {
    /// Grants a role what it needs to read: CONNECT on this session's database and, for each schema, USAGE, SELECT
    /// on all present tables and views, and SELECT on future tables of the database's owner (default privileges, if
    /// our role is a member of the owner). Then reads back what the role really has, because PostgreSQL warns and
    /// grants nothing where the right is missing.
    ///
    /// Answers what is missing, in words for people (`SELECT on public.orders`), at most 20 and a count. That our
    /// role may grant little or nothing is no error. It never grants itself a membership.
    ///
    /// `lock_session` holds the host lock and is pinged before each COMMIT; its error is answered as it is. After
    /// any error the whole can be run again.
    pub async fn grant_reading(
        &self,
        role: &RoleName,
        schemas: &[SchemaName],
        lock_session: &Self,
    ) -> Result<Vec<String>, TargetError> {
        let mut work = Granting { session: self, role, lock_session, pinged: Instant::now() };
        work.database().await?;
        let mut missing = Missing::default();
        work.missing_connect(&mut missing).await?;
        for schema in schemas.iter().filter(|schema| schema.as_str() != SchemaName::USER) {
            work.schema(schema).await?;
            work.tables(schema).await?;
            work.missing_in(schema, &mut missing).await?;
        }
        Ok(missing.into_words())
    }
}

struct Granting<'a> {
    session: &'a Session,
    role: &'a RoleName,
    lock_session: &'a Session,
    pinged: Instant,
}

impl Granting<'_> {
    async fn database(&mut self) -> Result<(), TargetError> {
        let rows = self.session.query(DATABASE, &[(&self.role.as_str(), Type::NAME)]).await?;
        if rows.first().map(|row| column(row, 0)).transpose()?.unwrap_or(false) {
            let database = self.session.database().clone();
            self.transaction(vec![Statement::GrantConnect { role: self.role.clone(), database }]).await?;
        }
        Ok(())
    }

    async fn schema(&mut self, schema: &SchemaName) -> Result<(), TargetError> {
        let params = [(&schema.as_str() as _, Type::NAME), (&self.role.as_str() as _, Type::NAME)];
        let rows = self.session.query(SCHEMA, &params).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (usage, owner): (bool, Option<String>) = (column(row, 0)?, column(row, 1)?);
        let (role, schema) = (self.role, schema);
        let mut statements = Vec::new();
        if usage {
            statements.push(Statement::GrantUsage { role: role.clone(), schema: schema.clone() });
        }
        if let Some(owner) = owner {
            statements.push(Statement::DefaultSelect { role: role.clone(), schema: schema.clone(), owner });
        }
        self.transaction(statements).await
    }

    /// A chunk of tables per transaction, by name, so that a table whose grant fails is passed over and not met
    /// again.
    async fn tables(&mut self, schema: &SchemaName) -> Result<(), TargetError> {
        let mut after = String::new();
        loop {
            let limit = i64::try_from(TABLES_AT_ONCE).unwrap_or(i64::MAX);
            let params = [
                (&schema.as_str() as _, Type::NAME),
                (&self.role.as_str() as _, Type::NAME),
                (&after as _, Type::TEXT),
                (&limit as _, Type::INT8),
            ];
            let rows = self.session.query(TABLES, &params).await?;
            let tables: Vec<String> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
            let Some(last) = tables.last() else { return Ok(()) };
            after.clone_from(last);
            let grant =
                |table| Statement::GrantSelect { role: self.role.clone(), schema: schema.clone(), table };
            let statements = tables.into_iter().map(grant).collect();
            self.transaction(statements).await?;
        }
    }

    /// Runs grants in one transaction: all at once under one savepoint and, if the server refuses one, again one
    /// by one under a savepoint each. What is refused is left out; the reading back will tell.
    async fn transaction(&mut self, statements: Vec<Statement>) -> Result<(), TargetError> {
        if statements.is_empty() {
            return Ok(());
        }
        self.ping_if_due().await?;
        let result = self.grant(statements).await;
        if result.is_err() && !self.session.is_closed() {
            // The first error is the one to tell.
            self.session.execute(&[Statement::Rollback]).await.ok();
        }
        result
    }

    async fn grant(&mut self, statements: Vec<Statement>) -> Result<(), TargetError> {
        let mut all = vec![Statement::Begin, Statement::Savepoint(0)];
        all.extend(statements.iter().cloned());
        if let Err(error) = self.session.execute(&all).await {
            pass_over(error)?;
            self.session.execute(&[Statement::RollbackToSavepoint(0)]).await?;
            self.one_by_one(statements).await?;
        }
        self.ping().await?;
        self.session.commit().await?;
        reach(Failpoint::AmidGrants);
        Ok(())
    }

    async fn one_by_one(&mut self, statements: Vec<Statement>) -> Result<(), TargetError> {
        for statement in statements {
            self.ping_if_due().await?;
            let guarded = [Statement::Savepoint(1), statement, Statement::ReleaseSavepoint(1)];
            if let Err(error) = self.session.execute(&guarded).await {
                pass_over(error)?;
                self.session
                    .execute(&[Statement::RollbackToSavepoint(1), Statement::ReleaseSavepoint(1)])
                    .await?;
            }
        }
        Ok(())
    }

    async fn ping_if_due(&mut self) -> Result<(), TargetError> {
        if self.pinged.elapsed() >= PING_EVERY { self.ping().await } else { Ok(()) }
    }

    async fn ping(&mut self) -> Result<(), TargetError> {
        self.lock_session.ping().await?;
        self.pinged = Instant::now();
        Ok(())
    }

    async fn missing_connect(&self, missing: &mut Missing) -> Result<(), TargetError> {
        let sql = "SELECT has_database_privilege($1::name, current_database(), 'CONNECT')";
        let row = self.session.query_one(sql, &[(&self.role.as_str(), Type::NAME)]).await?;
        if !column::<bool>(&row, 0)? {
            missing.name(format!("CONNECT on database {}", self.session.database()));
        }
        Ok(())
    }

    async fn missing_in(&mut self, schema: &SchemaName, missing: &mut Missing) -> Result<(), TargetError> {
        self.ping_if_due().await?;
        let names = [(&schema.as_str() as _, Type::NAME), (&self.role.as_str() as _, Type::NAME)];
        let rows = self.session.query(MISSING_SCHEMA, &names).await?;
        let Some(row) = rows.first() else {
            missing.name(format!("USAGE on schema {schema} (no such schema)"));
            return Ok(());
        };
        let (usage, owner, future): (bool, String, bool) = (column(row, 0)?, text(row, 1)?, column(row, 2)?);
        if !usage {
            missing.name(format!("USAGE on schema {schema}"));
        }
        let limit = i64::try_from(MAX_NAMED).unwrap_or(i64::MAX);
        let [schema_param, role_param] = names;
        let params = [schema_param, role_param, (&limit as _, Type::INT8)];
        let rows = self.session.query(MISSING_TABLES, &params).await?;
        for row in &rows {
            missing.name(format!("SELECT on {schema}.{}", column::<&str>(row, 0)?));
        }
        let all: i64 = rows.first().map(|row| column(row, 1)).transpose()?.unwrap_or(0);
        missing.count(usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(rows.len()));
        if !future {
            missing.name(format!("SELECT on future tables of {owner} in schema {schema}"));
        }
        Ok(())
    }
}

/// A refused grant is no error, whatever the reason (a right that is missing after all, a table dropped a moment
/// ago); everything else is.
fn pass_over(error: TargetError) -> Result<(), TargetError> {
    match &error.verdict {
        Verdict::Permanent { .. } | Verdict::Exists if error.sqlstate.is_some() => Ok(()),
        Verdict::Permanent { .. }
        | Verdict::Exists
        | Verdict::TryAgain
        | Verdict::Host { .. }
        | Verdict::Login { .. } => Err(error),
    }
}

/// Missing rights: the first ones by name, the rest as a number.
#[derive(Default)]
struct Missing {
    named: Vec<String>,
    more: usize,
}

impl Missing {
    fn name(&mut self, right: String) {
        if self.named.len() < MAX_NAMED { self.named.push(right) } else { self.count(1) }
    }

    fn count(&mut self, more: usize) {
        self.more = self.more.saturating_add(more);
    }

    fn into_words(mut self) -> Vec<String> {
        if self.more > 0 {
            self.named.push(format!("and {} more", self.more));
        }
        self.named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_rights_are_named_and_the_rest_is_counted() {
        let mut missing = Missing::default();
        for n in 0..MAX_NAMED {
            missing.name(n.to_string());
        }
        assert_eq!(missing.named.len(), MAX_NAMED);
        missing.name("one too many".to_owned());
        missing.count(99);
        let words = missing.into_words();
        assert_eq!(words.len(), MAX_NAMED + 1);
        assert_eq!(words.last().map(String::as_str), Some("and 100 more"));
    }
}
