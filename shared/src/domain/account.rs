//! Accounts: how they are let in, and whether they administrate.

use super::words::words;

words! {
    /// How an account is let in.
    AccountType, InvalidAccountType = "must be inet or unix" {
        /// Over the network, with a password.
        Inet = "inet",
        /// Over the local socket: a UNIX account of that name, by the kernel's word.
        Unix = "unix",
    }
}

words! {
    /// What an account is.
    AccountKind, InvalidAccountKind = "must be admin or basic" {
        /// May do everything but take somebody else's password.
        Admin = "admin",
        /// May do what its lists allow.
        Basic = "basic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for each in [AccountType::Inet, AccountType::Unix] {
            assert_eq!(each.as_str().parse(), Ok(each));
        }
        for each in [AccountKind::Admin, AccountKind::Basic] {
            assert_eq!(each.to_string().parse(), Ok(each));
        }
        assert_eq!("Admin".parse::<AccountKind>(), Err(InvalidAccountKind));
        assert_eq!("".parse::<AccountType>(), Err(InvalidAccountType));
    }
}
