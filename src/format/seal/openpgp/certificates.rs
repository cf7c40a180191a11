//! Public keys as `gpg --export` writes them: which of their parts is encrypted to, and until when.

use std::io::Read as _;

use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PacketHeader, Signature, SignatureType};
use pgp::types::{KeyDetails, PacketLength, Tag, Timestamp};
use zeroize::Zeroizing;

use super::super::KeyError;
use super::keys::{ARMORED, Encrypting, PgpRecipient, blocks, can_encrypt};
use crate::units::Instant;

/// Public keys, of whomever they are.
#[derive(Debug, Clone, Default)]
pub struct Certificates(pub(super) Vec<SignedPublicKey>);

/// What a key says of itself at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStanding {
    /// From when on nothing is encrypted to it; none where that does not come by itself.
    pub ends: Option<Instant>,
    /// The fingerprint of the part that is encrypted to, a subkey mostly; none where it has ended.
    pub part: Option<String>,
}

impl Certificates {
    /// Of somebody's keyring: keys in it that cannot be read are none of those that could be meant.
    pub fn parse(bytes: &[u8]) -> Certificates {
        let mut keys = Vec::new();
        for (_, block) in blocks(bytes) {
            if let Ok((found, _)) = SignedPublicKey::from_reader_many_buf(block) {
                keys.extend(found.filter_map(Result::ok));
            }
        }
        Certificates(keys)
    }

    /// Of a file that was made to be read here. Where its end is missing, a key may have lost what it says of itself: that it was revoked, or
    /// its newest subkey.
    pub fn parse_whole(bytes: &[u8]) -> Result<Certificates, KeyError> {
        let mut keys = Vec::new();
        for (line, block) in blocks(bytes) {
            let armored = block.starts_with(ARMORED.as_bytes());
            let place = if armored { format!("what begins in line {line}") } else { "it".to_owned() };
            let broken = |why: String| KeyError::Export { place: place.clone(), why };
            let packets = if armored { dearmored(block) } else { Ok(block.to_vec()) }.map_err(&broken)?;
            must_be_whole(&packets).map_err(&broken)?;
            let found = SignedPublicKey::from_bytes_many(&packets[..]).map_err(|error| broken(format!("cannot be read: {error}")))?;
            for (number, key) in found.enumerate() {
                keys.push(key.map_err(|_| broken(format!("has a key that cannot be read, the {}", nth(number + 1))))?);
            }
        }
        Ok(Certificates(keys))
    }

    /// What is encrypted to today for the key with this fingerprint: as with `gpg`, its newest subkey that may encrypt.
    pub fn recipient(&self, fingerprint: &str, now: Instant) -> Result<PgpRecipient, KeyError> {
        let (digits, certificate) = self.find(fingerprint)?;
        let key = Standing::new(certificate, now).choose().map_err(|bar| bar.of(&digits))?;
        let recipient = PgpRecipient::new(digits, key);
        // Whatever else may be wrong with a key is better known now than in the middle of a night.
        match recipient.wrap(&Zeroizing::new([0; 32])) {
            Ok(_) => Ok(recipient),
            Err(error) => Err(KeyError::Unusable { key: recipient.fingerprint().to_owned(), why: error.to_string() }),
        }
    }

    /// Until when it can be encrypted to; also of one that has expired.
    pub fn standing(&self, fingerprint: &str, now: Instant) -> Result<KeyStanding, KeyError> {
        let (digits, certificate) = self.find(fingerprint)?;
        let standing = Standing::new(certificate, now);
        let ends = standing.ends().map_err(|bar| bar.of(&digits))?;
        let part = standing.choose().ok().map(|key| key.fingerprint());
        Ok(KeyStanding { ends: ends.and_then(moment), part })
    }

    fn find(&self, fingerprint: &str) -> Result<(String, &SignedPublicKey), KeyError> {
        let digits = hex_digits(fingerprint);
        let is_it = |key: &&SignedPublicKey| format!("{:X}", key.primary_key.fingerprint()) == digits;
        let mut all = self.0.iter().filter(is_it);
        let certificate = all.next().ok_or_else(|| KeyError::NotAmong(digits.clone()))?;
        // An older export knows neither a new subkey nor that the key was revoked.
        if all.any(|other| other != certificate) {
            let why = "it is there more than once, and not the same: leave its newest export alone".to_owned();
            return Err(KeyError::Unusable { key: digits, why });
        }
        Ok((digits, certificate))
    }
}

