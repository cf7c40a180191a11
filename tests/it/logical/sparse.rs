//! A table of more than one file, and next to nothing in it: whatever is done with it takes little.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use seawall::execute::table::source::Wanted;
use seawall::recovery::Target;

use super::rig::{Ground, sql_in};
use crate::clusters::{Options, StopMode, Version};
use crate::drill::killed::ours;
use crate::table_source::rig::{Tables, hash};

const SEGMENT: u64 = 1 << 30;
const LITTLE: u64 = 64 << 20;

/// Makes a file as long as that: behind its end are pages on which nothing ever was.
fn stretch(path: &Path, length: u64) {
    let file = fs::File::options().write(true).create(true).truncate(false).open(path).expect("the table's file");
    file.set_len(length).expect("it can be longer");
}

fn blocks(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| fs::metadata(file).expect("a file").blocks() * 512).sum()
}

/// The most memory that it had at any time.
fn peak(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("it starts");
    let status = format!("/proc/{}/status", ours(&child).as_raw_nonzero());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak).max(peak);
        if let Some(status) = child.try_wait().expect("it runs or has ended") {
            assert!(status.success(), "{status}");
            return peak << 10;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A table with rows at its beginning and at its end, and nothing between.
struct Sparse {
    ground: Ground,
    files: [PathBuf; 2],
}

impl Sparse {
    fn new() -> Sparse {
        let ground = Ground::with(Version::V15, Options::default().archiving("exec ../archive %p"), "");
        ground.rig.archive_into_store();
        ground.sql("create table sparse (n int, t text) with (autovacuum_enabled = off)");
        let first = ground.rig.cluster.data().join(ground.sql("select pg_relation_filepath('sparse')"));
        let files = [first.clone(), first.with_extension("1")];
        let sparse = Sparse { ground, files };
        sparse.insert();
        sparse
    }

    fn insert(&self) {
        self.ground.sql("insert into sparse select k, repeat(md5(k::text), 20) from generate_series(1, 2000) k");
        self.ground.sql("checkpoint");
    }

    /// Up to so many bytes in each of its files, and rows behind that.
    fn stretch(&self, lengths: &[u64]) {
        let cluster = &self.ground.rig.cluster;
        cluster.stop(StopMode::Fast);
        for (file, length) in self.files.iter().zip(lengths) {
            stretch(file, *length);
            cluster.account().own(file);
        }
        cluster.resume();
        self.insert();
        let size = self.ground.sql("select pg_relation_size('sparse')").parse::<u64>().expect("a number");
        assert!(size > lengths.iter().sum(), "{size}");
        let blocks = blocks(&self.files[..lengths.len()]);
        assert!(blocks < LITTLE, "{blocks} bytes on the disk");
    }
}

#[test]
fn a_large_and_sparse_table_takes_little_memory_and_little_room() {
    let sparse = Sparse::new();
    let (ground, cluster) = (&sparse.ground, &sparse.ground.rig.cluster);
    sparse.stretch(&[2 * LITTLE]);
    let before = ground.sql(&hash("sparse"));
    let saving = peak(ground.command(&["backup", "nightly"]));
    let stored = ground.rig.shell("du -sb store | cut -f1").parse::<u64>().expect("a number");
    assert!(stored < LITTLE, "{stored} bytes in the store");
    let segment = cluster.sql("select pg_walfile_name(pg_switch_wal())");
    cluster.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
    let tables = Tables::of(cluster, cluster.programs());
    let wanted = Wanted { database: Some("shop".into()), ..tables.wanted(&["public.sparse"], Target::Latest) };
    let got = tables.hold(&wanted).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
    assert_eq!(got.sql(&hash("sparse")), before);
    drop(got);

    // More than one file, which `pg_dump` and the server read, and nobody writes.
    sparse.stretch(&[SEGMENT, LITTLE]);
    let before = ground.sql(&hash("sparse"));
    let dumping = peak(ground.command(&["backup", "dump"]));
    let loading = peak(ground.command(&["restore", "--into-database", "back", "--create", "--job", "dump", "--yes"]));
    assert_eq!(sql_in(cluster, "back", &hash("sparse")), before);
    assert!(sql_in(cluster, "back", "select pg_relation_size('sparse')").parse::<u64>().expect("a number") < LITTLE);
    for (what, bytes) in [("saving", saving), ("dumping", dumping), ("loading", loading)] {
        assert!(bytes < 2 * LITTLE, "{what} took {bytes} bytes of memory");
    }
}
