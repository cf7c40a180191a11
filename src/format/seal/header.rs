//! What stands before the encrypted bytes: a line with the version, a stanza for each recipient, a MAC over both.

use age_core::format::Stanza;
use aws_lc_rs::{hkdf, hmac};
use base64::prelude::{BASE64_STANDARD_NO_PAD as BASE64, Engine};
use thiserror::Error;

const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
const COLUMNS: usize = 64;
/// The stanza with which anybody can tell a damaged header from a whole one. It holds the key of the header's MAC, which age
/// derives from the file key apart from the key of the body and one way only: it opens nothing. Who wrote an object is said by
/// signatures, not by the MAC, so nothing is lost by showing it; without it, one flipped bit in a header would be found only by
/// those who hold an identity.
const CHECK: &str = "seawall-check";
/// More than this is not read in search of a header's end: some hundred recipients.
pub const MAX_HEADER: usize = 64 << 10;

/// A header that was read. Who wrote it is known only once the MAC was checked with the file key.
#[derive(Debug)]
pub struct Header {
    pub stanzas: Vec<Stanza>,
    mac: Vec<u8>,
    /// The bytes that the MAC covers.
    covered: Vec<u8>,
    /// Where the nonce begins.
    pub length: usize,
}

/// One of those that a header lets in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockedFor {
    Age,
    Ssh {
        tag: String,
    },
    /// The last eight bytes of the key's fingerprint, in hexadecimal; all zeros where it says nothing.
    OpenPgp {
        id: String,
    },
}

impl LockedFor {
    /// For whom an object is locked, from its beginning.
    pub fn of(bytes: &[u8]) -> Result<Vec<LockedFor>, BadHeader> {
        if super::openpgp::begins_like_ours(bytes) {
            super::openpgp::locked_for(bytes)
        } else {
            Header::parse(bytes).map(|header| header.locked_for())
        }
    }
}

