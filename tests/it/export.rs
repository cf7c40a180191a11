//! `seawall export`: rows of a live database in a file, read back by other people's programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clusters::{Cluster, Options, Version, children};
use crate::run::rig::Said;

const TABLE: &str = r#"
    create table "T'able" (id bigint primary key, n numeric(12, 2), wide numeric, t text, at timestamptz, day date, flag boolean, bytes bytea,
        u uuid, j jsonb, a int[], doubled bigint generated always as (id * 2) stored, "say ""x""" text);
    insert into "T'able" (id, n, wide, t, at, day, flag, bytes, u, j, a, "say ""x""")
    select k, k / 100.0, k / 7.0, E'line\none, "q", Ü🐘 ' || k, '2026-01-01Z'::timestamptz + k * interval '1 s', '2026-01-01'::date + k % 300, k % 2 = 0,
        decode(lpad(to_hex(k), 8, '0'), 'hex'), md5(k::text)::uuid, '{"b": 1}', array[k, null], nullif(k % 3, 0)::text
    from generate_series(1, 5000) k"#;

fn command(cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    command.arg("export").arg("--connection").arg(cluster.conninfo()).args(words);
    command
}

fn export(cluster: &Cluster, words: &[&str]) -> Said {
    Said::of(command(cluster, words).output().expect("it runs"))
}

