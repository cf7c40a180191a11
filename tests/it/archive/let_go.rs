//! What has been in the archive for as long as `keep` says goes, and nothing else does.

use std::path::PathBuf;

use seawall::units::Instant;

use super::rig::{Ground, SUM};
use crate::clusters::{Cluster, Options, Version};

const KEEPS: &str =
    "expire: { grace: 1d }\narchive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk, keep: 5y } }\n";
/// The oldest rows moved so long ago.
const AGES: &str =
    "update seawall.archived set removed = now() - interval '6 years' where extent = (select min(extent) from seawall.archived)";

impl Ground {
    pub(super) fn files(&self, below: &str) -> Vec<PathBuf> {
        let found = self.run.rig.shell(&format!("find store -path '*/{below}/*' -type f | sort"));
        found.lines().map(PathBuf::from).collect()
    }

    /// The marks are two days old now.
    pub(super) fn two_days_later(&self) {
        self.run.rig.shell("find store -path '*/expiring/archive/*' -type f -exec touch -d '2 days ago' {} +");
    }

    pub(super) fn extents(&self) -> Vec<String> {
        self.list().iter().map(|extent| extent["extent"].as_str().expect("an id").to_owned()).collect()
    }
}

/// How long ago only the oldest rows were old enough: those of 2020 were young then, however late it is now.
fn days_since_then() -> String {
    let then: Instant = "2020-11-22T09:00:00Z".parse().expect("a moment");
    format!("-{}d", Instant::now().duration_since(then).as_hours() / 24)
}

/// Two extents, and the first was exported in 2020.
fn moved(ground: &Ground) -> Vec<String> {
    ground.sql(
        "insert into orders select 20000 + i, timestamptz '2015-01-01 00:00+00' + i * interval '1 day', 1 from generate_series(1, 50) i",
    );
    ground.say_then(&days_since_then(), &["run", "old-orders"]).ends_with_code(0);
    ground.archive();
    let all = ground.extents();
    assert_eq!(all.len(), 2, "{all:?}");
    all
}

#[test]
fn its_time_is_over_it_is_marked_and_goes_when_the_grace_is_over() {
    let ground = Ground::with(KEEPS);
    let all = moved(&ground);
    let stays = ground.sql(&format!("{SUM} orders t"));
    // Young: nothing happens.
    assert_eq!(ground.files("expiring/archive"), Vec::<PathBuf>::new());
    ground.sql(AGES);
    ground.archive();
    let marks = ground.files("expiring/archive");
    assert_eq!(marks.len(), 1);
    let going = marks[0].file_stem().expect("a name").to_string_lossy().into_owned();
    ground.archive();
    assert_eq!(ground.extents(), all, "its grace is not over");
    ground.two_days_later();
    ground.archive().says("rows deleted from the archive");
    let left: Vec<String> = all.iter().filter(|id| **id != going).cloned().collect();
    assert_eq!((ground.extents(), ground.files("expiring/archive").len()), (left, 0));
    assert!(ground.run.rig.shell("find store -path '*/archive/*'").lines().all(|path| !path.contains(&going)));
    assert_eq!(ground.sql(&format!("{SUM} orders t")), stays);
    let mut told = ground.run.say(&["audit", "show"]);
    for words in ["marked, because their time is over", "about to be deleted for good", "were deleted for good"] {
        told = told.says(words);
    }
    ground.verify();
    ground.archive();
}

/// A database whose clock was wrong when rows left it says that it was long ago; the export says when it was.
#[test]
fn what_only_the_database_calls_old_stays() {
    let ground = Ground::with(KEEPS);
    let all = moved(&ground);
    ground.sql("update seawall.archived set removed = now() - interval '6 years'");
    ground.archive();
    let marks = ground.files("expiring/archive");
    assert!(marks.len() == 1 && marks[0].to_string_lossy().contains(&all[0]), "{marks:?} of {all:?}");
}