/// By which four bytes a header names a public key of SSH (`ssh-ed25519 AAAA…`).
pub fn ssh_tag(line: &str) -> Option<String> {
    use sha2::{Digest as _, Sha256};
    let blob = base64::prelude::BASE64_STANDARD.decode(line.split_whitespace().nth(1)?).ok()?;
    Some(BASE64.encode(&Sha256::digest(blob)[..4]))
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadHeader {
    #[error("it begins neither like a file of age nor like one of OpenPGP")]
    NotAge,
    #[error("its header is cut short")]
    Short,
    #[error("its header is damaged: {0}")]
    Damaged(&'static str),
}

impl Header {
    /// Reads the header at the beginning of `bytes`, which may hold more than it.
    pub fn parse(bytes: &[u8]) -> Result<Header, BadHeader> {
        let shown = &bytes[..bytes.len().min(VERSION_LINE.len())];
        if !VERSION_LINE.starts_with(shown) {
            return Err(BadHeader::NotAge);
        }
        let mut lines = Lines { bytes, at: VERSION_LINE.len() };
        let mut stanzas = Vec::new();
        loop {
            let before = lines.at;
            let line = lines.next()?;
            if let Some(mac) = line.strip_prefix("--- ") {
                let mac = BASE64.decode(mac).map_err(|_| BadHeader::Damaged("the MAC is not base64"))?;
                return Ok(Header { stanzas, mac, covered: bytes[..before + 3].to_vec(), length: lines.at });
            }
            let mut words = line.strip_prefix("-> ").ok_or(BadHeader::Damaged("a line is neither a stanza nor the MAC"))?.split(' ');
            let tag = words.next().unwrap_or_default().to_owned();
            let args: Vec<String> = words.map(str::to_owned).collect();
            stanzas.push(Stanza { tag, args, body: lines.body()? });
        }
    }

    /// Whether the header is as it was written, as far as that can be told without an identity: by the key that it carries for
    /// this. `None` when it carries none, as those of other programs do not. Says nothing about who wrote it.
    pub fn is_whole(&self) -> Option<bool> {
        let stanza = self.stanzas.iter().find(|stanza| stanza.tag == CHECK)?;
        let key: Option<[u8; 32]> = match stanza.args.as_slice() {
            [key] => BASE64.decode(key).ok().and_then(|key| key.try_into().ok()),
            _ => None,
        };
        Some(key.is_some_and(|key| hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &self.covered, &self.mac).is_ok()))
    }

    /// For whom it is locked, as far as the header tells: keys of age stay anonymous, those of SSH show four bytes of a hash.
    pub fn locked_for(&self) -> Vec<LockedFor> {
        let locked = |stanza: &Stanza| match (stanza.tag.as_str(), stanza.args.first()) {
            ("X25519", _) => Some(LockedFor::Age),
            ("ssh-ed25519" | "ssh-rsa", Some(tag)) => Some(LockedFor::Ssh { tag: tag.clone() }),
            _ => None,
        };
        self.stanzas.iter().filter_map(locked).collect()
    }

    pub(super) fn is_sealed_with(&self, file_key: &[u8; 16]) -> bool {
        hmac::verify(&mac_key(file_key), &self.covered, &self.mac).is_ok()
    }
}

struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, BadHeader> {
        let rest = self.bytes.get(self.at..).ok_or(BadHeader::Short)?;
        let window = &rest[..rest.len().min(8 << 10)];
        let end = window.iter().position(|byte| *byte == b'\n').ok_or(match self.bytes.len() {
            0..MAX_HEADER if window.len() < 8 << 10 => BadHeader::Short,
            _ => BadHeader::Damaged("a line has no end"),
        })?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| BadHeader::Damaged("it is not text"))
    }

    /// Whole lines of 64 columns and a shorter last one, which may be empty.
    fn body(&mut self) -> Result<Vec<u8>, BadHeader> {
        let mut text = String::new();
        loop {
            let line = self.next()?;
            text.push_str(line);
            if line.len() < COLUMNS {
                return BASE64.decode(text).map_err(|_| BadHeader::Damaged("a stanza is not base64"));
            }
            if line.len() > COLUMNS || text.len() > MAX_HEADER {
                return Err(BadHeader::Damaged("a line is too long"));
            }
        }
    }
}

/// The header's bytes, with its MAC.
pub(super) fn write(stanzas: &[&Stanza], file_key: &[u8; 16]) -> Vec<u8> {
    let mut out = VERSION_LINE.to_vec();
    for stanza in stanzas {
        out.extend_from_slice(b"-> ");
        out.extend_from_slice(stanza.tag.as_bytes());
        for arg in &stanza.args {
            out.push(b' ');
            out.extend_from_slice(arg.as_bytes());
        }
        out.push(b'\n');
        let body = BASE64.encode(&stanza.body);
        let mut rest = body.as_str();
        while rest.len() >= COLUMNS {
            let (line, more) = rest.split_at(COLUMNS);
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
            rest = more;
        }
        out.extend_from_slice(rest.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"---");
    let mac = hmac::sign(&mac_key(file_key), &out);
    out.push(b' ');
    out.extend_from_slice(BASE64.encode(mac.as_ref()).as_bytes());
    out.push(b'\n');
    out
}

fn mac_key(file_key: &[u8; 16]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &mac_key_bytes(file_key))
}

fn mac_key_bytes(file_key: &[u8; 16]) -> [u8; 32] {
    let mut key = [0; 32];
    derive(file_key, &[], b"header", &mut key);
    key
}

pub(super) fn check_stanza(file_key: &[u8; 16]) -> Stanza {
    Stanza { tag: CHECK.into(), args: vec![BASE64.encode(mac_key_bytes(file_key))], body: Vec::new() }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF with SHA-256, as age derives all its keys.
pub(super) fn derive(file_key: &[u8; 16], salt: &[u8], info: &[u8], into: &mut [u8]) {
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(file_key)
        .expand(&[info], Length(into.len()))
        .and_then(|material| material.fill(into))
        .expect("32 bytes are within what HKDF can give");
}
