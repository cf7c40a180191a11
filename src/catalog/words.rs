//! Closed sets of words.

/// A closed set of words, the same in the tables and for people.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            pub(super) fn read(word: &str) -> Result<$name, $crate::catalog::CatalogFault> {
                match word {
                    $($word => Ok($name::$variant),)+
                    other => Err($crate::catalog::value::unexpected(concat!("one of ", $("`", $word, "` "),+), &$crate::catalog::value::Value::from(other))),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(super) use words;