#[test]
fn a_hold_and_a_longer_keep_take_the_mark_off() {
    let ground = Ground::with(KEEPS);
    let all = moved(&ground);
    ground.sql(AGES);
    ground.archive();
    ground.two_days_later();
    ground.run.add("holds: { case: { reason: litigation, rows: { database: postgres, table: public.orders, where: customer = 3 } } }\n");
    ground.archive().says("the table is under hold");
    assert_eq!((ground.extents(), ground.files("expiring/archive").len()), (all.clone(), 0));
    // The hold ends: the grace begins anew.
    ground.run.change("where: customer = 3", "to: 1999-01-01");
    ground.run.change("holds: { case: { reason: litigation,", "holds: { case: { reason: litigation, until: 2020-01-01,");
    ground.archive();
    assert_eq!((ground.extents(), ground.files("expiring/archive").len()), (all.clone(), 1));
    ground.two_days_later();
    ground.run.change("keep: 5y", "keep: 50y");
    ground.archive();
    assert_eq!((ground.extents(), ground.files("expiring/archive").len()), (all.clone(), 0));
    // What the database has not on record as gone is never let go.
    ground.run.change("keep: 50y", "keep: 5y");
    ground.archive();
    ground.two_days_later();
    ground.sql("delete from seawall.archived where removed < now() - interval '5 years'");
    ground.archive();
    assert_eq!(ground.files("expiring/archive").len(), 0);
    assert_eq!(ground.extents(), all);
}

/// A new table has the name of the one that it left, and the hold names that one as it is called now.
#[test]
fn a_hold_on_a_table_by_its_new_name_keeps_what_left_it() {
    let ground = Ground::with(KEEPS);
    let all = moved(&ground);
    ground.sql(AGES);
    ground.archive();
    assert_eq!(ground.files("expiring/archive").len(), 1);
    ground.sql(
        "alter table orders rename to orders_2020; create table orders (like orders_2020 including all); create table letters (at date)",
    );
    ground.run.add("holds: { case: { reason: litigation, rows: { database: postgres, table: orders_2020 } } }\n");
    let stays = |words: &str| {
        for _ in 0..2 {
            ground.two_days_later();
            ground.archive().says(words);
            assert_eq!((ground.extents(), ground.files("expiring/archive").len()), (all.clone(), 0));
        }
    };
    stays("another table has their rows");
    // It is gone, and nobody can tell any more whether one of the holds meant it.
    ground.sql("drop table orders_2020");
    ground.run.change("table: orders_2020", "table: letters");
    stays("a hold stands in this database");
    ground.run.change("reason: litigation,", "reason: litigation, until: 2020-01-01,");
    ground.archive();
    ground.two_days_later();
    ground.archive().says("rows deleted from the archive");
    assert_eq!(ground.extents().len(), 1);
}

/// It has another identifier, and the record that it had before.
#[test]
fn an_upgraded_cluster_lets_go_of_what_left_before() {
    let ground = Ground::with(KEEPS);
    let all = moved(&ground);
    ground.sql(AGES);
    let old = &ground.run.rig.cluster;
    let upgraded = Cluster::start(Version::V15, Options::default());
    let dump = old.program("pg_dump").args(["-d", &old.conninfo()]).output().expect("pg_dump");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    std::fs::write(ground.run.file("dump.sql"), dump.stdout).expect("the dump");
    let file = ground.run.file("dump.sql").display().to_string();
    let loaded = old.program("psql").args(["-v", "ON_ERROR_STOP=1", "-qd", &upgraded.conninfo(), "-f", &file]).output().expect("psql");
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    ground.run.change(&old.conninfo(), &upgraded.conninfo());
    ground.archive();
    let marks = ground.files("expiring/archive");
    assert_eq!(marks.len(), 1, "{marks:?}");
    // A longer stay takes the mark off here too.
    ground.run.change("keep: 5y", "keep: 50y");
    ground.archive();
    assert_eq!(ground.files("expiring/archive").len(), 0);
    ground.run.change("keep: 50y", "keep: 5y");
    ground.archive();
    ground.two_days_later();
    ground.archive().says("rows deleted from the archive");
    assert_eq!((ground.extents().len(), all.len()), (1, 2));
}

#[test]
fn what_a_killed_run_began_the_next_one_finishes() {
    let ground = Ground::with(KEEPS);
    moved(&ground);
    ground.sql(AGES);
    ground.archive();
    ground.two_days_later();
    let going = ground.files("expiring/archive")[0].file_stem().expect("a name").to_string_lossy().into_owned();
    ground.run.rig.shell(&format!("rm store/*/archive/{going}.json"));
    ground.archive();
    assert_eq!(ground.files("expiring/archive").len(), 0);
    assert_eq!(ground.run.rig.shell(&format!("find store -path '*{going}*'")).trim(), "");
}

