use std::collections::VecDeque;
use std::io::{self, Read};

use crc_fast::{CrcAlgorithm::Crc32Iscsi, Digest};

use super::frames::{Expected, FrameReader, Queue};
use super::pages::Pages;
use super::{Deep, fingerprint, inside, unsealed};
use crate::format::codec::Codec;
use crate::format::descriptor::{Object, ObjectKind};
use crate::format::index::Kind;
use crate::pipeline::{PipelineFault, ReadObject, open_object};
use crate::units::Key;
use crate::verify::Ground;
use crate::verify::report::FaultKind;

/// One part: what stock tools find in its tar must be what its index says, byte for byte.
pub(super) fn look(ground: &Ground<'_>, deep: &Deep, object: &Object, key: &Key) -> Result<Vec<u128>, PipelineFault> {
    let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let expected = Queue::default();
    let frames = frames(ground, deep, object, key, &expected)?;
    let mut archive = tar::Archive::new(frames);
    let mut files = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    for entry in archive.entries().map_err(stream)? {
        let mut entry = entry.map_err(stream)?;
        let member = Member::of(&entry).map_err(stream)?;
        let (crc, wrong) = read(ground, deep, &member, &mut entry, &mut buffer).map_err(stream)?;
        if let Some(what) = wrong {
            inside(ground, key, deep, &member.path, &what);
        }
        if let Some(what) = differs(expected.borrow_mut().pop_front(), &member, crc) {
            inside(ground, key, deep, &member.path, &what);
        }
        if member.kind == Kind::File {
            files.push(fingerprint(&member.path, member.size, crc));
        }
    }
    // What follows the last member is padding; but the index may go on.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(stream)?;
    if let Some(file) = first_left(&mut expected.borrow_mut()) {
        inside(ground, key, deep, &file.path, "the index knows it, and the tar does not have it");
    }
    if object.size == 0 {
        ground.found.fault(FaultKind::Damaged, key, "it is empty", Some(&deep.descriptor.id));
    }
    Ok(files)
}

/// A part of files beside a cluster. Its tar is held against its index byte for byte: names, owners and attributes may be anything there,
/// and not every reader of tars understands all of them.
pub(super) fn look_exactly(ground: &Ground<'_>, deep: &Deep, object: &Object, key: &Key) -> Result<Vec<u128>, PipelineFault> {
    let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let expected = Queue::default();
    let mut frames = frames(ground, deep, object, key, &expected)?.exact();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match frames.read(&mut buffer).map_err(stream)? {
            0 => break,
            got => ground.progress.read(got),
        }
        expected.borrow_mut().retain(|file| !file.is_covered());
    }
    for file in expected.borrow().iter().filter(|file| !file.is_covered()) {
        inside(ground, key, deep, &file.path, "its end is missing");
    }
    Ok(Vec::new())
}

/// The tar, held against its index while it is read.
fn frames(ground: &Ground<'_>, deep: &Deep, object: &Object, key: &Key, expected: &Queue) -> Result<Frames, PipelineFault> {
    let damaged = |key: &Key, what: String| PipelineFault::Damaged { key: key.to_string(), what };
    let index = index_of(deep, object).ok_or_else(|| damaged(key, "no index belongs to it".into()))?;
    let index_key = ground.repository.data(&deep.descriptor.id, &index.name);
    let lines = open_object(ground.store, &index_key, index.size, ground.identities)?;
    let (_, codec, _) = Codec::of_name(key.file_name());
    let stream = |error: io::Error| PipelineFault::of_stream(key.as_str(), &error);
    FrameReader::new(unsealed(ground, key, object.size)?, io::BufReader::new(lines), codec, expected.clone()).map_err(stream)
}

type Frames = FrameReader<Box<dyn Read>, io::BufReader<ReadObject>>;

/// A part and its index have one number.
fn index_of<'d>(deep: &'d Deep, part: &Object) -> Option<&'d Object> {
    let number = |name: &str| name.split('.').next().map(str::to_owned);
    deep.descriptor.objects_of(ObjectKind::Index).find(|index| number(&index.name) == number(&part.name))
}

fn first_left(expected: &mut VecDeque<Expected>) -> Option<Expected> {
    expected.pop_front()
}

/// A member of the tar, as `tar -t` would show it.
struct Member {
    path: String,
    kind: Kind,
    link: Option<String>,
    size: u64,
    at: u64,
}

impl Member {
    fn of<R: Read>(entry: &tar::Entry<'_, R>) -> io::Result<Member> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kind = match entry.header().entry_type() {
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::Symlink => Kind::Link,
            _ => Kind::File,
        };
        Ok(Member {
            path: text(&entry.path_bytes()).trim_end_matches('/').to_owned(),
            kind,
            link: entry.link_name_bytes().map(|link| text(&link)),
            size: entry.size(),
            at: entry.raw_file_position(),
        })
    }
}

/// The file's own checksum, and the first of its pages that is wrong.
fn read(ground: &Ground<'_>, deep: &Deep, member: &Member, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<(u32, Option<String>)> {
    let mut crc = Digest::new(Crc32Iscsi);
    let mut pages = Pages::of(&deep.descriptor.cluster, &member.path);
    loop {
        match from.read(buffer)? {
            0 => break,
            got => {
                crc.update(&buffer[..got]);
                if let Some(pages) = &mut pages {
                    pages.push(&buffer[..got]);
                }
                ground.progress.read(got);
            }
        }
    }
    let crc = u32::try_from(crc.finalize() & 0xFFFF_FFFF).expect("32 bits");
    Ok((crc, pages.and_then(Pages::wrong)))
}

fn differs(expected: Option<Expected>, member: &Member, crc: u32) -> Option<String> {
    let Some(expected) = expected else { return Some("the index does not know it".into()) };
    if expected.path != member.path || expected.kind != member.kind {
        return Some(format!("the index has `{}` in its place", expected.path));
    }
    match member.kind {
        Kind::Directory => None,
        Kind::HardLink | Kind::Fifo => Some("no cluster has such a thing".into()),
        Kind::Link => (expected.link != member.link).then(|| "the index says that it leads elsewhere".into()),
        Kind::File if expected.size != member.size || expected.size > 0 && expected.at != member.at || !expected.is_covered() => {
            Some("the index says that it lies elsewhere".into())
        }
        Kind::File => expected.crc.filter(|said| *said != crc).map(|_| "its CRC-32C is not the one in the index".into()),
    }
}
