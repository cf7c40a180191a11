//! Damage of the table is found; damage of another one is none of its affair.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use seawall::format::index::Frames;
use seawall::recovery::Target;

use super::rig::{Tables, hash};
use crate::clusters::{Options, Version};
use crate::restore::rig::{Rig, objects};

/// Changes a bit in the middle of each frame that holds nothing but this file, and so much of it that what lies beside it is sealed apart.
fn damage(rig: &Rig, file: &str) -> usize {
    let mut damaged = 0;
    for index in objects(&rig.path("store"), ".index.") {
        let name = index.display();
        let identity = rig.path("identity.txt");
        let lines = rig.shell(&format!("age -d -i {} {name} | zstd -dc", identity.display()));
        let part = PathBuf::from(index.display().to_string().replace(".index.", ".tar."));
        for frame in Frames::new(lines.as_bytes()).map(|frame| frame.expect("a line")) {
            if frame.len > 4 * 65_536 && frame.pieces.iter().all(|piece| piece.path == file) {
                let mut bytes = fs::read(&part).expect("a part");
                let at = usize::try_from(frame.at + u64::from(frame.len) / 2).expect("fits");
                // What `age` made of it: the header, a nonce, and chunks with a tag behind each.
                let mac = bytes.windows(5).position(|window| window == b"\n--- ").expect("a header") + 5;
                let header = mac + bytes[mac..].iter().position(|byte| *byte == b'\n').expect("its end") + 1;
                let place = header + 16 + at / 65_536 * (65_536 + 16) + at % 65_536;
                bytes[place] ^= 1;
                fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).expect("ours");
                fs::write(&part, bytes).expect("a part");
                damaged += 1;
            }
        }
    }
    damaged
}

#[test]
fn only_the_tables_own_damage_matters() {
    let rig = Rig::start(Version::V15, Options { segment_mb: 1, ..Options::default() });
    for name in ["wanted", "other"] {
        rig.cluster.sql(&format!("create table {name} as select n, md5(n::text || random()) as t from generate_series(1, 400000) n"));
    }
    let before = rig.cluster.sql(&hash("wanted"));
    let [wanted, other] = ["wanted", "other"].map(|name| rig.cluster.sql(&format!("select pg_relation_filepath('{name}')")));
    rig.backup();
    let tables = Tables::of(&rig.cluster, Version::V15.programs());
    assert!(damage(&rig, &other) >= 1);
    let got = tables.hold(&tables.wanted(&["public.wanted"], Target::Immediate(None))).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(got.sql(&hash("wanted")), before);
    drop(got);
    assert!(damage(&rig, &wanted) >= 1);
    let fault = tables.hold(&tables.wanted(&["public.wanted"], Target::Immediate(None))).expect_err("it is damaged");
    assert!(fault.message.contains("part-") && !fault.hint.contains("--delta"), "{fault} / {}", fault.hint);
    tables.nothing_is_left();
}
