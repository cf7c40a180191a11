//! What is said to a mail server, one step after the other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use secrecy::{ExposeSecret, SecretString};

use super::super::fault::{FaultKind, SendFault, deepest, tame};
use super::super::http::certificate_refused;
use super::super::runtime::CONNECT;
use super::super::secrets;
use super::letter::Letter;
use crate::policy::file::{Smtp, SmtpTls};
use crate::world::host;

/// How long a polite end may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The server of the policy, and who we are to it.
pub(super) struct Server {
    host: String,
    port: u16,
    tls: SmtpTls,
    login: Option<(String, SecretString)>,
}

/// A conversation that is over but for the farewell.
pub(super) struct Connection(AsyncSmtpConnection);

impl Connection {
    /// The mail is delivered or not by now, whatever the server says to this.
    pub(super) async fn leave(mut self) -> Result<(), SendFault> {
        let _ = tokio::time::timeout(FAREWELL, self.0.abort()).await;
        Ok(())
    }
}

/// What became of a mail.
pub(super) struct Handed {
    /// Who gets it.
    pub(super) taken: Vec<String>,
    pub(super) refused: Vec<Refusal>,
    /// What the server said when it took it.
    pub(super) said: String,
}

/// One address that the server did not take.
pub(super) struct Refusal {
    address: String,
    pub(super) kind: FaultKind,
    said: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was refused: {}", tame(&self.address), self.said)
    }
}

/// The step at which something went wrong: one answer means different things at different steps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    Protect,
    Login,
    Sender,
    Recipient,
    Content,
}

impl Server {
    pub(super) fn of(smtp: &Smtp) -> Result<Server, SendFault> {
        let tls = smtp.tls.unwrap_or(SmtpTls::Starttls);
        let port = smtp.port.unwrap_or(if tls == SmtpTls::Implicit { 465 } else { 587 });
        let login = match (&smtp.user, &smtp.password) {
            (Some(user), Some(password)) => Some((user.clone(), secrets::read(password, "smtp.password")?)),
            (Some(_), None) => {
                return Err(SendFault::setup(
                    "smtp: there is a user and no password",
                    "Name it in `smtp.password`, or take out `smtp.user`.",
                ));
            }
            (None, _) => None,
        };
        let near = ["localhost", "127.0.0.1", "::1"].contains(&smtp.host.as_str());
        // The policy's check says so too; nothing unprotected leaves this host even if that had a hole.
        if tls == SmtpTls::None && (!near || login.is_some()) {
            return Err(SendFault::setup("smtp.tls: mail would cross the network unprotected", "Write `tls: starttls`."));
        }
        Ok(Server { host: smtp.host.clone(), port, tls, login })
    }

