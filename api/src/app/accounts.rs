//! Accounts: who may call, and what they may do.
//!
//! Nobody gives more than he has. Who is no administrator makes none and touches none; and whoever may change accounts
//! gives only patterns that his own cover, and changes only accounts that have no others, or the password he sets would
//! open what he may not.

use jiff::Timestamp;
use rolecall_shared::control::{Account, AccountChange, AccountEnd, NewAccount};
use rolecall_shared::credentials::check_account_name;
use rolecall_shared::domain::{
    AccountKind, AccountType, Code, Failure, FieldFault, Grants, MAX_PATTERNS, Need, Pattern, Permission,
    Rights,
};
use secrecy::SecretString;

use super::App;
use crate::auth::{Caller, Via};

/// An account as a caller wants it. Has no `Debug` text.
pub(crate) struct AskedAccount {
    pub(crate) name: String,
    /// The password of an `inet` account; none for a `unix` account.
    pub(crate) password: Option<SecretString>,
    pub(crate) kind: AccountKind,
    pub(crate) access: Vec<Pattern>,
    pub(crate) deny: Vec<Pattern>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What shall change; what is none stays. Has no `Debug` text.
#[derive(Default)]
pub(crate) struct AskedChange {
    pub(crate) password: Option<SecretString>,
    pub(crate) kind: Option<AccountKind>,
    pub(crate) access: Option<Vec<Pattern>>,
    pub(crate) deny: Option<Vec<Pattern>>,
    pub(crate) disabled: Option<bool>,
    pub(crate) end: Option<AccountEnd>,
    pub(crate) end_sessions: bool,
}

impl AskedChange {
    fn is_password_alone(&self) -> bool {
        let Self { password, kind, access, deny, disabled, end, end_sessions: _ } = self;
        password.is_some()
            && kind.is_none()
            && access.is_none()
            && deny.is_none()
            && disabled.is_none()
            && end.is_none()
    }
}

/// The accounts the caller may see, by name: all of them, or his own.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    kind_of_login: Option<AccountType>,
) -> Result<Vec<Account>, Failure> {
    if !caller.rights.allow(&Need::everywhere(Permission::Accounts)) {
        let own = app.control.find_account(&caller.account).await?;
        let fits = |account: &Account| kind_of_login.is_none_or(|wanted| account.kind_of_login == wanted);
        return Ok(own.into_iter().filter(fits).collect());
    }
    app.control.list_all_accounts(kind_of_login).await
}

/// One account, or [`Code::AccountNotFound`], also for one the caller may not see.
pub(crate) async fn find(
    caller: &Caller,
    app: &App,
    kind_of_login: Option<AccountType>,
    name: &str,
) -> Result<Account, Failure> {
    if name != caller.account && !caller.rights.allow(&Need::everywhere(Permission::Accounts)) {
        return Err(not_found());
    }
    let found = app.control.find_account(name).await?;
    found
        .filter(|account| kind_of_login.is_none_or(|wanted| account.kind_of_login == wanted))
        .ok_or_else(not_found)
}

/// Whether the caller may make, change and remove accounts at all.
pub(crate) fn may_write(caller: &Caller, app: &App) -> Result<(), Failure> {
    app.allow(caller, &Need::everywhere(Permission::Accounts))
}

/// Makes an account, or [`Code::AccountExists`].
pub(crate) async fn add(caller: &Caller, app: &App, asked: AskedAccount) -> Result<(), Failure> {
    may_write(caller, app)?;
    check_account_name(&asked.name).map_err(|fault| Failure::field("name", fault))?;
    check_lists(&asked.access, &asked.deny)?;
    may_give(caller, app, asked.kind, &asked.access)?;
    if app.authenticator.is_bootstrap(&asked.name) {
        let detail = format!("There is an account {:?} already, in the configuration.", asked.name);
        return Err(Failure::new(Code::AccountExists, detail));
    }
    let password_hash = match asked.password {
        Some(password) => Some(app.authenticator.hashing.hash(password).await?),
        None => None,
    };
    let new = NewAccount {
        name: asked.name,
        password_hash,
        kind: asked.kind,
        grants: Grants { access: asked.access, deny: asked.deny },
        expires_at: asked.expires_at,
    };
    app.control.add_account(&new, &caller.actor(), app.clock.now()).await
}

