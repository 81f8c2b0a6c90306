//! Closed sets that are written as one word each: in requests, answers and columns.

/// Declares the set once: variants with their words, and the fault for what is none of them.
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
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $fault;

            fn from_str(text: &str) -> Result<Self, $fault> {
                match text {
                    $($word => Ok(Self::$name),)+
                    _ => Err($fault),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use words;
