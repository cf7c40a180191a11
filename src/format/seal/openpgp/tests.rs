use std::io::Read;
use std::sync::LazyLock;

use pgp::composed::SignedPublicKey;
use proptest::prelude::*;

use super::super::tests::{bytes, open, seal, stranger};
use super::super::{BadHeader, Identities, KeyError, LockedFor, Opened, Recipients, Sealer, Unsealer, Used};
use super::packet::PIECE;
use super::*;
use crate::units::Instant;

fn now() -> Instant {
    Instant::now()
}

struct Pair {
    recipients: Recipients,
    identities: Identities,
    text: String,
}

fn pair() -> Pair {
    let text = PgpIdentity::generate("somebody", now()).expect("a key").to_string();
    let (certificates, fingerprint) = PgpIdentity::certificate(text.as_bytes()).expect("its public half");
    let recipient = certificates.recipient(&fingerprint, now()).expect("a recipient");
    let identities = Identities::parse(text.as_bytes(), None).expect("an identity");
    Pair { recipients: Recipients::openpgp(vec![recipient]), identities, text }
}

static PAIR: LazyLock<Pair> = LazyLock::new(pair);

/// Two public keys: each in an armour of its own, and both as they are.
fn exported() -> (String, Vec<u8>) {
    static BOTH: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
        let keys: Vec<SignedPublicKey> =
            [&PAIR.text, &pair().text].map(|text| PgpIdentity::certificate(text.as_bytes()).expect("its public half").0.0.remove(0)).into();
        let text = keys.iter().map(|key| key.to_armored_string(None.into()).expect("text")).collect();
        (text, keys.iter().flat_map(|key| pgp::ser::Serialize::to_bytes(key).expect("bytes")).collect())
    });
    BOTH.clone()
}

