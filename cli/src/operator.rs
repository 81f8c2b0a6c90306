//! Who typed the command, for the audit.

use std::os::unix::fs::MetadataExt;

use rolecall_shared::domain::Actor;

/// `cli:<user>`. The user is the owner of this process, by the kernel's word: `USER` and `LOGNAME` are whatever
/// somebody set them to.
pub fn actor() -> Actor {
    let uid = std::fs::metadata("/proc/self").map(|process| process.uid()).ok();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = match uid {
        Some(uid) => format!("cli:{}", name_of(uid, &passwd).unwrap_or_else(|| uid.to_string())),
        None => "cli:unknown".to_owned(),
    };
    Actor { owner: account.clone(), account, address: None, via: Some("command".to_owned()) }
}

/// The name of a user in the form of passwd(5): `name:password:uid:…`.
fn name_of(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nops:x:1000:1000::/home/ops:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("ops"));
        assert_eq!(name_of(0, passwd).as_deref(), Some("root"));
        assert_eq!(name_of(7, passwd), None);
    }

    #[test]
    fn somebody_always_acts() {
        let actor = actor();
        assert!(actor.account.starts_with("cli:") && actor.account.len() > 4);
        assert_eq!(actor.owner, actor.account);
    }
}
