//! TLS as libpq's `sslmode` means it.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};

use super::conninfo::{Roots, SslMode, Tls, TlsVersion};
use super::fault::{Fault, FaultKind};

pub(super) type TlsSocket = StreamOwned<ClientConnection, TcpStream>;

/// What must be read from files, once for all targets.
pub(super) fn config(tls: &Tls) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(provider::default_provider());
    let versions: Vec<_> = [(TlsVersion::V1_2, &rustls::version::TLS12), (TlsVersion::V1_3, &rustls::version::TLS13)]
        .into_iter()
        .filter(|(version, _)| (tls.at_least..=tls.at_most).contains(version))
        .map(|(_, version)| version)
        .collect();
    let pinned = certificates(&tls.roots)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pinned.iter().cloned());
    if !pinned.is_empty() && roots.is_empty() {
        return Err(Fault::config("no root certificate can be used", "Give certificates in PEM by `sslrootcert`."));
    }
    // As libpq: with roots at hand, `require` verifies the chain too; only the name is left.
    let verify = match tls.mode {
        SslMode::VerifyFull => Verify::Name,
        SslMode::VerifyCa => Verify::Chain,
        SslMode::Require if tls.roots != Roots::None => Verify::Chain,
        _ => Verify::Nothing,
    };
    let pinned = if tls.roots == Roots::System { Vec::new() } else { pinned };
    let verifier = Arc::new(Verifier { verify, roots, pinned, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| {
            Fault::config(format!("TLS cannot be set up: {error}"), "Look at ssl_min_protocol_version and ssl_max_protocol_version.")
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            let (chain, key) = (read_chain(certificate)?, read_key(key)?);
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                let message = format!("the client certificate `{}` and its key cannot be used: {error}", certificate.display());
                Fault::config(message, "Check that sslkey belongs to sslcert.")
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    config.enable_sni = tls.sni;
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, Fault> {
    match roots {
        Roots::None => Ok(Vec::new()),
        Roots::File(path) => read_chain(path),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err(Fault::config("the system has no root certificates", "Install the package ca-certificates."));
            }
            Ok(found.certs)
        }
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let wrong = |error: &dyn std::fmt::Display| {
        let message = format!("the certificates in `{}` cannot be read: {error}", path.display());
        Fault::config(message, "Give a file in PEM that this user may read.")
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?.collect();
    let chain = chain.map_err(|error| wrong(&error))?;
    if chain.is_empty() { Err(wrong(&"there are none")) } else { Ok(chain) }
}

/// As libpq: a key that others can read is not used. One that belongs to root may be read by a group.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    if let Ok(about) = fs::metadata(path)
        && about.mode() & if about.uid() == 0 { 0o037 } else { 0o077 } != 0
    {
        let message = format!("the key in `{}` can be read by others", path.display());
        return Err(Fault::config(message, format!("`chmod 0600 {}` mends it.", path.display())));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        let message = format!("the key in `{}` cannot be read: {error}", path.display());
        Fault::config(message, "Give an unencrypted key in PEM that this user may read.")
    })
}

/// Shakes hands. The socket's own time limits hold.
pub(super) fn shake_hands(config: &Arc<ClientConfig>, host: &str, mut socket: TcpStream) -> Result<TlsSocket, io::Error> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host's name cannot stand in a certificate"))?;
    let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}

/// A failed handshake in words.
pub(super) fn fault(error: &io::Error, peer: &str) -> Fault {
    use rustls::Error as E;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<E>());
    let denied = |what: String, hint: &str| Fault::new(FaultKind::Denied, format!("{peer}: {what}"), hint);
    match inner {
        Some(E::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => denied(
            "the server's certificate is not signed by a root that is trusted here".into(),
            "Give the right root by `sslrootcert`; if that is the right one, somebody else answers there.",
        ),
        Some(E::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => denied(
            "the server's certificate is for another name".into(),
            "Connect by a name that stands in the certificate's subjectAltName, or use `sslmode=verify-ca`.",
        ),
        Some(E::InvalidCertificate(error)) => denied(
            format!("the server's certificate is not accepted: {error}"),
            "It must be valid today and an X.509 version 3 certificate with a subjectAltName.",
        ),
        Some(E::AlertReceived(alert)) => denied(
            format!("the server breaks off the TLS handshake: {alert:?}"),
            "The server may want a client certificate (`sslcert`, `sslkey`) or another TLS version.",
        ),
        _ => super::wire::io_fault(error, peer),
    }
}

/// What SCRAM binds to: the hash of the server's certificate by its own signature's hash (RFC 5929, tls-server-end-point).
pub(super) fn end_point(socket: &TlsSocket) -> Option<Vec<u8>> {
    let certificate = socket.conn.peer_certificates()?.first()?;
    let algorithm = match signature_hash(certificate)? {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

#[derive(Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// By the object identifier of the signature. MD5 and SHA-1 count as SHA-256. RSA-PSS and Ed25519 do not name a hash there:
/// nothing is bound to them, and OpenSSL's servers do not either.
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let (whole, _) = element(certificate, SEQUENCE)?;
    let (to_be_signed, after) = element(whole, SEQUENCE)?;
    // Version 1 has no version: rustls cannot check that whoever sent such a certificate has its key.
    if to_be_signed.first() != Some(&0xa0) {
        return None;
    }
    let (algorithm, _) = element(after, SEQUENCE)?;
    let (identifier, _) = element(algorithm, 0x06)?;
    match (identifier.strip_prefix(RSA), identifier.strip_prefix(ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([2])) => Some(Hash::Sha256),
        (Some([12]), _) | (_, Some([3])) => Some(Hash::Sha384),
        (Some([13]), _) | (_, Some([4])) => Some(Hash::Sha512),
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;

/// The contents of the DER element at the front, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // 0x80 would be a length that is found out at the end, which DER does not have.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verify {
    Nothing,
    Chain,
    Name,
}

#[derive(Debug)]
struct Verifier {
    verify: Verify,
    roots: RootCertStore,
    /// The certificates of the root file: a server's own self-signed one may stand there.
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verify == Verify::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let pinned = self.pinned.iter().any(|known| known.as_ref() == end_entity.as_ref());
        if !pinned {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        }
        if self.verify == Verify::Name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.forgiving(verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.forgiving(verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Verifier {
    /// Where nobody asked who the server is, a certificate that rustls cannot read (version 1, as `openssl x509` writes them)
    /// is no reason to go unencrypted. [`end_point`] binds nothing to such a one.
    fn forgiving(&self, verified: Result<HandshakeSignatureValid, rustls::Error>) -> Result<HandshakeSignatureValid, rustls::Error> {
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::BadEncoding | CertificateError::Other(_)))
                if self.verify == Verify::Nothing =>
            {
                Ok(HandshakeSignatureValid::assertion())
            }
            verified => verified,
        }
    }
}