fn dearmored(block: &[u8]) -> Result<Vec<u8>, String> {
    let mut packets = Vec::new();
    match pgp::armor::Dearmor::new(block).read_to_end(&mut packets) {
        Ok(_) => Ok(packets),
        Err(_) => Err("is cut short or damaged: its armour has no right end".to_owned()),
    }
}

/// Packet by packet up to the end: whoever reads keys alone passes over what is missing.
fn must_be_whole(mut packets: &[u8]) -> Result<(), String> {
    let none = || "is no public key".to_owned();
    let cut = |keys| format!("is cut short or damaged, in the {} key of it", nth(keys));
    let mut keys = 0;
    while !packets.is_empty() {
        let Ok(header) = PacketHeader::try_from_reader(&mut packets) else { return Err(if keys == 0 { none() } else { cut(keys) }) };
        match header.tag() {
            Tag::SecretKey => return Err("is a private key, and a public one belongs there".to_owned()),
            Tag::PublicKey => keys += 1,
            _ if keys == 0 => break,
            _ => {}
        }
        let PacketLength::Fixed(length) = header.packet_length() else { return Err(cut(keys)) };
        packets = usize::try_from(length).ok().and_then(|length| packets.get(length..)).ok_or_else(|| cut(keys))?;
    }
    if keys == 0 { Err(none()) } else { Ok(()) }
}

/// `3rd`
fn nth(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// A fingerprint as it is known everywhere: without spaces, in capitals.
fn hex_digits(fingerprint: &str) -> String {
    fingerprint.split_whitespace().collect::<String>().to_uppercase()
}

fn moment(seconds: u64) -> Option<Instant> {
    i64::try_from(seconds).ok().and_then(|seconds| Instant::from_second(seconds).ok())
}

/// Why nothing is encrypted to a key.
enum Bar {
    /// What it says of itself it will have said only then.
    Ahead(u32),
    Other(String),
}

impl Bar {
    fn of(self, key: &str) -> KeyError {
        let key = key.to_owned();
        match self {
            Bar::Ahead(made) => KeyError::NotYet { key, made: moment(made.into()).unwrap_or_default() },
            Bar::Other(why) => KeyError::Unusable { key, why },
        }
    }
}

impl From<&str> for Bar {
    fn from(why: &str) -> Bar {
        Bar::Other(why.to_owned())
    }
}

/// A public key at a moment.
struct Standing<'k> {
    certificate: &'k SignedPublicKey,
    now: u32,
}