/// What was exported, and exported anew because a row had changed by then, goes when the grace is over: not without it, not under a hold.
#[test]
fn what_was_exported_anew_goes() {
    let ground =
        Ground::with("expire: { grace: 1d }\narchive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n");
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    ground.archive();
    let first = ground.extents();
    ground.sql("update orders set note = 'changed' where id = 700");
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.archive();
    assert_eq!(ground.sql("select count(*) from orders"), "0");
    let list = ground.list();
    let of = |is_first: bool| {
        list.iter().find(|one| first.contains(&one["extent"].as_str().expect("an id").to_owned()) == is_first).expect("one")
    };
    assert_eq!((list.len(), &of(true)["superseded_by"], of(true)["removed"].as_bool()), (2, &of(false)["extent"], Some(false)));
    assert_eq!((of(false).get("superseded_by"), of(false)["removed"].as_bool()), (None, Some(true)));
    ground.run.say(&["archive", "list"]).says("superseded by");
    // It is looked after as long as it is there, and does not come back.
    ground.verify();
    let back = ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1500 rows of 1 extent");
    assert!(!back.out.contains("not brought back"), "{}", back.out);
    assert_eq!(ground.sql("select note from orders_archived where id = 700"), "changed");
    ground.archive();
    assert_eq!((ground.extents().len(), ground.files("expiring/archive").len()), (2, 1));
    ground.run.say(&["audit", "show"]).says("marked, because they were exported anew");
    ground.two_days_later();
    ground.run.add(
        "holds: { case: { reason: litigation, until: 2099-01-01, rows: { database: postgres, table: orders, where: customer = 3 } } }\n",
    );
    ground.archive().says("the table is under hold");
    assert_eq!((ground.extents().len(), ground.files("expiring/archive").len()), (2, 0));
    ground.run.change("until: 2099-01-01", "until: 2020-01-01");
    ground.archive();
    assert_eq!(ground.files("expiring/archive").len(), 1);
    // The later one's rows are in the table again: what was exported first may be what it looks like, and stays.
    ground.run.say(&["archive", "restore", "--table", "orders", "--into", "orders"]).ends_with_code(0);
    ground.two_days_later();
    ground.archive();
    assert_eq!((ground.extents().len(), ground.files("expiring/archive").len()), (2, 0));
    ground.archive();
    ground.two_days_later();
    ground.archive().says("1 extent deleted from the archive: their rows were exported anew");
    assert_eq!(ground.extents(), [of(false)["extent"].as_str().expect("an id").to_owned()]);
    ground.verify();
    ground.sql("drop table orders_archived");
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1500 rows");
}

/// Read back elsewhere, and changed each time before it could be taken out: the first and the last stay, and the last one goes out in the end.
#[test]
fn what_keeps_changing_leaves_no_copy_with_every_run() {
    let ground = Ground::with(
        "expire: { grace: 1d }\narchive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n\
         alerts: { thresholds: { archive_unread: { above: 10d, severity: critical } } }\n",
    );
    ground.run.rig.shell("mv identity.txt elsewhere.txt");
    let identity = ground.run.file("elsewhere.txt").display().to_string();
    let read = || drop(ground.run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0));
    let marks = || ground.files("expiring/archive").len();
    let change = || drop(ground.sql("update orders set ratio = ratio + 1 where id = 700"));
    // The oldest first, and how many rows each has.
    let extents = || {
        let exported = |one: &serde_json::Value| one["exported"].as_str().expect("a moment").parse::<Instant>().expect("a moment");
        let mut list = ground.list();
        list.sort_by_key(exported);
        list.iter()
            .map(|one| (one["extent"].as_str().expect("an id").to_owned(), one["rows"].as_u64().expect("a number")))
            .collect::<Vec<_>>()
    };
    ground.say_then("-11d", &["run", "old-orders"]).ends_with_code(0);
    for (count, words) in [(2, "have changed since they were exported"), (3, "keep changing"), (4, "keep changing")] {
        read();
        change();
        ground.archive().says(words);
        assert_eq!(extents().len(), count);
    }
    let all = extents();
    assert_eq!(marks(), 1);
    ground.two_days_later();
    ground.archive().says("1 extent deleted from the archive: their rows were exported anew");
    assert_eq!((extents(), marks()), (vec![all[0].clone(), all[2].clone(), all[3].clone()], 1));
    // One of them has rows that are deleted in the table by hand: it may be their only copy.
    ground.sql("insert into orders (id, placed_at) values (-1, '2019-03-01'), (-2, '2019-03-02')");
    read();
    ground.archive().says("keep changing");
    ground.sql("delete from orders where id < 0");
    read();
    ground.archive().says("keep changing");
    read();
    change();
    ground.two_days_later();
    ground.archive().says("2 extents deleted").says("may be the only copy of rows");
    assert_eq!(extents().iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [1500, 1502, 1500, 1500]);
    // The last one has just been exported, and the first of them long ago.
    ground.run.say(&["watch"]);
    ground.run.say(&["status"]).says("archive_unread:archive.old-orders");
    // Everything is dropped by hand: each row comes back once, as it was last.
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags";
    let last = ground.sql(&format!("{SUM} (select {columns} from orders) t"));
    ground.sql("create table aside as table orders; truncate orders");
    let back = ground.run.say(&["archive", "restore", "--table", "orders", "--identity", &identity]).ends_with_code(0);
    back.says("1500 rows of 1 extent").says("with 1500 rows instead of 1502");
    assert_eq!(ground.sql(&format!("{SUM} (select {columns} from orders_archived) t")), last);
    ground.sql(&format!("insert into orders ({columns}) select {columns} from aside"));
    // Nobody changes them any more: the last one goes out of the table as it is, and the others go from the archive.
    ground.run.rig.shell("mv elsewhere.txt identity.txt");
    ground.archive();
    assert_eq!((ground.sql("select count(*) from orders"), extents().len()), ("0".into(), 4));
    ground.archive();
    ground.two_days_later();
    // But for the one that had more: nobody knows whether what is missing went on purpose.
    ground.archive().says("2 extents deleted").says("may be the only copy of rows");
    assert_eq!(extents().iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [1502, 1500]);
}

