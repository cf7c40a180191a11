use std::io::Read;
use std::sync::LazyLock;

use age_core::format::Stanza;
use proptest::prelude::*;

use super::super::{Identities, LockedFor, Opened, Recipients, Sealer, Unsealer};
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

fn seal(recipients: &Recipients, plain: &[u8], step: usize, more: &[Stanza]) -> Vec<u8> {
    let mut sealer = Sealer::new(recipients).expect("sealed");
    let mut body = Vec::new();
    plain.chunks(step).for_each(|piece| sealer.push(piece, &mut body));
    let mut object = sealer.header(more);
    sealer.finish(&mut body);
    object.append(&mut body);
    object
}

fn open(object: &[u8], identities: &Identities) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    Unsealer::new(object, identities)?.read_to_end(&mut plain).map(|_| plain)
}

fn stamp() -> Stanza {
    Stanza { tag: "seawall-wal".into(), args: vec!["1".into(), "x".into()], body: vec![5; 170] }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 31 % 251).expect("below 251")).collect()
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
        let more = if with { vec![stamp()] } else { vec![] };
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
    let (bare, noted) = (sealer.header(&[]), sealer.header(&[stamp()]));
    let (line, end) = note(&noted).expect("packets").expect("a note");
    assert!(line.starts_with(b"seawall-wal 1 x ") && line.ends_with(b"\n"));
    assert_eq!((noted.len() - end, &noted[end..]), (sealer.own_header(), &bare[..]));
    assert_eq!(note(&bare), Ok(None));
    assert_eq!(note(&noted[..end - 1]), Err(super::super::BadHeader::Short));
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
    let fingerprint = PgpIdentity::certificate(PAIR.text.as_bytes()).expect("its public half").1;
    assert_eq!(both.used(), [fingerprint]);
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
    let object = seal(&many(300), b"something", 9, &[stamp()]);
    assert_eq!(open(&object, &PAIR.identities).expect("opened"), b"something");
    assert!(Sealer::new(&many(1200)).is_err());
}
