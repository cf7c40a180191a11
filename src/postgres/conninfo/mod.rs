//! Where a server is and how to reach it, said as `psql` takes it.
//!
//! Reading is pure: the text, the environment and the files come in as [`Outside`]; only [`outside`] asks the machine.

mod environment;
mod list;
mod options;
pub mod outside;
mod passfile;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod uri;

pub use environment::Environment;
pub use list::{Host, Target};
pub use outside::{Outside, SeenFile};
pub use settings::{Attributes, ChannelBinding, Keepalive, Roots, Settings, SslMode, Tls, TlsVersion};
pub use text::{led_to, names_password, whereabouts};