/// It came back into its table by this database's own record, was changed there and left anew: the later extent has what there is of it.
#[test]
fn what_came_back_and_left_anew_goes() {
    let ground =
        Ground::with("expire: { grace: 1d }\narchive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n");
    ground.archive();
    let first = ground.extents();
    let marks = || ground.files("expiring/archive").len();
    ground.run.say(&["archive", "restore", "--table", "orders", "--into", "orders"]).ends_with_code(0).says("1500 rows");
    ground.sql("update orders set note = 'changed' where id = 700");
    ground.archive();
    assert_eq!((ground.sql("select count(*) from orders"), ground.extents().len(), marks()), ("0".into(), 2, 0));
    // By a record of another time or place, it is no copy: what it has may be gone from where that is.
    let returned = ground.sql("select returned from seawall.returned");
    ground.sql("update seawall.returned set returned = now()");
    ground.archive().says("which is not on this database's record");
    assert_eq!(marks(), 0);
    ground.sql(&format!("update seawall.returned set returned = '{returned}'"));
    let note = format!("store/try-*/archive/{}/leaving.json", first[0]);
    ground.run.rig.shell(&format!("cp {note} kept.json"));
    ground.run.rig.shell_as_root(&format!("chmod u+w {note}; sed -i 's/\"record\": \"/\"record\": \"7/' {note}"));
    ground.archive().says("which is not on this database's record");
    assert_eq!(marks(), 0);
    ground.run.rig.shell_as_root(&format!("cp kept.json {note}"));
    // Another database has noted since that they are gone from there.
    let noted = format!("$(echo store/try-*/archive/{})/removed.json", first[0]);
    ground.run.rig.shell(&format!("cp kept.json {noted}"));
    ground.archive();
    assert_eq!(marks(), 0);
    ground.run.rig.shell_as_root(&format!("rm {noted}"));
    // Not all of its stretch of time has left.
    ground.sql(&format!(
        "update seawall.archived set first = (first::timestamptz + interval '1 second')::text where extent <> '{}'",
        first[0]
    ));
    ground.archive();
    assert_eq!(marks(), 0);
    ground.sql("update seawall.archived set first = (first::timestamptz - interval '1 second')::text");
    ground.archive();
    assert_eq!((ground.extents().len(), marks()), (2, 1));
    ground.archive();
    assert_eq!(ground.extents().len(), 2, "its grace is not over");
    // An object of the later one is gone: it stays, and its mark goes.
    ground.two_days_later();
    let later: Vec<String> = ground.extents().into_iter().filter(|id| *id != first[0]).collect();
    let object = format!("$(ls -d store/try-*/archive/{}/rows.csv.zst.age)", later[0]);
    let place = ground.run.rig.shell(&format!("ls {object}"));
    ground.run.rig.shell_as_root(&format!("mv {object} aside"));
    ground.archive();
    assert_eq!((ground.extents().len(), marks()), (2, 0));
    ground.run.rig.shell_as_root(&format!("mv aside {place}"));
    ground.archive();
    ground.two_days_later();
    ground.archive().says("1 extent deleted from the archive: their rows were exported anew");
    assert_eq!((ground.extents(), marks()), (later, 0));
    ground.verify();
    ground.run.say(&["archive", "restore", "--table", "orders"]).ends_with_code(0).says("1500 rows");
    assert_eq!(ground.sql("select note from orders_archived where id = 700"), "changed");
}
