//! A sign of life, for whoever raises the alarm when it stops coming.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant as Stopwatch;

use secrecy::ExposeSecret as _;

use super::fault::{FaultKind, SendFault};
use super::http::{self, Post};
use super::outbox::SLOW;
use super::secrets;
use crate::policy::model::Policy;

const PATH: &str = "alerts.heartbeat.url";

/// Servers that kept somebody waiting in vain during one look: of a fleet of a thousand policies, one waits for a server that is down and not each.
/// Where they are is a secret, and stays one.
#[derive(Default)]
pub struct Deaf(Mutex<BTreeSet<String>>);

impl std::fmt::Debug for Deaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deaf")
    }
}

/// Sends it where the policy says; nothing where it says nothing.
pub fn beat(policy: &Policy, deaf: &Deaf) -> Result<(), SendFault> {
    let Some(heartbeat) = policy.file.alerts.as_ref().and_then(|alerts| alerts.heartbeat.as_ref()) else { return Ok(()) };
    let url = secrets::read(&heartbeat.url, PATH)?;
    let url = http::address(url.expose_secret(), PATH)?;
    let server = url.origin().ascii_serialization();
    let known = || deaf.0.lock().unwrap_or_else(PoisonError::into_inner);
    if known().contains(&server) {
        return Err(SendFault::passing("not tried: its server did not answer a moment ago"));
    }
    let began = Stopwatch::now();
    let answer = http::post(Post { url, headers: Vec::new(), body: Vec::new() }).inspect_err(|fault| {
        if fault.kind == FaultKind::Passing && began.elapsed() >= SLOW {
            known().insert(server);
        }
    })?;
    if answer.is_good() { Ok(()) } else { Err(answer.fault("")) }
}
