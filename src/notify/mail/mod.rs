//! Mail: what is written, and how it is handed to the server.

mod conversation;
mod letter;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conversation::{Refusal, Server};
use lettre::Address;

use super::courier::{Before, Receipt};
use super::fault::{FaultKind, SendFault};
use super::runtime;
use crate::alert::Notice;
use crate::message::Message;
use crate::policy::file::{Email, Smtp};

pub(super) fn send(email: &Email, smtp: &Smtp, notice: &Notice, message: &Message, before: &Before) -> Result<Receipt, SendFault> {
    let letter = letter::write(email, smtp, notice, message, before.reference.as_deref())?;
    let reached: BTreeSet<&str> = before.reached.iter().map(String::as_str).collect();
    let open: Vec<Address> = letter.to.iter().filter(|address| !reached.contains(address.as_ref() as &str)).cloned().collect();
    if open.is_empty() {
        return Ok(Receipt { reference: Some(letter.reference), ..Receipt::new("all of them have it already") });
    }
    let server = Server::of(smtp)?;
    let begun = Arc::new(AtomicBool::new(false));
    let late = {
        let begun = begun.clone();
        move || if begun.load(Ordering::Relaxed) { "whether it arrived is not known" } else { "nothing was handed over" }
    };
    let reference = letter.reference.clone();
    let (handed, connection) = runtime::wait(server.hand_over(letter, open, begun), late)?;
    let _ = runtime::wait(connection.leave(), || "");
    let (later, never): (Vec<Refusal>, Vec<Refusal>) = handed.refused.into_iter().partition(|refusal| refusal.kind != FaultKind::Refused);
    let words = |refusals: &[Refusal]| refusals.iter().map(ToString::to_string).collect::<Vec<_>>();
    if !later.is_empty() {
        let kind = if later.iter().any(|refusal| refusal.kind == FaultKind::Passing) { FaultKind::Passing } else { FaultKind::Setup };
        let mut fault = SendFault::new(kind, words(&later).join("; "), "");
        fault.reached = before.reached.iter().cloned().chain(handed.taken).collect();
        return Err(fault);
    }
    if handed.taken.is_empty() && reached.is_empty() {
        return Err(SendFault::refused(words(&never).join("; "), "Correct the addresses in `email.to`."));
    }
    Ok(Receipt { reference: Some(reference), refused: words(&never), ..Receipt::new(handed.said) })
}
