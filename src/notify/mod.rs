//! Messages to people and to their systems: a notice goes to one receiver of a policy, by mail, Slack, PagerDuty, a webhook or
//! Alertmanager. What could not be sent says whether it is worth another try.

mod alertmanager;
mod courier;
mod fault;
mod heartbeat;
mod http;
mod mail;
pub mod outbox;
mod pagerduty;
mod runtime;
mod secrets;
mod slack;
mod webhook;

pub use courier::{Before, Courier, Receipt};
pub use fault::{FaultKind, SendFault};
pub use heartbeat::{Deaf, beat};

use crate::units::hex;

/// Somebody's words on one line, for labels and titles.
fn line(text: &str) -> String {
    fault::tame(text)
}

/// A notice's id where anything but letters and digits would be in the way: the same for the same notice.
fn mark(id: &str) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(id.as_bytes())[..16])
}
