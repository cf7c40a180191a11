//! Who can open the backups.

use super::Resolver;
use crate::policy::finding::{Code, Finding};
use crate::policy::model::Encryption;
use crate::policy::path::PolicyPath;
use crate::units::clipped;

const BAD_RECIPIENT: Code = Code(212);
const PASSPHRASE: Code = Code(213);
const PRIVATE_KEY: Code = Code(214);
const NOT_SAID: Code = Code(216);
const TWICE: Code = Code(203);

impl Resolver<'_> {
    pub(super) fn encryption(&mut self) -> Option<Encryption> {
        let path = PolicyPath::from(["encryption"]);
        let Some(written) = &self.file.encryption else {
            let stored = !self.file.stores.is_empty();
            if stored && !self.was_cut(&path) {
                self.push(
                    Finding::error(NOT_SAID, PolicyPath::top(), "the policy does not say how backups are encrypted")
                        .hint("Add `encryption: { age: { recipients: [age1…] } }` with a key from `age-keygen`, or say `encryption: { none: { because: … } }` on purpose."),
                );
            }
            return None;
        };
        for (host, key) in &written.writers {
            if let Some(problem) = ssh_problem(key, &["ssh-ed25519"]) {
                self.push(
                    Finding::error(
                        BAD_RECIPIENT,
                        path.key("writers").key(host),
                        format!("this is not a host's public signing key: {problem}"),
                    )
                    .hint("Write the line of its `.pub` file: `ssh-ed25519 AAAA…`."),
                );
            }
        }
        if let Some(none) = &written.none {
            return Some(Encryption::None { because: none.because.clone() });
        }
        if let Some(pgp) = &written.openpgp {
            let digits = |fingerprint: &String| fingerprint.split_whitespace().collect::<String>().to_uppercase();
            for (index, fingerprint) in pgp.recipients.iter().enumerate() {
                let at = path.key("openpgp").key("recipients").item(index);
                if pgp.recipients[..index].iter().any(|before| digits(before) == digits(fingerprint)) {
                    self.push(Finding::warning(TWICE, at.clone(), "this recipient is listed twice").hint("Take one of them out."));
                }
                self.fingerprint(fingerprint, &at);
            }
            if let Some(keys) = &pgp.keys {
                self.absolute(keys, &path.key("openpgp").key("keys"));
            }
            return Some(Encryption::OpenPgp(pgp.clone()));
        }
        let age = written.age.as_ref()?;
        let list = path.key("age").key("recipients");
        for (index, recipient) in age.recipients.iter().enumerate() {
            let at = list.item(index);
            if age.recipients[..index].contains(recipient) {
                self.push(Finding::warning(TWICE, at.clone(), "this recipient is listed twice").hint("Take one of them out."));
            }
            self.recipient(recipient, &at);
        }
        Some(Encryption::Age(age.clone()))
    }

    fn recipient(&mut self, recipient: &str, path: &PolicyPath) {
        let finding = if recipient.to_uppercase().starts_with("AGE-SECRET-KEY-") || recipient.contains("PRIVATE KEY") {
            Finding::error(PRIVATE_KEY, path.clone(), "a private key must not stand in a policy")
                .masked()
                .label("this opens the backups")
                .hint("Write the public key that belongs to it (`age-keygen -y`), and make a new pair: this one has been written down.")
        } else if recipient.starts_with("ssh-") {
            match ssh_problem(recipient, &["ssh-ed25519", "ssh-rsa"]) {
                None => return,
                Some(problem) => Finding::error(BAD_RECIPIENT, path.clone(), format!("this SSH key cannot be used: {problem}"))
                    .hint("Write the whole line of the `.pub` file: `ssh-ed25519 AAAA…`."),
            }
        } else if recipient.starts_with("age1") {
            match age_problem(recipient) {
                None => return,
                Some(problem) => {
                    Finding::error(BAD_RECIPIENT, path.clone(), format!("`{}` is not a public key of age: {problem}", clipped(recipient)))
                        .label("nobody could open a backup for it")
                        .hint("Copy it again from `age-keygen -y IDENTITY`.")
                }
            }
        } else {
            Finding::error(PASSPHRASE, path.clone(), "a recipient is a public key, never a passphrase")
                .masked()
                .label("expected `age1…`, `ssh-ed25519 …` or `ssh-rsa …`")
                .hint("Make a pair with `age-keygen` and write its public key here; a passphrase can protect the identity's file.")
        };
        self.push(finding);
    }

    fn fingerprint(&mut self, fingerprint: &str, path: &PolicyPath) {
        let digits: String = fingerprint.chars().filter(|c| *c != ' ').collect();
        let finding = if fingerprint.contains("PRIVATE KEY") {
            Finding::error(PRIVATE_KEY, path.clone(), "a private key must not stand in a policy")
                .masked()
                .hint("Write the key's fingerprint (`gpg --list-keys --with-colons`).")
        } else if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("`{}` is the fingerprint of a key of version 5 or 6, which not every `gpg` opens", clipped(fingerprint));
            Finding::error(BAD_RECIPIENT, path.clone(), message)
                .label("expected 40 hexadecimal digits")
                .hint("Make a key of version 4, as `gpg --quick-generate-key` does, and write its fingerprint.")
        } else if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Finding::error(BAD_RECIPIENT, path.clone(), format!("`{}` is not the fingerprint of a key", clipped(fingerprint)))
                .label("expected 40 hexadecimal digits")
                .hint("Short ids and addresses can be forged; write the full fingerprint (`gpg --fingerprint`).")
        } else {
            return;
        };
        self.push(finding);
    }
}

