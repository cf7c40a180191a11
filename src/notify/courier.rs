//! Who carries a notice to its receiver.

use std::time::Duration;

use super::fault::SendFault;
use super::{alertmanager, mail, pagerduty, slack, webhook};
use crate::alert::Notice;
use crate::message::{self, Message};
use crate::policy::file::Receiver;
use crate::policy::model::Policy;
use crate::units::Name;

/// Sends the notices of one policy.
#[derive(Debug)]
pub struct Courier<'p> {
    policy: &'p Policy,
}

/// What went before, so that messages about one thing stay together and nobody gets one twice.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// What an earlier delivery to this receiver about the same thing left in [`Receipt::reference`].
    pub reference: Option<String>,
    /// Whom an earlier attempt at this very notice has reached, from [`SendFault::reached`].
    pub reached: Vec<String>,
}

/// It was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Kept for what follows about the same thing.
    pub reference: Option<String>,
    /// What the server said, on one line.
    pub said: String,
    /// Who did not get it and never will, of several, and why.
    pub refused: Vec<String>,
}

impl Receipt {
    pub(super) fn new(said: impl Into<String>) -> Receipt {
        Receipt { reference: None, said: said.into(), refused: Vec::new() }
    }
}

impl<'p> Courier<'p> {
    pub fn new(policy: &'p Policy) -> Courier<'p> {
        Courier { policy }
    }

    /// Sends it, and says what the receiver answered. At least once: when the answer is lost, nobody knows whether it arrived, and the
    /// same notice is sent again in a form by which it can be recognised.
    pub fn send(&self, notice: &Notice, before: &Before) -> Result<Receipt, SendFault> {
        let receiver = self.policy.file.receivers.get(&notice.receiver).ok_or_else(|| {
            SendFault::refused(format!("the policy has no receiver `{}` any more", notice.receiver), "Its notices go to the others.")
        })?;
        let message = self.words(notice);
        let path = format!("receivers.{}", notice.receiver);
        match receiver {
            Receiver { email: Some(email), .. } => {
                let smtp = self.policy.file.smtp.as_ref();
                let smtp = smtp.ok_or_else(|| SendFault::setup("the policy has no mail server", "Add `smtp`."))?;
                mail::send(email, smtp, notice, &message, before)
            }
            Receiver { slack: Some(slack), .. } => slack::send(slack, notice, &message, before, &path),
            Receiver { pagerduty: Some(pagerduty), .. } => pagerduty::send(pagerduty, notice, &message, before, &path),
            Receiver { alertmanager: Some(manager), .. } => alertmanager::send(manager, notice, &message, before, &path),
            Receiver { webhook: Some(webhook), .. } => webhook::send(webhook, notice, &message, &path),
            _ => Err(SendFault::setup(format!("`{path}` is of no kind"), "Say where its messages go.")),
        }
    }

    /// The receiver forgets: as long as an alert lasts, it wants to hear of it this often.
    pub fn resends(&self, receiver: &Name) -> Option<Duration> {
        let receiver = self.policy.file.receivers.get(receiver)?;
        receiver.alertmanager.as_ref().map(|_| alertmanager::RESEND_EVERY)
    }

    /// The server behind a receiver, as far as it is known without a secret: receivers of the same server fail together.
    pub fn server(&self, receiver: &Name) -> Option<String> {
        match self.policy.file.receivers.get(receiver)? {
            Receiver { email: Some(_), .. } => {
                let smtp = self.policy.file.smtp.as_ref()?;
                Some(format!("the mail server {}", smtp.host))
            }
            Receiver { slack: Some(slack), .. } => Some(slack.api.as_ref().map_or("Slack".into(), |api| format!("Slack at {api}"))),
            Receiver { pagerduty: Some(pagerduty), .. } => {
                Some(pagerduty.url.as_ref().map_or("PagerDuty".into(), |url| format!("PagerDuty at {url}")))
            }
            Receiver { alertmanager: Some(manager), .. } => Some(format!("the Alertmanager at {}", manager.url)),
            _ => None,
        }
    }

    /// In the receiver's own words, or in ours.
    fn words(&self, notice: &Notice) -> Message {
        let own = self.policy.templates.get(&notice.receiver);
        let own = own.map(|read| read.as_ref().map(|source| source.text.as_str()).map_err(|fault| fault.message.as_str()));
        message::write(notice, &self.policy.zone, own)
    }
}