/// Sizes around everything that matters: pieces, their lengths, what stands before the data and behind it.
fn lengths() -> impl Strategy<Value = usize> {
    let around = (1usize..5, -60isize..60).prop_map(|(pieces, off)| (pieces * PIECE).saturating_add_signed(off));
    prop_oneof![0usize..40, around, 0usize..300_000]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_is_opened_by_us_and_by_others(length in lengths(), step in 1000usize..200_000, with in any::<bool>()) {
        let plain = bytes(length);
        let more = if with { vec![stranger()] } else { vec![] };
        let object = seal(&PAIR.recipients, &plain, step, &more);
        prop_assert_eq!(&open(&object, &PAIR.identities).expect("ours"), &plain);
        use pgp::composed::Deserializable as _;
        let (key, _) = pgp::composed::SignedSecretKey::from_string(&PAIR.text).expect("a key");
        let without_note = &object[note(&object).expect("a packet").map_or(0, |(_, end)| end)..];
        let message = pgp::composed::Message::from_bytes(without_note).expect("a message");
        let theirs = message.decrypt(&pgp::types::Password::empty(), &key).expect("decrypted").as_data_vec().expect("data");
        prop_assert_eq!(&theirs, &plain);
    }

    #[test]
    fn any_part_can_be_read_alone(length in lengths(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let plain = bytes(length);
        let object = seal(&PAIR.recipients, &plain, 70_000, &[]);
        let size = object.len() as u64;
        let opened = Opened::open(&object[..object.len().min(4096)], &PAIR.identities).expect("the header");
        prop_assert_eq!(opened.plain_size(size), Ok(length as u64));
        let (a, b) = (a.index(length + 1), b.index(length + 1));
        let range = a.min(b)..a.max(b);
        let wide = range.start as u64..range.end as u64;
        let sealed = opened.sealed_range(wide.clone(), size);
        let mut part = object[sealed.start as usize..sealed.end as usize].to_vec();
        prop_assert_eq!(&*opened.open_range(wide, size, &mut part).expect("it is whole"), &plain[range]);
        let behind = length as u64..length as u64 + 1;
        let sealed = opened.sealed_range(behind.clone(), size);
        let mut part = object[sealed.start as usize..sealed.end as usize].to_vec();
        prop_assert!(opened.open_range(behind, size, &mut part).is_err(), "nothing lies behind the end");
    }

    #[test]
    fn no_bit_of_the_body_can_be_changed_and_no_byte_left_out(length in lengths(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut object = seal(&PAIR.recipients, &bytes(length), PIECE, &[]);
        let cut = at.index(object.len());
        prop_assert!(open(&object[..cut], &PAIR.identities).is_err(), "cut at {}", cut);
        let body_at = packet::Beginning::parse(&object).expect("a beginning").body_at;
        let at = body_at + at.index(object.len() - body_at);
        object[at] ^= 1 << bit;
        prop_assert!(open(&object, &PAIR.identities).is_err(), "changed at {}", at);
        object[at] ^= 1 << bit;
        object.push(0);
        prop_assert!(open(&object, &PAIR.identities).is_err(), "something lies behind it");
    }

    /// Another key would not help whoever is told that none opens it.
    #[test]
    fn a_damaged_packet_of_a_recipient_is_damage(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut object = seal(&PAIR.recipients, b"x", 1, &[]);
        let at = at.index(packet::Beginning::parse(&object).expect("a beginning").body_at);
        object[at] ^= 1 << bit;
        match open(&object, &PAIR.identities) {
            Ok(plain) => prop_assert_eq!(plain, b"x"),
            Err(error) => {
                let is_of_keys = matches!(
                    error.get_ref().and_then(|error| error.downcast_ref()),
                    Some(SealError::NoKey | SealError::Identity(_))
                );
                prop_assert!(!is_of_keys, "at {at}: {error}");
            }
        }
    }

    #[test]
    fn an_export_that_was_cut_short_is_refused(at in any::<prop::sample::Index>(), armored in any::<bool>()) {
        let (text, packets) = exported();
        let whole = if armored { text.as_bytes() } else { &packets };
        prop_assert_eq!(Certificates::parse_whole(whole).expect("whole").0.len(), 2);
        // What is behind the armour's last line is nothing.
        let cut = &whole[..at.index(whole.len() - 20)];
        // Where one ends and nothing of the next one shows, nothing is known to be missing.
        let end = "END PGP PUBLIC KEY BLOCK-----";
        let first = text.find(end).expect("two blocks") + end.len();
        let is_between = if armored { (first..first + 20).contains(&cut.len()) } else { certificates::tests::boundaries(&packets).contains(&cut.len()) };
        prop_assert!(Certificates::parse_whole(cut).is_err() || is_between, "{} of {}", cut.len(), whole.len());
        // Of somebody's keyring, what can be read is taken.
        Certificates::parse(cut);
    }

    #[test]
    fn nonsense_is_refused_without_a_panic(object in proptest::collection::vec(any::<u8>(), 0..400), first in prop_oneof![Just(0xc1u8), Just(0xd2), Just(0xfd)]) {
        let object = [vec![first], object].concat();
        prop_assert!(open(&object, &PAIR.identities).is_err());
        let _ = note(&object);
        let _ = LockedFor::of(&object);
    }
}

#[test]
fn a_note_is_found_without_a_key_and_covers_nothing_else() {
    let sealer = Sealer::new(&PAIR.recipients).expect("a sealer");
    let (bare, noted) = (sealer.header(&[]), sealer.header(&[stranger()]));
    let (line, end) = note(&noted).expect("packets").expect("a note");
    assert!(line.starts_with(b"seawall-wal 1 x ") && line.ends_with(b"\n"));
    assert_eq!((noted.len() - end, &noted[end..]), (sealer.own_header(), &bare[..]));
    assert_eq!(note(&bare), Ok(None));
    assert_eq!(note(&noted[..end - 1]), Err(BadHeader::Short));
}

#[test]
fn another_key_opens_nothing_and_only_the_one_that_does_was_used() {
    let other = pair();
    let object = seal(&PAIR.recipients, b"x", 1, &[]);
    let error = open(&object, &other.identities).expect_err("not theirs");
    assert_eq!(error.get_ref().and_then(|error| error.downcast_ref()), Some(&SealError::NoKey));
    assert!(other.identities.used().is_empty());
    let mut both = Identities::parse(PAIR.text.as_bytes(), None).expect("one");
    both.merge(other.identities);
    assert_eq!(open(&object, &both).expect("opened"), b"x");
    let (certificates, key) = PgpIdentity::certificate(PAIR.text.as_bytes()).expect("its public half");
    let part = certificates.standing(&key, now()).expect("a key").part;
    assert!(part.as_ref().is_some_and(|part| *part != key), "a subkey opens it: {part:?}");
    assert_eq!(both.used(), [Used { key, part }]);
}

#[test]
fn a_file_may_have_keys_of_both_kinds() {
    use age::secrecy::ExposeSecret as _;
    let age = age::x25519::Identity::generate();
    let other = pair();
    let text = format!("# of old\n{}\n\n{}\n{}", age.to_string().expose_secret(), PAIR.text, other.text);
    let identities = Identities::parse(text.as_bytes(), None).expect("three");
    assert_eq!((identities.public().len(), identities.fingerprints().count()), (1, 2));
    assert_eq!(open(&seal(&other.recipients, b"x", 1, &[]), &identities).expect("opened"), b"x");
    let recipients = Recipients::parse([age.to_public().to_string().as_str()]).expect("a recipient");
    assert_eq!(open(&seal(&recipients, b"y", 1, &[]), &identities).expect("opened"), b"y");
}

#[test]
fn armour_holds_what_was_put_in() {
    for length in [1, 3, 300, 70_000] {
        let object = seal(&PAIR.recipients, &bytes(length), PIECE, &[]);
        let text = armor(&object);
        assert!(text.starts_with(ARMOR));
        assert_eq!(dearmor(&text).expect("armour"), object);
    }
}

/// Which of two exports is the newer one, nobody can tell.
#[test]
fn a_key_that_is_there_twice_and_not_the_same_is_refused() {
    let (mut certificates, fingerprint) = PgpIdentity::certificate(PAIR.text.as_bytes()).expect("its public half");
    certificates.0.push(certificates.0[0].clone());
    certificates.recipient(&fingerprint, now()).expect("the same export twice is one");
    certificates.0[1].public_subkeys.clear();
    let refused = certificates.recipient(&fingerprint, now()).expect_err("they differ").to_string();
    assert!(refused.contains("more than once"), "{refused}");
}

/// Whoever reads on behind a fault must not take it for the end.
#[test]
fn a_wrong_hash_stays_wrong() {
    for length in [0, 10, 3 * PIECE] {
        let mut object = seal(&PAIR.recipients, &bytes(length), 4096, &[]);
        *object.last_mut().expect("bytes") ^= 1;
        let Ok(mut reader) = Unsealer::new(&object[..], &PAIR.identities) else {
            assert!(length < PIECE, "of a long object, the beginning is whole");
            continue;
        };
        let mut piece = vec![0; 1 << 20];
        let mut is_over = false;
        for _ in 0..100 {
            is_over |= matches!(reader.read(&mut piece), Ok(0));
        }
        assert!(!is_over, "{length}");
    }
}

#[test]
fn more_recipients_than_can_be_read_are_refused() {
    let (certificates, fingerprint) = PgpIdentity::certificate(PAIR.text.as_bytes()).expect("its public half");
    let many = |count| Recipients::openpgp((0..count).map(|_| certificates.recipient(&fingerprint, now()).expect("a key")).collect());
    let object = seal(&many(300), b"something", 9, &[stranger()]);
    assert_eq!(open(&object, &PAIR.identities).expect("opened"), b"something");
    assert!(Sealer::new(&many(1200)).is_err());
}

#[test]
fn one_damaged_packet_is_no_obstacle_for_the_others() {
    let other = pair();
    let recipient = |pair: &Pair| {
        let (certificates, fingerprint) = PgpIdentity::certificate(pair.text.as_bytes()).expect("its public half");
        certificates.recipient(&fingerprint, now()).expect("a recipient")
    };
    let object = seal(&Recipients::openpgp(vec![recipient(&other), recipient(&PAIR)]), b"x", 1, &[]);
    // The version, and the key's name.
    for at in [2, 5] {
        let mut damaged = object.clone();
        damaged[at] ^= 0x40;
        assert_eq!(open(&damaged, &PAIR.identities).expect("opened"), b"x");
        let error = open(&damaged, &other.identities).expect_err("damaged");
        let error = error.get_ref().and_then(|error| error.downcast_ref());
        assert!(matches!(error, Some(SealError::Header(BadHeader::Damaged(_)))), "{at}: {error:?}");
    }
}

#[test]
fn a_broken_export_is_refused_with_its_place() {
    let (text, packets) = exported();
    let refused = |bytes: &[u8]| Certificates::parse_whole(bytes).expect_err("broken").to_string();
    let second = text.lines().position(|line| line.contains("END PGP")).expect("its end") + 2;
    let without_end: Vec<&str> = text.lines().take(text.lines().count() - 1).collect();
    assert_eq!(
        refused(without_end.join("\n").as_bytes()),
        format!("what begins in line {second} is cut short or damaged: its armour has no right end")
    );
    assert_eq!(refused(&packets[..packets.len() - 3]), "it is cut short or damaged, in the 2nd key of it");
    assert_eq!(refused(b"<html>not found</html>\n"), "it is no public key");
    assert_eq!(refused(b""), "it is no public key");
    let private = format!("{text}{}", PAIR.text);
    assert!(refused(private.as_bytes()).ends_with("is a private key, and a public one belongs there"));
    // What people write before it is no part of it.
    assert_eq!(Certificates::parse_whole(format!("our keys, as of May\n\n{text}").as_bytes()).expect("whole").0.len(), 2);
}

#[test]
fn a_key_that_was_made_while_the_clock_was_ahead_is_not_valid_yet() {
    let (certificates, fingerprint) = PgpIdentity::certificate(PAIR.text.as_bytes()).expect("its public half");
    let before = now() - jiff::SignedDuration::from_hours(48);
    let early = certificates.recipient(&fingerprint, before).expect_err("not yet");
    let KeyError::NotYet { made, .. } = early else { panic!("{early:?}") };
    assert!(now().duration_since(made).as_hours() < 24, "{made}");
    certificates.recipient(&fingerprint, made).expect("valid from then on");
    assert_eq!(certificates.standing(&fingerprint, now()).expect("a key").ends, None);
}

#[test]
fn an_identity_of_age_under_a_passphrase_may_stand_beside_a_key() {
    use age::secrecy::{ExposeSecret as _, SecretString};
    use std::io::Write as _;
    let age = age::x25519::Identity::generate();
    let passphrase = SecretString::from("correct horse".to_owned());
    let locked = |format| {
        let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
        recipient.set_work_factor(2);
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).expect("one recipient");
        let mut text = Vec::new();
        let armor = age::armor::ArmoredWriter::wrap_output(&mut text, format).expect("memory takes all");
        let mut writer = encryptor.wrap_output(armor).expect("memory takes all");
        writer.write_all(age.to_string().expose_secret().as_bytes()).expect("memory takes all");
        writer.finish().and_then(age::armor::ArmoredWriter::finish).expect("memory takes all");
        text
    };
    let text = locked(age::armor::Format::AsciiArmor);
    let key = PAIR.text.as_bytes();
    for both in [[&text[..], b"\n", key].concat(), [key, b"\n# of old\n", &text[..]].concat()] {
        let identities = Identities::parse(&both, Some(&passphrase)).expect("both");
        assert_eq!((identities.public().len(), identities.fingerprints().count()), (1, 1));
        assert_eq!(Identities::parse(&both, None).expect_err("locked"), KeyError::PassphraseMissing);
        let wrong = SecretString::from("wrong horse".to_owned());
        assert_eq!(Identities::parse(&both, Some(&wrong)).expect_err("locked"), KeyError::PassphraseWrong);
    }
    let text = locked(age::armor::Format::Binary);
    for both in [[&text[..], b"\n", key].concat(), [key, &text[..]].concat()] {
        assert_eq!(Identities::parse(&both, Some(&passphrase)).expect_err("not beside"), KeyError::BesideBinary);
    }
    assert_eq!(Identities::parse(&text, Some(&passphrase)).expect("alone").public().len(), 1);
}