    /// Connects, logs in, and hands over one mail to as many as the server takes it for. `begun` is set when the mail itself is under way.
    pub(super) async fn hand_over(
        self,
        letter: Letter,
        to: Vec<Address>,
        begun: Arc<AtomicBool>,
    ) -> Result<(Handed, Connection), SendFault> {
        let mut connection = self.connect().await?;
        let handed = self.deliver(&mut connection, letter.from, to, &letter.bytes, &begun).await?;
        Ok((handed, Connection(connection)))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendFault> {
        let us = hello();
        // The system's certificates are only read where they are needed.
        let tls = || TlsParameters::new(self.host.clone()).map_err(|error| self.fault(Step::Protect, &error));
        let first = if self.tls == SmtpTls::Implicit { Some(tls()?) } else { None };
        let connecting = AsyncSmtpConnection::connect_tokio1((self.host.as_str(), self.port), Some(CONNECT), &us, first, None);
        let mut connection = connecting.await.map_err(|error| self.fault(Step::Connect, &error))?;
        if self.tls == SmtpTls::Starttls {
            if !connection.can_starttls() {
                connection.abort().await;
                let message = format!("{} offers no STARTTLS, so nothing is sent to it", self.name());
                return Err(SendFault::setup(
                    message,
                    "Use another port or `smtp.tls: implicit`; if it did before, somebody may stand in between.",
                ));
            }
            connection.starttls(tls()?, &us).await.map_err(|error| self.fault(Step::Protect, &error))?;
        }
        if let Some((user, password)) = &self.login {
            let known = [Mechanism::Plain, Mechanism::Login];
            if connection.server_info().get_auth_mechanism(&known).is_none() {
                connection.abort().await;
                let message = format!("{} offers neither of the logins PLAIN and LOGIN", self.name());
                return Err(SendFault::setup(message, "Take out `smtp.user` if it wants no login."));
            }
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            connection.auth(&known, &credentials).await.map_err(|error| {
                let mut fault = self.fault(Step::Login, &error);
                // A server that repeats what it was told.
                fault.message = fault.message.replace(password.expose_secret(), "…");
                fault
            })?;
        }
        Ok(connection)
    }

    async fn deliver(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: Address,
        to: Vec<Address>,
        mail: &[u8],
        begun: &AtomicBool,
    ) -> Result<Handed, SendFault> {
        let foreign = !to.iter().chain([&from]).all(|address| (address.as_ref() as &str).is_ascii());
        if foreign && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let message = format!("{} takes no addresses with letters beyond ASCII (SMTPUTF8)", self.name());
            return Err(SendFault::setup(message, "Use plain addresses."));
        }
        let options = if foreign { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        connection.command(Mail::new(Some(from), options)).await.map_err(|error| self.fault(Step::Sender, &error))?;
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for address in to {
            let name = address.to_string();
            match connection.command(Rcpt::new(address, Vec::new())).await {
                Ok(_) => taken.push(name),
                // Who is not taken keeps the others from nothing.
                Err(error) if error.status().is_some() => {
                    let fault = self.fault(Step::Recipient, &error);
                    refused.push(Refusal { address: name, kind: fault.kind, said: said(&error) });
                }
                Err(error) => return Err(self.fault(Step::Recipient, &error)),
            }
        }
        if taken.is_empty() {
            return Ok(Handed { taken, refused, said: String::new() });
        }
        connection.command(Data).await.map_err(|error| self.fault(Step::Content, &error))?;
        begun.store(true, Ordering::Relaxed);
        let answer = connection.message(mail).await.map_err(|error| self.fault(Step::Content, &error))?;
        let said = tame(&format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" ")));
        Ok(Handed { taken, refused, said })
    }

    fn name(&self) -> String {
        format!("the mail server {}:{}", tame(&self.host), self.port)
    }

    /// What went wrong, and whether it may go better later.
    fn fault(&self, step: Step, error: &Error) -> SendFault {
        let name = self.name();
        if certificate_refused(error) {
            let hint = "The authority that signed it must be among the system's, or in the file that SSL_CERT_FILE names.";
            return SendFault::setup(format!("the certificate of {name} is not accepted: {}", deepest(error)), hint);
        }
        let Some(code) = error.status() else {
            let cause = deepest(error);
            return SendFault::passing(match step {
                // Between the end of the mail and the answer: at least once means to send it again.
                Step::Content => format!("{name} went away before it had taken the mail; whether it arrived is not known: {cause}"),
                Step::Connect => format!("no connection to {name}: {cause}"),
                _ => format!("{name} went away: {cause}"),
            });
        };
        let code = u16::from(code);
        let message = match step {
            Step::Login => format!("{name} refused the login: {}", said(error)),
            Step::Sender => format!("{name} refused the sender: {}", said(error)),
            _ => format!("{name} refused: {}", said(error)),
        };
        match (step, code) {
            (_, 400..=499) => SendFault::passing(message),
            (Step::Login, _) => SendFault::setup(message, "Look at `smtp.user` and at the secret that `smtp.password` names."),
            (Step::Connect | Step::Protect | Step::Sender, _) | (_, 530 | 534 | 535 | 538) => {
                SendFault::setup(message, "Look at `smtp`: the server does not want mail from here like this.")
            }
            (Step::Recipient | Step::Content, _) => SendFault::refused(message, ""),
        }
    }
}

/// The server's own words with its code.
fn said(error: &Error) -> String {
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tame(&error.status().map_or_else(|| words.clone(), |code| format!("{code} {words}")))
}

/// Who says hello: the host's full name. A short one is refused by careful servers, an address is not.
fn hello() -> ClientId {
    let name = host::full_name();
    let good = name.contains('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if good { ClientId::Domain(name) } else { ClientId::default() }
}
