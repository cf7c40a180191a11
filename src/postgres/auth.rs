//! Who we are, told to the server.

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use secrecy::{ExposeSecret, SecretString};

use super::conninfo::ChannelBinding;
use super::fault::{Fault, FaultKind};
use super::sockets::Socket;
use super::tls;
use super::wire::Wire;

/// One conversation about who we are.
pub(super) struct Login<'l> {
    pub(super) user: &'l str,
    pub(super) password: Option<&'l SecretString>,
    pub(super) binding: ChannelBinding,
    scram: Option<sasl::ScramSha256>,
    /// The server has shown that it knows the password too.
    proven: bool,
    /// The password was proven to whoever holds the certificate's key, and to nobody between.
    bound: bool,
}

impl<'l> Login<'l> {
    pub(super) fn new(user: &'l str, password: Option<&'l SecretString>, binding: ChannelBinding) -> Self {
        Login { user, password, binding, scram: None, proven: false, bound: false }
    }

    /// Answers one request; true when the server is content.
    pub(super) fn answer(&mut self, request: Message, wire: &mut Wire) -> Result<bool, Fault> {
        match request {
            Message::AuthenticationOk => return self.check_done(wire).map(|()| true),
            Message::AuthenticationCleartextPassword => self.clear_text(wire)?,
            Message::AuthenticationMd5Password(body) => {
                self.unbound(wire)?;
                let hash = md5_hash(self.user.as_bytes(), self.secret(wire)?.as_bytes(), body.salt());
                wire.send(|out| frontend::password_message(hash.as_bytes(), out))?;
            }
            Message::AuthenticationSasl(body) => self.begin_scram(&body, wire)?,
            Message::AuthenticationSaslContinue(body) => {
                let scram = self.scram.as_mut().ok_or_else(|| out_of_turn(wire))?;
                scram.update(body.data()).map_err(|error| distrust(wire, &error))?;
                let message = scram.message();
                wire.send(|out| frontend::sasl_response(message, out))?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let scram = self.scram.as_mut().ok_or_else(|| out_of_turn(wire))?;
                scram.finish(body.data()).map_err(|error| distrust(wire, &error))?;
                self.proven = true;
            }
            _ => {
                let message = format!("{}: the server wants a way of authentication that is not known here", wire.peer);
                return Err(Fault::new(FaultKind::Denied, message, "Let pg_hba.conf ask this user for scram-sha-256."));
            }
        }
        Ok(false)
    }

    /// The server must not skip the part in which it proves itself.
    fn check_done(&self, wire: &Wire) -> Result<(), Fault> {
        if self.scram.is_some() && !self.proven {
            return Err(out_of_turn(wire));
        }
        if self.bound { Ok(()) } else { self.unbound(wire) }
    }

    fn clear_text(&self, wire: &mut Wire) -> Result<(), Fault> {
        self.unbound(wire)?;
        if !wire.socket().is_private() {
            let message = format!("{}: the server wants the password in clear text over an open network; it was not sent", wire.peer);
            return Err(Fault::new(FaultKind::Denied, message, "Use `sslmode=verify-full`, or let pg_hba.conf ask for scram-sha-256."));
        }
        let secret = self.secret(wire)?;
        wire.send(|out| frontend::password_message(secret.as_bytes(), out))
    }

    fn begin_scram(&mut self, body: &AuthenticationSaslBody, wire: &mut Wire) -> Result<(), Fault> {
        let offered: Vec<&str> = body.mechanisms().collect().map_err(|error| distrust(wire, &error))?;
        let end_point = match wire.socket() {
            Socket::Tls(socket) if self.binding != ChannelBinding::Disable => tls::end_point(socket),
            _ => None,
        };
        let (mechanism, binding) = match end_point {
            Some(hash) if offered.contains(&sasl::SCRAM_SHA_256_PLUS) => {
                self.bound = true;
                (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash))
            }
            _ if !offered.contains(&sasl::SCRAM_SHA_256) => {
                let message = format!("{}: the server offers none of the ways of authentication that are known here", wire.peer);
                return Err(Fault::new(FaultKind::Denied, message, "Let pg_hba.conf ask this user for scram-sha-256."));
            }
            // We could, and believe the server cannot: it notices if somebody took its offer away.
            Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        if !self.bound {
            self.unbound(wire)?;
        }
        let scram = sasl::ScramSha256::new(self.secret(wire)?.as_bytes(), binding);
        wire.send(|out| frontend::sasl_initial_response(mechanism, scram.message(), out))?;
        self.scram = Some(scram);
        Ok(())
    }

    fn unbound(&self, wire: &Wire) -> Result<(), Fault> {
        if self.binding != ChannelBinding::Require {
            return Ok(());
        }
        let message = format!("{}: channel binding is required, and the server does not do it", wire.peer);
        Err(Fault::new(FaultKind::Denied, message, "It needs TLS, and a password kept as scram-sha-256."))
    }

    fn secret(&self, wire: &Wire) -> Result<&'l str, Fault> {
        let secret = self.password.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
        secret.ok_or_else(|| {
            let message = format!("{}: the server wants a password, and none is given", wire.peer);
            Fault::new(FaultKind::Denied, message, "Give it by the policy's `cluster.password`, by .pgpass (mode 0600), or by PGPASSWORD.")
        })
    }
}

fn out_of_turn(wire: &Wire) -> Fault {
    Fault::protocol(format!("{}: the server skips a part of the authentication", wire.peer))
}

fn distrust(wire: &Wire, error: &std::io::Error) -> Fault {
    let message = format!("{}: the server did not prove that it knows the password: {error}", wire.peer);
    Fault::new(FaultKind::Denied, message, "Somebody else may answer there: look at host and port.")
}