/// What keeps a text from being a public key in the form of OpenSSH.
fn ssh_problem(key: &str, kinds: &[&str]) -> Option<String> {
    let mut words = key.split_whitespace();
    let kind = words.next().unwrap_or_default();
    if !kinds.contains(&kind) {
        return Some(format!("it must begin with {}", kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ")));
    }
    let Some(body) = words.next().and_then(base64) else { return Some("what follows is not base64".into()) };
    let inner = body.get(4..4 + kind.len());
    let whole = kind != "ssh-ed25519" || body.len() == 51;
    (inner != Some(kind.as_bytes()) || !whole).then(|| "it is cut short or damaged".into())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in body.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

/// What keeps a text from being an X25519 recipient: age writes them in Bech32, whose checksum catches every slip of the pen.
fn age_problem(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    if text.len() != 62 {
        return Some(format!("it has {} characters instead of 62", text.chars().count()));
    }
    let prefix = b"age".iter().map(|c| u32::from(c >> 5)).chain([0]).chain(b"age".iter().map(|c| u32::from(c & 31)));
    let mut check: u32 = 1;
    let mut feed = |value: u32| {
        let top = check >> 25;
        check = (check & 0x1ff_ffff) << 5 ^ value;
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                check ^= generator;
            }
        }
    };
    prefix.for_each(&mut feed);
    for byte in text.bytes().skip(4) {
        let Some(value) = ALPHABET.iter().position(|known| *known == byte) else {
            return Some("it has a character that such keys never have".into());
        };
        feed(u32::try_from(value).unwrap_or(0));
    }
    (check != 1).then(|| "its checksum is wrong, so a character was changed".into())
}

#[cfg(test)]
mod tests {
    use super::{age_problem, ssh_problem};

    #[test]
    fn a_key_of_age_is_told_from_a_slip_of_the_pen() {
        // The example key of age's own documentation.
        let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        assert_eq!(age_problem(key), None);
        assert!(age_problem(&key.replace("ql3z", "ql3y")).is_some());
        assert!(age_problem("age1short").is_some());
    }

    #[test]
    fn an_ssh_key_is_whole_or_refused() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtGcgxl2B6pBWB";
        assert_eq!(ssh_problem(key, &["ssh-ed25519"]), None);
        assert!(ssh_problem(&key[..60], &["ssh-ed25519"]).is_some());
        assert!(ssh_problem("ssh-dss AAAA", &["ssh-ed25519"]).is_some());
    }
}