/// What lies in the folder, hidden files too.
fn lies(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A folder that the server's account can write to.
fn folder(cluster: &Cluster) -> std::path::PathBuf {
    let folder = cluster.folder().join("out");
    fs::create_dir(&folder).expect("a folder");
    cluster.account().own(&folder);
    folder
}

fn a_table_and_a_query(version: Version) {
    let cluster = Cluster::start(version, Options::default());
    cluster.sql(TABLE);
    let out = folder(&cluster);
    let file = |name: &str| out.join(name).display().to_string();
    let csv = file("rows.csv");
    let said = export(&cluster, &["--table", "public.\"T'able\"", "-o", &csv]).ends_with_code(0);
    assert!(said.out.is_empty() && said.err.contains("wrote 5000 rows"), "{}{}", said.out, said.err);
    assert_eq!(fs::metadata(&csv).expect("a file").permissions().mode() & 0o777, 0o600);
    // PostgreSQL reads its own rows back.
    cluster.sql("create table back (like \"T'able\")");
    let psql = |text: String| {
        let mut command = cluster.account().command("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &cluster.conninfo(), "-c", &text]);
        let output = command.output().expect("psql");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    psql(format!("\\copy back from '{csv}' with (format csv, header)"));
    assert_eq!(cluster.sql("select count(*) from (select * from \"T'able\" except select * from back) x"), "0");
    assert_eq!(cluster.sql("select count(*) from back"), "5000");
    // The same to standard output, and nothing else there.
    let said = export(&cluster, &["--table", "\"T'able\"", "--format", "csv", "-o", "-"]).ends_with_code(0);
    assert_eq!(said.out, fs::read_to_string(&csv).expect("the file"));

    let parquet = file("rows.parquet");
    let query = "select id, n, at, t, flag, day, u, bytes, a from \"T'able\" where id <= 100 order by id -- the first; of them";
    export(&cluster, &["--query", query, "-o", &parquet]).ends_with_code(0).says("wrote 100 rows");
    let python = std::env::var("SEAWALL_TEST_PYTHON").unwrap_or_else(|_| "target/venv/bin/python".to_owned());
    let script = "import sys, pyarrow.parquet as p; t = p.read_table(sys.argv[1]); r = t.to_pylist()[41]; \
        print(t.num_rows, t.schema.field('n').type, t.schema.field('at').type, r['id'], r['n'], r['at'].isoformat(), r['flag'], r['bytes'].hex(), r['a'])";
    let read = Command::new(python).args(["-c", script, &parquet]).output().expect("python");
    let read = String::from_utf8_lossy(&read.stdout).trim().to_owned() + &String::from_utf8_lossy(&read.stderr);
    assert_eq!(read, "100 decimal128(12, 2) timestamp[us, tz=UTC] 42 0.42 2026-01-01T00:00:42+00:00 True 0000002a {42,NULL}");

    // What is there is not overwritten, unless that is meant.
    export(&cluster, &["--table", "back", "-o", &csv]).ends_with_code(1).says("is there already");
    export(&cluster, &["--query", "select 1 as one", "--force", "-o", &csv]).ends_with_code(0);
    assert_eq!(fs::read_to_string(&csv).expect("the file"), "one\n1\n");
    assert_eq!(lies(&out), ["rows.csv", "rows.parquet"]);
}

#[test]
fn a_table_and_a_query_of_13() {
    a_table_and_a_query(Version::V13);
}

#[test]
fn a_table_and_a_query_of_15() {
    a_table_and_a_query(Version::V15);
}

#[test]
fn a_table_and_a_query_of_18() {
    a_table_and_a_query(Version::V18);
}

#[test]
fn what_cannot_be_leaves_nothing() {
    let cluster = Cluster::start(Version::V15, Options::default());
    cluster.sql("create table kept (n int); insert into kept values (1); create role clerk login; grant select on kept to clerk");
    let out = folder(&cluster);
    let (csv, parquet) = (out.join("x.csv").display().to_string(), out.join("x.parquet").display().to_string());
    for (words, code, says) in [
        (vec!["--query", "delete from kept returning n", "-o", &csv], 1, "read-only"),
        (vec!["--query", "select 1) to stdout; drop table kept; --", "-o", &csv], 1, "syntax error"),
        (vec!["--query", "select 1; drop table kept", "-o", &csv], 1, "multiple commands"),
        (vec!["--table", "kept; drop table kept", "-o", &csv], 64, "--table"),
        (vec!["--table", "\"kept; drop table kept\"", "-o", &csv], 1, "does not exist"),
        (vec!["--query", "select 'infinity'::timestamptz as at", "-o", &parquet], 1, "--format csv"),
        (vec!["--query", "select 1 as a, 2 as a", "-o", &parquet], 1, "two columns"),
        (vec!["--query", "select 1 / (n - 1) from kept", "-o", &csv], 1, "division by zero"),
        (vec!["--table", "kept", "-o", "rows"], 64, "--format"),
        (vec!["--table", "kept", "--query", "select 1", "-o", &csv], 64, "cannot be used with"),
        (vec!["--table", "kept", "--force", "--format", "csv", "-o", "-"], 64, "--force"),
        (vec!["--table", "kept", "--format", "csv", "-o", "/dev/null", "--force"], 1, "no plain file"),
    ] {
        export(&cluster, &words).ends_with_code(code).says(says);
        assert_eq!(lies(&out), [""; 0], "{words:?}");
    }
    assert_eq!(cluster.sql("select count(*) from kept"), "1");
    // Rows that this role may not see would be missing unnoticed.
    cluster.sql("alter table kept enable row level security");
    let conninfo = cluster.conninfo().replace("user=postgres", "user=clerk");
    let mut command = cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    let said = Said::of(command.args(["export", "--connection", &conninfo, "--table", "kept", "-o", &csv]).output().expect("it runs"));
    said.ends_with_code(1).says("row-level security");
    let mut command = cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    let words = ["export", "--connection", "host=h password=geheim", "--table", "kept", "-o", &csv];
    let said = Said::of(command.args(words).output().expect("it runs")).ends_with_code(64);
    assert!(said.err.contains("holds a password") && !said.err.contains("geheim"), "{}", said.err);
    assert_eq!(lies(&out), [""; 0]);
}

#[test]
fn a_lock_and_an_interruption_end_it() {
    let cluster = Cluster::start(Version::V15, Options::default());
    cluster.sql("create table busy (n int)");
    let out = folder(&cluster);
    let csv = out.join("x.csv").display().to_string();
    let mut other = cluster.connect();
    other.run("begin; lock table busy").expect("a lock");
    let said = export(&cluster, &["--table", "busy", "--lock-timeout", "1s", "-o", &csv]);
    assert!(said.code == Some(75) && said.err.contains("lock timeout"), "{:?} {}", said.code, said.err);
    other.run("rollback").expect("unlocked");

    let mut slow = command(&cluster, &["--query", "select pg_sleep(0.05), repeat('x', 1000) from generate_series(1, 10000)", "-o", &csv]);
    let going = slow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    cluster.wait_until("count(*) > 0 from pg_stat_activity where query like 'copy%' and pid <> pg_backend_pid()");
    std::thread::sleep(Duration::from_millis(300));
    let started = Pid::from_child(&going);
    kill_process(children(started).first().copied().unwrap_or(started), Signal::INT).expect("it is there");
    let said = Said::of(going.wait_with_output().expect("it ends")).ends_with_code(130);
    assert!(said.err.contains("No file was made"), "{}", said.err);
    assert_eq!(lies(&out), [""; 0]);
    cluster.wait_until("count(*) = 0 from pg_stat_activity where query like 'copy%' and state = 'active' and pid <> pg_backend_pid()");
}
