//! A recovery after a recovery: three timelines in one repository.

use std::fs;
use std::io::Write;

use super::rig::Rig;
use crate::clusters::{Options, StopMode, Version};

#[test]
fn one_after_the_other() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    // As `alter system` leaves it where the server's encoding is another.
    let mut conf = fs::OpenOptions::new().append(true).open(rig.cluster.data().join("postgresql.auto.conf")).expect("settings");
    conf.write_all(b"cluster_name = 'd\xE9p\xF4t'\nwork_mem = '7MB'\n").expect("written");
    rig.backup();
    rig.load(20);
    let (first, rows_first) = (rig.after_row(10), rig.hash(10));
    rig.archive();
    rig.cluster.stop(StopMode::Fast);

    let second = rig.bring_back("second", &["--to", &first]);
    assert_eq!((second.hash(), second.sql("show work_mem")), (rows_first, "7MB".to_owned()));
    release(&rig, &second);
    second.sql("insert into series (v) select 'second ' || n from generate_series(1, 5) n");
    let (at_second, rows_second) = (moment(&second), second.hash());
    std::thread::sleep(std::time::Duration::from_millis(20));
    second.sql("insert into series (v) values ('not wanted')");
    archive(&second);
    second.stop();

    let third = rig.bring_back("third", &["--to", &at_second]);
    assert_eq!((third.hash(), third.report["reached"]["timeline"].as_u64()), (rows_second, Some(3)));
    release(&rig, &third);
    third.sql("insert into series (v) values ('third')");
    let rows_third = third.hash();
    archive(&third);
    third.stop();

    let newest = rig.bring_back("newest", &["--latest"]);
    assert_eq!((newest.hash(), newest.report["timeline"].as_u64()), (rows_third, Some(3)));
    newest.stop();
    // The end of the first timeline is reached by naming it.
    let old = rig.bring_back("old", &["--latest", "--timeline", "1"]);
    assert_eq!(old.sql("select count(*), max(v) filter (where v like 'second%') from series"), "20|");
}

#[test]
fn beside_the_original_only_by_wish() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    let base = rig.backup();
    rig.load(20);
    let first = rig.after_row(10);
    rig.archive();
    let copy = rig.bring_back("copy", &["--to", &first]);
    let directory = |data: &std::path::Path| data.to_str().expect("text").to_owned();
    let release = |data: &str, more: &[&str]| rig.seawall(&[&["release", "--target", data, "--wait", "60s"], more].concat());

    let original = release(&directory(&rig.cluster.data()), &[]);
    assert!(original.code == 1 && original.err.contains("was not restored by seawall"), "{}", original.err);
    assert_eq!(rig.cluster.sql("select count(*) from pg_settings where name = 'archive_command' and sourcefile like '%auto.conf'"), "0");

    // It need not have archived anything: that it answers is enough.
    let settings = || fs::read(copy.data.join("postgresql.auto.conf")).expect("settings");
    let before = settings();
    for more in [&[][..], &["--fenced-by-hand", "ann: I believe so"]] {
        let refused = release(&directory(&copy.data), more);
        for words in ["goes on, on timeline 1", "TAKES WRITES", "cluster.connection", "--beside-original"] {
            assert!(refused.code == 1 && refused.err.contains(words), "no `{words}` in {}", refused.err);
        }
    }
    // A moment after the copy was promoted: nothing is too late to be lost.
    rig.load(2);
    rig.archive();
    rig.cluster.stop(StopMode::Fast);
    let refused = release(&directory(&copy.data), &[]);
    assert!(
        refused.code == 1 && refused.err.contains("went on: its segment 00000001") && refused.err.contains("--fenced-by-hand"),
        "{}",
        refused.err
    );
    assert_eq!(settings(), before, "nothing was changed before it is known");
    let released = release(&directory(&copy.data), &["--fenced-by-hand", "ann: stopped, and masked"]);
    assert!(released.code == 0 && released.out.contains("fenced by hand: ann"), "{}{}", released.out, released.err);
    assert!(released.out.contains("(cluster.connection) does not answer"), "{}", released.out);
    let again = release(&directory(&copy.data), &["--beside-original"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);

    // Whoever takes the newest is told what he leaves behind; whoever names it is not.
    let shown = directory(&rig.path("shown"));
    // Nobody says yes: the plan is all there is.
    let plan = |timeline: &str| rig.seawall(&["restore", "--latest", "--timeline", timeline, "--target", &shown]);
    let newest = plan("latest");
    let left = "timeline 1 has log past";
    assert!(newest.out.contains("on timeline 2"), "{}{}", newest.out, newest.err);
    assert!(newest.out.contains(left) && newest.out.contains("`--timeline 1` leads there"), "{}", newest.out);
    for named in ["1", "2"] {
        let named = plan(named);
        assert!(named.out.contains("on timeline ") && !named.out.contains(left), "{}{}", named.out, named.err);
    }
    // Whose newest backup it is may have to be said; whoever names one has said it.
    let named = rig.restore("named", &["--immediate", "--backup", &base]);
    assert_eq!(named.code, 0, "{}{}", named.out, named.err);
}

pub fn release(rig: &Rig, restored: &super::rig::Restored) {
    let data = restored.data.to_str().expect("text");
    for _ in 0..2 {
        let said = rig.seawall(&["release", "--target", data, "--wait", "60s"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        assert!(said.out.contains("released"), "{}", said.out);
    }
    let said = rig.seawall(&["release", "--target", data, "--wait", "60s", "--format", "json"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    crate::cli::follows("release-output", &said.out);
}

pub fn moment(restored: &super::rig::Restored) -> String {
    std::thread::sleep(std::time::Duration::from_millis(20));
    restored.sql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")
}

pub fn archive(restored: &super::rig::Restored) {
    let segment = restored.sql("select pg_walfile_name(pg_switch_wal())");
    restored.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
}
