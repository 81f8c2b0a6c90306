//! Statements as types, and how each is written.

use std::fmt;

use crate::domain::{DatabaseName, Mark, RoleName, SchemaName};
use crate::seal::Verifier;

use super::quote::{Identifier, Literal};

/// A configuration setting of a role.
#[derive(Debug, Clone)]
pub enum Setting {
    /// `search_path`, in order; empty means no schema but the system's.
    SearchPath(Vec<SchemaName>),
    /// `default_transaction_read_only`.
    DefaultTransactionReadOnly(bool),
}

/// One statement. Rendered by [`Statement::render`] only; every identifier and literal is quoted there.
///
/// Written so that a role with CREATEROLE, without SUPERUSER, may run it on PostgreSQL 14 to 18, where the server's
/// rules allow it at all (from 16 on, CREATEDB can be given only by who has it).
#[derive(Debug, Clone)]
pub enum Statement {
    /// `CREATE ROLE … LOGIN`, with every attribute that matters named: the server's defaults are not relied upon,
    /// and its log shows what was made. Naming `NOSUPERUSER` is free for everybody in CREATE ROLE. In ALTER ROLE
    /// it is not (before 16 the name alone needs a superuser), so nothing here names it there.
    CreateRole {
        /// The new role.
        role: RoleName,
        /// `CREATEDB`, else `NOCREATEDB`.
        createdb: bool,
        /// `CREATEROLE`, else `NOCREATEROLE`.
        createrole: bool,
        /// `CONNECTION LIMIT`; -1 is no limit.
        connection_limit: i32,
        /// What the server keeps in place of a password.
        verifier: Verifier,
    },
    /// `ALTER ROLE … PASSWORD`.
    SetPassword {
        /// Whose.
        role: RoleName,
        /// What the server keeps in place of a password.
        verifier: Verifier,
    },
    /// `ALTER ROLE … IN DATABASE … SET`.
    SetInDatabase {
        /// Whose.
        role: RoleName,
        /// In which database only.
        database: DatabaseName,
        /// What.
        setting: Setting,
    },
    /// `ALTER ROLE … SET`, in every database.
    SetForRole {
        /// Whose.
        role: RoleName,
        /// What.
        setting: Setting,
    },
    /// `COMMENT ON ROLE`: the proof that a ticket made it.
    Mark {
        /// The role that was made in the same transaction.
        role: RoleName,
        /// By which ticket, as which kind.
        mark: Mark,
    },
    /// `GRANT CONNECT ON DATABASE`.
    GrantConnect {
        /// To whom.
        role: RoleName,
        /// On which database.
        database: DatabaseName,
    },
    /// `GRANT USAGE ON SCHEMA`, in the session's database.
    GrantUsage {
        /// To whom.
        role: RoleName,
        /// On which schema.
        schema: SchemaName,
    },
    /// `GRANT SELECT ON TABLE`, in the session's database.
    GrantSelect {
        /// To whom.
        role: RoleName,
        /// The table's schema.
        schema: SchemaName,
        /// The table, view or foreign table, named as the catalog has it.
        table: String,
    },
    /// `ALTER DEFAULT PRIVILEGES … GRANT SELECT ON TABLES`: for what the owner makes later.
    DefaultSelect {
        /// To whom.
        role: RoleName,
        /// In which schema.
        schema: SchemaName,
        /// Whose future tables: a role, named as the catalog has it.
        owner: String,
    },
    /// `BEGIN`, at READ COMMITTED whatever the log-in's default: a job that is tried again inside the transaction
    /// must see what others committed meanwhile.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SAVEPOINT`.
    Savepoint(u32),
    /// `RELEASE SAVEPOINT`.
    ReleaseSavepoint(u32),
    /// `ROLLBACK TO SAVEPOINT`.
    RollbackToSavepoint(u32),
}

impl Statement {
    /// The statement as SQL, without a semicolon at its end.
    ///
    /// Holds a SCRAM verifier where the statement has one: not for logs.
    pub fn render(&self) -> String {
        match self {
            Self::CreateRole { role, createdb, createrole, connection_limit, verifier } => format!(
                "CREATE ROLE {} LOGIN NOSUPERUSER NOREPLICATION NOBYPASSRLS {} {} CONNECTION LIMIT {} PASSWORD {}",
                Identifier(role.as_str()),
                if *createdb { "CREATEDB" } else { "NOCREATEDB" },
                if *createrole { "CREATEROLE" } else { "NOCREATEROLE" },
                connection_limit,
                Literal(verifier.as_str()),
            ),
            Self::SetPassword { role, verifier } => {
                format!("ALTER ROLE {} PASSWORD {}", Identifier(role.as_str()), Literal(verifier.as_str()))
            }
            Self::SetInDatabase { role, database, setting } => format!(
                "ALTER ROLE {} IN DATABASE {} SET {setting}",
                Identifier(role.as_str()),
                Identifier(database.as_str()),
            ),
            Self::SetForRole { role, setting } => {
                format!("ALTER ROLE {} SET {setting}", Identifier(role.as_str()))
            }
            Self::Mark { role, mark } => {
                format!("COMMENT ON ROLE {} IS {}", Identifier(role.as_str()), Literal(&mark.to_string()))
            }
            Self::GrantConnect { role, database } => format!(
                "GRANT CONNECT ON DATABASE {} TO {}",
                Identifier(database.as_str()),
                Identifier(role.as_str()),
            ),
            Self::GrantUsage { role, schema } => format!(
                "GRANT USAGE ON SCHEMA {} TO {}",
                Identifier(schema.as_str()),
                Identifier(role.as_str()),
            ),
            Self::GrantSelect { role, schema, table } => format!(
                "GRANT SELECT ON TABLE {}.{} TO {}",
                Identifier(schema.as_str()),
                Identifier(table),
                Identifier(role.as_str()),
            ),
            Self::DefaultSelect { role, schema, owner } => format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {}",
                Identifier(owner),
                Identifier(schema.as_str()),
                Identifier(role.as_str()),
            ),
            Self::Begin => "BEGIN ISOLATION LEVEL READ COMMITTED".to_owned(),
            Self::Commit => "COMMIT".to_owned(),
            Self::Rollback => "ROLLBACK".to_owned(),
            Self::Savepoint(number) => format!("SAVEPOINT s{number}"),
            Self::ReleaseSavepoint(number) => format!("RELEASE SAVEPOINT s{number}"),
            Self::RollbackToSavepoint(number) => format!("ROLLBACK TO SAVEPOINT s{number}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An empty string is one schema without a name, which never exists: how an empty path is written.
            Self::SearchPath(schemas) if schemas.is_empty() => f.write_str("search_path = ''"),
            // Each schema is an item of its own: one literal with commas in it would be one strange schema.
            Self::SearchPath(schemas) => {
                let items: Vec<_> =
                    schemas.iter().map(|schema| Identifier(schema.as_str()).to_string()).collect();
                write!(f, "search_path = {}", items.join(", "))
            }
            Self::DefaultTransactionReadOnly(on) => {
                write!(f, "default_transaction_read_only = {}", if *on { "on" } else { "off" })
            }
        }
    }
}

/// Joins statements with `;\n` for one simple query.
///
/// Mind that the server runs such a query as one transaction even without [`Statement::Begin`].
pub fn script(statements: &[Statement]) -> String {
    statements.iter().map(Statement::render).collect::<Vec<_>>().join(";\n")
}
