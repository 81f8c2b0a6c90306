//! Accounts: how they are let in, and whether they administrate.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$meta:meta])* $type:ident, $fault:ident = $text:literal { $($(#[$doc:meta])* $name:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$doc])* $name,)+
        }

        #[doc = concat!("Not a word of [`", stringify!($type), "`].")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error($text)]
        pub struct $fault;

        impl $type {
            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }

        impl FromStr for $type {
            type Err = $fault;

            fn from_str(text: &str) -> Result<Self, $fault> {
                match text {
                    $($word => Ok(Self::$name),)+
                    _ => Err($fault),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

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
