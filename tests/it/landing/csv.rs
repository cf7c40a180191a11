//! As CSV.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use seawall::execute::table::landing::{Condition, CsvTo, Way};

use super::rig::{Two, only, wanted};
use crate::logical::rig::EVERYTHING;

#[test]
fn a_file_is_what_psql_would_write() {
    let two = Two::new(EVERYTHING);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("types.csv");
    let wish = wanted(&[("public", "types")], Way::Csv(CsvTo::File(path.clone())));
    let (landed, _) = two.brings(&wish);
    let written = fs::read_to_string(&path).expect("a file");
    let mut psql = two.origin.program("psql");
    let sql = "set timezone = 'UTC'; set lc_monetary = 'C'; copy (select * from types) to stdout with (format csv, header)";
    let output =
        psql.args(["-q", "-d", &format!("{} dbname=was", two.origin.conninfo().replace("dbname=postgres", "")), "-c", sql]).output();
    let output = output.expect("psql");
    assert_eq!(written, String::from_utf8_lossy(&output.stdout), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((landed[0].rows, landed[0].bytes), (301, written.len() as u64));
    assert_eq!(fs::metadata(&path).expect("it").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    // A second time it is there.
    let refused = two.refuses(&wish);
    assert!(refused.message.ends_with("is there already, and is not overwritten"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

/// Whoever kills it leaves nothing with rows behind.
#[test]
fn until_it_is_whole_the_file_has_no_name() {
    let two = Two::new("create table t (a int); insert into t select generate_series(1, 100)");
    let folder = tempfile::tempdir().expect("a folder");
    let nameless = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::WRONLY;
    if rustix::fs::open(folder.path(), nameless, rustix::fs::Mode::RUSR).is_err() {
        crate::skipped::skipped("until_it_is_whole_the_file_has_no_name: it needs a file system with files that have no name");
        return;
    }
    let wish = only(wanted(&[("public", "t")], Way::Csv(CsvTo::File(folder.path().join("t.csv")))), "pg_sleep(0.06) is not null");
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| two.brings(&wish));
        two.origin.wait_until("exists (select from pg_stat_activity where datname = 'was' and state = 'active' and query ~ '^copy')");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        assert_eq!(writing.join().expect("it ends well").0[0].rows, 100);
    });
    assert_eq!(fs::metadata(folder.path().join("t.csv")).expect("it").permissions().mode() & 0o777, 0o600);
}

#[test]
fn rows_of_tables_that_inherit_from_it_are_named() {
    let two = Two::new(
        "create table par (a int); create table kid (b int) inherits (par); insert into par values (1); insert into kid values (2, 3)",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let (landed, _) = two.brings(&wanted(&[("public", "par")], Way::Csv(CsvTo::File(folder.path().join("par.csv")))));
    assert_eq!(
        (landed[0].rows, landed[0].left_out.clone()),
        (1, vec!["the rows of public.kid, which inherits from it, and has its own".into()])
    );
}

#[test]
fn a_condition_stays_one() {
    let two = Two::new(EVERYTHING);
    let folder = tempfile::tempdir().expect("a folder");
    let lines = |number: usize, condition: &str| {
        let path = folder.path().join(format!("{number}.csv"));
        let wish = only(wanted(&[("public", "types")], Way::Csv(CsvTo::File(path.clone()))), condition);
        two.bring(&wish).map(|(landed, _)| landed[0].rows).map_err(|fault| fault.message)
    };
    for (number, (condition, count)) in [
        ("s = 3", 1),
        ("types.s in (select generate_series(1, 5)) -- )", 5),
        ("t like $q$%'%$q$ or v = E'v\\x31' /* ( */", 1),
        ("mo = 'a ''quoted'' one' and s < 11 or (i is null)", 11),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(lines(number, condition), Ok(count), "{condition}");
    }
    for bad in [
        "1=1); drop table types; --",
        "1=1) union all select * from types where (1=1",
        "1=1; select 1",
        "E'a'\n'x\\'' ) union all select * from types --'",
    ] {
        assert!(Condition::read(bad).is_err(), "{bad}");
    }
    // What is balanced and no expression is the server's to refuse.
    for (number, bad) in
        ["order by 1", "1=1 limit 1", "true group by id", "select 1", "nothing = 1", "true offset 1", "$$a$$"].into_iter().enumerate()
    {
        let said = lines(100 + number, bad).expect_err(bad);
        assert!(said.starts_with("the condition on rows of \"public\".\"types\" is not understood: "), "{said}");
    }
    assert_eq!(two.then("select count(*) from types"), "301");
}
