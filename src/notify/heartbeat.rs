//! A sign of life, for whoever raises the alarm when it stops coming.

use secrecy::ExposeSecret as _;

use super::fault::SendFault;
use super::http::{self, Post};
use super::secrets;
use crate::policy::model::Policy;

const PATH: &str = "alerts.heartbeat.url";

/// Sends it where the policy says; nothing where it says nothing.
pub fn beat(policy: &Policy) -> Result<(), SendFault> {
    let Some(heartbeat) = policy.file.alerts.as_ref().and_then(|alerts| alerts.heartbeat.as_ref()) else { return Ok(()) };
    let url = secrets::read(&heartbeat.url, PATH)?;
    let url = http::address(url.expose_secret(), PATH)?;
    let answer = http::post(Post { url, headers: Vec::new(), body: Vec::new() })?;
    if answer.is_good() { Ok(()) } else { Err(answer.fault("")) }
}
