use std::io::Read;

use age_core::format::Stanza;
use proptest::prelude::*;

use super::*;

fn pair() -> (Recipients, Identities, age::x25519::Identity) {
    use age::secrecy::ExposeSecret;
    let identity = age::x25519::Identity::generate();
    let recipients = Recipients::parse([identity.to_public().to_string().as_str()]).expect("a public key");
    let identities = Identities::parse(identity.to_string().expose_secret().as_bytes(), None).expect("an identity");
    (recipients, identities, identity)
}

pub(super) fn seal(recipients: &Recipients, plain: &[u8], step: usize, more: &[Stanza]) -> Vec<u8> {
    let mut sealer = Sealer::new(recipients).expect("sealed");
    let mut body = Vec::new();
    plain.chunks(step).for_each(|piece| sealer.push(piece, &mut body));
    let mut object = sealer.header(more);
    sealer.finish(&mut body);
    object.append(&mut body);
    object
}

pub(super) fn open(object: &[u8], identities: &Identities) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    Unsealer::new(object, identities)?.read_to_end(&mut plain).map(|_| plain)
}

/// A line for whoever has no key.
pub(super) fn stranger() -> Stanza {
    Stanza { tag: "seawall-wal".into(), args: vec!["1".into(), "x".into()], body: vec![5; 170] }
}

pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 31 % 251).expect("below 251")).collect()
}

/// Sizes around everything that matters: chunks, and the end.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..3, (0usize..4, -2isize..3).prop_map(|(chunks, off)| (chunks * CHUNK).saturating_add_signed(off)), 0usize..300_000]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_is_opened_by_us_and_by_age(length in lengths(), step in prop_oneof![1000usize..200_000, Just(CHUNK)], with in any::<bool>()) {
        let (recipients, identities, identity) = pair();
        let plain = bytes(length);
        let more = if with { vec![stranger()] } else { vec![] };
        let object = seal(&recipients, &plain, step, &more);
        prop_assert_eq!(&open(&object, &identities).expect("ours"), &plain);
        let mut theirs = Vec::new();
        age::Decryptor::new(&object[..]).expect("age reads the header")
            .decrypt(std::iter::once(&identity as &dyn age::Identity)).expect("age has the key")
            .read_to_end(&mut theirs).expect("age reads the body");
        prop_assert_eq!(&theirs, &plain);
    }

    #[test]
    fn any_part_can_be_read_alone(length in lengths(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (recipients, identities, _) = pair();
        let plain = bytes(length);
        let object = seal(&recipients, &plain, 70_000, &[]);
        let size = object.len() as u64;
        let opened = Opened::open(&object[..object.len().min(4096)], &identities).expect("the header");
        prop_assert_eq!(opened.plain_size(size), Ok(length as u64));
        let (a, b) = (a.index(length + 1), b.index(length + 1));
        let range = a.min(b)..a.max(b);
        let wide = range.start as u64..range.end as u64;
        let sealed = opened.sealed_range(wide.clone(), size);
        let mut part = object[sealed.start as usize..sealed.end as usize].to_vec();
        prop_assert_eq!(&*opened.open_range(wide, size, &mut part).expect("it is whole"), &plain[range]);
    }

    #[test]
    fn no_bit_can_be_changed_and_no_byte_left_out(length in lengths(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (recipients, identities, _) = pair();
        let plain = bytes(length);
        let mut object = seal(&recipients, &plain, CHUNK, &[stranger()]);
        let at = at.index(object.len());
        prop_assert!(open(&object[..at], &identities).is_err(), "cut at {}", at);
        object[at] ^= 1 << bit;
        prop_assert!(open(&object, &identities).is_err(), "changed at {}", at);
    }
}

#[test]
fn a_stanza_of_ours_is_found_without_a_key() {
    let (recipients, _, _) = pair();
    let object = seal(&recipients, b"x", 1, &[stranger()]);
    let header = Header::parse(&object).expect("a header");
    let stanza = header.stanzas.iter().find(|stanza| stanza.tag == "seawall-wal").expect("it is there");
    assert_eq!(stanza.body, vec![5; 170]);
}

#[test]
fn another_key_opens_nothing() {
    let (recipients, ..) = pair();
    let (_, others, _) = pair();
    let error = open(&seal(&recipients, b"x", 1, &[]), &others).expect_err("not theirs");
    assert_eq!(error.get_ref().and_then(|error| error.downcast_ref()), Some(&SealError::NoKey));
}

/// Who has opened something is known by what was opened, not by what was tried.
#[test]
fn only_the_identity_that_opened_something_was_used() {
    use age::secrecy::ExposeSecret;
    let (recipients, _, key) = pair();
    let (_, _, other) = pair();
    let text = [&other, &key].map(|key| key.to_string().expose_secret().to_owned()).join("\n");
    let identities = Identities::parse(text.as_bytes(), None).expect("two identities");
    assert!(identities.used().is_empty());
    assert_eq!(open(&seal(&recipients, b"a backup", 3, &[]), &identities).expect("opened"), b"a backup");
    assert_eq!(identities.used(), [Used { key: key.to_public().to_string(), part: None }]);
    let (strangers, ..) = pair();
    open(&seal(&strangers, b"another", 3, &[]), &identities).expect_err("nobody's");
    assert_eq!(identities.used().len(), 1);
}