impl<'k> Standing<'k> {
    fn new(certificate: &'k SignedPublicKey, now: Instant) -> Standing<'k> {
        Standing { certificate, now: u32::try_from(now.as_second()).unwrap_or(u32::MAX) }
    }

    fn choose(&self) -> Result<Encrypting, Bar> {
        let primary = &self.certificate.primary_key;
        let own = self.own()?;
        self.must_be_in_time(primary, own)?;
        let mut why = None;
        for subkey in self.subkeys() {
            match self.may_encrypt(subkey) {
                Ok(true) => return Ok(Encrypting::Subkey(Box::new(subkey.key.clone()))),
                Ok(false) => {}
                Err(bar) => why = why.or(Some(bar)),
            }
        }
        if is_for_encryption(primary, own) {
            return Ok(Encrypting::Primary(Box::new(primary.clone())));
        }
        Err(why.unwrap_or_else(|| "none of its keys is for encryption".into()))
    }

    /// When the last of its parts that may encrypt ends, or the key itself. None: never.
    fn ends(&self) -> Result<Option<u64>, Bar> {
        let primary = &self.certificate.primary_key;
        let own = self.own()?;
        let (mut parts, mut why) = (Vec::new(), None);
        for subkey in self.subkeys() {
            match self.binding(subkey) {
                Ok(binding) => parts.extend(binding.map(|binding| end(&subkey.key, binding))),
                Err(bar) => why = why.or(Some(bar)),
            }
        }
        if is_for_encryption(primary, own) {
            parts.push(None);
        }
        let never = u64::MAX;
        let last = parts.into_iter().map(|end| end.unwrap_or(never)).max();
        let last = last.ok_or_else(|| why.unwrap_or_else(|| "none of its keys is for encryption".into()))?;
        Ok(Some(last.min(end(primary, own).unwrap_or(never))).filter(|end| *end < never))
    }

    /// What the key says of itself, unless it was revoked.
    fn own(&self) -> Result<&'k Signature, Bar> {
        let primary = &self.certificate.primary_key;
        if self.certificate.details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok()) {
            return Err("it was revoked".into());
        }
        let details = &self.certificate.details;
        let direct = details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
        let of_users = details.users.iter().flat_map(|user| user.signatures.iter().map(move |signature| (user, signature)));
        let of_users = of_users.filter(|(user, signature)| {
            signature.typ() != Some(SignatureType::CertRevocation) && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        });
        let all: Vec<&Signature> = direct.chain(of_users.map(|(_, signature)| signature)).collect();
        self.newest(&all)?.ok_or_else(|| "it has no signature of its own that is valid".into())
    }

    /// The newest first.
    fn subkeys(&self) -> Vec<&'k SignedPublicSubKey> {
        let mut subkeys: Vec<&SignedPublicSubKey> = self.certificate.public_subkeys.iter().collect();
        subkeys.sort_by_key(|subkey| std::cmp::Reverse(subkey.key.created_at().as_secs()));
        subkeys
    }

    /// None where there is none at all.
    fn newest<'s>(&self, signatures: &[&'s Signature]) -> Result<Option<&'s Signature>, Bar> {
        // An hour for clocks that do not agree.
        let valid = signatures.iter().copied().filter(|signature| made(signature) <= self.now.saturating_add(3600));
        match valid.max_by_key(|signature| made(signature)) {
            Some(newest) => Ok(Some(newest)),
            None => signatures.iter().map(|signature| made(signature)).min().map_or(Ok(None), |first| Err(Bar::Ahead(first))),
        }
    }

    /// By what a subkey is for encryption; an error where it was, and is not any more.
    fn binding(&self, subkey: &'k SignedPublicSubKey) -> Result<Option<&'k Signature>, Bar> {
        let primary = &self.certificate.primary_key;
        let valid: Vec<&Signature> =
            subkey.signatures.iter().filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok()).collect();
        let (revoking, binding): (Vec<&Signature>, Vec<&Signature>) =
            valid.into_iter().partition(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
        if !binding.iter().any(|binding| is_for_encryption(&subkey.key, binding)) {
            return Ok(None);
        }
        let Some(binding) = self.newest(&binding)?.filter(|binding| is_for_encryption(&subkey.key, binding)) else { return Ok(None) };
        if revoking.is_empty() { Ok(Some(binding)) } else { Err("its subkey for encryption was revoked".into()) }
    }

    fn may_encrypt(&self, subkey: &'k SignedPublicSubKey) -> Result<bool, Bar> {
        let Some(binding) = self.binding(subkey)? else { return Ok(false) };
        match self.must_be_in_time(&subkey.key, binding) {
            Err(Bar::Other(why)) => Err(Bar::Other(format!("its subkey for encryption cannot be used: {why}"))),
            other => other.map(|()| true),
        }
    }

    fn must_be_in_time(&self, key: &impl KeyDetails, signature: &Signature) -> Result<(), Bar> {
        let Some(ended) = end(key, signature).filter(|end| *end <= u64::from(self.now)) else { return Ok(()) };
        let day = moment(ended).map_or_else(String::new, |day| day.strftime("%Y-%m-%d").to_string());
        Err(Bar::Other(format!("it expired on {day}")))
    }
}

fn made(signature: &Signature) -> u32 {
    signature.created().map_or(0, Timestamp::as_secs)
}

/// By what the signature says of it; none where that never comes.
fn end(key: &impl KeyDetails, signature: &Signature) -> Option<u64> {
    let lasts = signature.key_expiration_time().map(|lasts| lasts.as_secs()).filter(|lasts| *lasts > 0)?;
    Some(u64::from(key.created_at().as_secs()) + u64::from(lasts))
}

fn is_for_encryption(key: &impl KeyDetails, signature: &Signature) -> bool {
    let flags = signature.key_flags();
    (flags.encrypt_storage() || flags.encrypt_comms()) && can_encrypt(key.algorithm())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Where a packet ends: what was cut off there does not show.
    pub fn boundaries(packets: &[u8]) -> Vec<usize> {
        let (mut rest, mut all) = (packets, Vec::new());
        while !rest.is_empty() {
            let header = PacketHeader::try_from_reader(&mut rest).expect("a packet");
            let PacketLength::Fixed(length) = header.packet_length() else { panic!("{header:?}") };
            rest = &rest[length as usize..];
            all.push(packets.len() - rest.len());
        }
        all
    }

    #[test]
    fn numbers_have_their_endings() {
        let numbers = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(nth);
        assert_eq!(numbers, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
