//! What is decided before anything is done.

use super::rig::Shop;
use crate::clusters::Version;
use crate::run::rig::Said;

#[test]
fn what_cannot_be_is_said_before_anything_is_done() {
    let shop = Shop::new(Version::V15, Version::V15, "");
    shop.ground.dump();
    let say = |words: &[&str]| {
        let connection = shop.target.conninfo();
        let all = ["restore", "--into-database", "shop", "--connection", &connection, "--job", "dump", "--yes"];
        shop.ground.say(&all.iter().chain(words).copied().collect::<Vec<_>>())
    };
    say(&["--create", "--tier", "critcal"])
        .ends_with_code(1)
        .says("there is no tier `critcal`")
        .says("Did you mean `critical`?")
        .says("`reports`");
    say(&["--replace", "--tier", "critical"]).ends_with_code(64).says("makes no sense with `--replace`");
    say(&["--tier", "critical"]).ends_with_code(64).says("--create");
    say(&["--create", "--tier", "critical", "--schema", "public"]).ends_with_code(64).says("`--schema` means nothing");
    // Without the roles it would end in the middle.
    say(&["--create", "--tier", "critical"]).ends_with_code(1);
    shop.target.add_conf("max_connections = 12\nmax_locks_per_transaction = 10");
    shop.target.restart();
    say(&["--create", "--tier", "critical", "--globals"]).ends_with_code(1).says("Set `max_locks_per_transaction` to");
    shop.ground.change("tables: [users, accounts]", "tables: [users, acounts, public.tree]");
    say(&["--create", "--tier", "rest", "--globals"])
        .ends_with_code(1)
        .says("`acounts` of the tier `critical` (did you mean `public.accounts`?)");
    shop.ground.change("tables: [users, acounts, public.tree]", "tables: [users], database: other");
    shop.ground.change("databases: [shop]", "databases: [shop, other]");
    say(&["--create", "--tier", "critical", "--from-database", "shop", "--globals"]).ends_with_code(1).says("`other`");
    assert_eq!(shop.target.sql("select count(*) from pg_database where datname ~ 'shop|seawall'"), "0");
    assert_eq!(shop.target.sql("select count(*) from pg_roles where rolname = 'app'"), "0");
}

#[test]
fn the_dump_has_all_that_a_tier_names() {
    let shop = Shop::new(Version::V15, Version::V15, "exclude_table_data: [accounts]");
    shop.ground.dump();
    Said::of(shop.command(&[]).output().expect("seawall")).ends_with_code(1).says("`public.accounts` without its rows");
    assert_eq!(shop.target.sql("select count(*) from pg_database where datname ~ 'shop|seawall'"), "0");
}
