//! Rows that moved, tables as files, and files beside a database.

use std::fs;

use super::keyring::{Keyring, in_place_of_age};
use crate::archive::rig::{Ground, SUM};

#[test]
fn rows_and_files_come_back_and_gpg_opens_them() {
    let ground = Ground::new();
    let rig = &ground.run.rig;
    let ring = Keyring::new(&rig.cluster, "ring");
    let key = ring.make("one@example.com", "curve", "");
    ring.export(&[&key], &rig.path("keys.asc"));
    ring.export_secret(&key, "", &rig.path("one.asc"));
    let folder = rig.cluster.folder().display();
    in_place_of_age(
        &rig.path("policy.yaml"),
        &format!("recipients: [{key}], keys: {folder}/keys.asc, identity: {{ file: {folder}/one.asc }}"),
    );
    ground.run.change(
        "backups: { ",
        &format!(
            "backups: {{ system: {{ files: {{ paths: [{folder}/tree], full_every: 7d }}, schedule: {{ at: \"05:00\" }}, keep: {{ last: 4 }}, takes: 1m, size: 1MB }}, \
             some: {{ tables: {{ format: csv, tables: [orders] }}, schedule: {{ at: \"04:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }}, "
        ),
    );
    rig.shell("mkdir -p tree/sub && seq 1 200000 > tree/sub/numbers && echo one > tree/first");
    rig.cluster.account().own(rig.cluster.folder());
    let (old, all) = (
        ground.sql(&format!("{SUM} (select * from orders where placed_at < now() - interval '2 years') t")),
        ground.sql(&format!("{SUM} orders t")),
    );
    // Tables as files.
    ground.run.say(&["backup", "some"]).ends_with_code(0);
    let csv = rig.shell("ls store/*/data/*/table-00001.csv.zst.gpg");
    rig.shell(&format!("gpg --homedir ring --batch --quiet -d {csv} | zstd -dc > table.csv"));
    assert_eq!(fs::read_to_string(rig.path("table.csv")).expect("rows").matches("Ümlaut").count(), 300);
    // Files, with an increment.
    ground.run.say(&["backup", "system"]).ends_with_code(0);
    rig.shell("echo two > tree/second && rm tree/first");
    ground.run.say(&["backup", "system"]).ends_with_code(0);
    let into = rig.path("rescue");
    ground.run.say(&["restore", "--job", "system", "--files", "--to-root", into.to_str().expect("text"), "--yes"]).ends_with_code(0);
    let back = into.join(rig.path("tree").strip_prefix("/").expect("absolute"));
    rig.shell(&format!("diff -r tree {}", back.display()));
    let each =
        "for part in store/*/data/*/part-00001.tar.zst.gpg; do gpg --homedir ring --batch --quiet -d $part | zstd -dc | tar -t; done";
    let listed = rig.shell(each);
    assert!(listed.contains("tree/sub/numbers"), "{listed}");
    // Rows that leave their table.
    ground.archive();
    let list = ground.list();
    assert!(list.iter().all(|extent| extent["removed"] == true && extent["read_back_by"][0] == "db-1"), "{list:?}");
    rig.shell("for file in store/*/archive/*/rows.csv.zst.gpg; do gpg --homedir ring --batch --quiet -d $file | zstd -dc; done > rows.csv");
    let file = rig.path("rows.csv");
    let columns = "id, placed_at, customer, note, amount, ratio, raw, tags";
    ground.sql(&format!(
        "create table stock as select {columns} from orders limit 0; copy stock from '{}' (format csv, header)",
        file.display()
    ));
    assert_eq!(ground.sql(&format!("{SUM} (select {columns}, id * 2 as doubled from stock) t")), old);
    ground.run.say(&["archive", "restore", "--table", "public.orders", "--into", "orders"]).ends_with_code(0);
    assert_eq!(ground.sql(&format!("{SUM} orders t")), all);
    ground.verify();
    // On record by the fingerprint that the policy has.
    let measured = ground.run.catalog().latest("try").expect("read");
    let opened: Vec<&str> = measured.iter().filter(|one| one.name == "identity_opened").map(|one| one.subject.as_str()).collect();
    assert_eq!(opened, [key]);
}