/// Changes an account and answers how it is now. Everybody may change his own password, when he comes with the old one.
pub(crate) async fn change(
    caller: &Caller,
    app: &App,
    kind_of_login: Option<AccountType>,
    name: &str,
    asked: AskedChange,
) -> Result<Account, Failure> {
    let is_own_password = name == caller.account && asked.is_password_alone() && caller.via == Via::Basic;
    if !is_own_password {
        may_write(caller, app)?;
    }
    let before = find(caller, app, kind_of_login, name).await?;
    if !is_own_password {
        may_touch(caller, app, &before)?;
        let access = asked.access.as_deref().unwrap_or_default();
        check_lists(access, asked.deny.as_deref().unwrap_or_default())?;
        may_give(caller, app, asked.kind.unwrap_or(AccountKind::Basic), access)?;
        if asked.deny.is_some() && !caller.is_admin && name == caller.account {
            return Err(app.refuse(caller, "changing the deny list of one's own account"));
        }
    }
    let password_hash = match asked.password {
        Some(password) => Some(app.authenticator.hashing.hash(password).await?),
        None => None,
    };
    let change = AccountChange {
        password_hash,
        kind: asked.kind,
        access: asked.access,
        deny: asked.deny,
        disabled: asked.disabled,
        end: asked.end,
        end_sessions: asked.end_sessions,
    };
    let changed = app.control.change_account(name, &change, &caller.actor(), app.clock.now()).await;
    // The other processes hear of it; here nobody is to get in between that and the answer.
    app.authenticator.forget();
    changed.inspect_err(|failure| note_last_admin(caller, app, failure))
}

/// Removes an account and its API tokens.
pub(crate) async fn remove(
    caller: &Caller,
    app: &App,
    kind_of_login: Option<AccountType>,
    name: &str,
) -> Result<(), Failure> {
    may_write(caller, app)?;
    let before = find(caller, app, kind_of_login, name).await?;
    may_touch(caller, app, &before)?;
    let removed = app.control.remove_account(kind_of_login, name, &caller.actor(), app.clock.now()).await;
    app.authenticator.forget();
    removed.inspect_err(|failure| note_last_admin(caller, app, failure))
}

/// A list of patterns as callers write it: each fault names its place.
pub(crate) fn parse_patterns(field: &str, texts: &[String]) -> Result<Vec<Pattern>, Failure> {
    let mut faults = Vec::new();
    let mut patterns = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match text.parse::<Pattern>() {
            Ok(pattern) => patterns.push(pattern),
            Err(fault) => {
                faults.push(FieldFault { field: format!("{field}[{place}]"), detail: fault.to_string() });
            }
        }
    }
    if faults.is_empty() { Ok(patterns) } else { Err(Failure::fields(faults)) }
}

fn check_lists(access: &[Pattern], deny: &[Pattern]) -> Result<(), Failure> {
    for (field, list) in [("access", access), ("deny", deny)] {
        if list.len() > MAX_PATTERNS {
            return Err(Failure::field(field, format!("must have at most {MAX_PATTERNS} patterns")));
        }
    }
    Ok(())
}

fn may_give(caller: &Caller, app: &App, kind: AccountKind, access: &[Pattern]) -> Result<(), Failure> {
    if kind == AccountKind::Admin && !caller.rights.are_all() {
        return Err(app.refuse(caller, "making an administrator"));
    }
    match access.iter().find(|pattern| !caller.rights.may_give(pattern)) {
        Some(pattern) => Err(app.refuse(caller, &format!("giving {pattern}"))),
        None => Ok(()),
    }
}

fn may_touch(caller: &Caller, app: &App, account: &Account) -> Result<(), Failure> {
    if caller.rights.are_all() {
        return Ok(());
    }
    let access = if account.rights() == Rights::all() { None } else { Some(&account.grants.access) };
    match access {
        Some(access) if access.iter().all(|pattern| caller.rights.may_give(pattern)) => Ok(()),
        Some(_) | None => Err(app.refuse(caller, "changing an account that may do more")),
    }
}

fn note_last_admin(caller: &Caller, app: &App, failure: &Failure) {
    if failure.code() == Code::LastAdmin {
        app.authenticator.refusals.access_denied(caller, "last_admin".to_owned(), app.clock.now());
    }
}

fn not_found() -> Failure {
    Failure::new(Code::AccountNotFound, "There is no such account.")
}
