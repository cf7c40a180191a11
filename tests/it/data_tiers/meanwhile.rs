//! What others see while it goes on.

use super::rig::Shop;
use crate::clusters::Version;
use crate::run::rig::Said;

#[test]
fn a_tier_is_worked_with_while_the_rest_still_loads() {
    let shop = Shop::gated(Version::V15, "");
    let running =
        shop.command(&["--jobs", "2"]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("seawall");
    shop.wait_for_critical();
    // Everything that belongs to these tables is there.
    assert_eq!(shop.there("select count(*) from rich"), "499");
    assert_eq!(shop.there("select id from users where lower(name) = 'user 7'"), "7");
    assert_eq!(shop.there("insert into users (id, name) values (1000, 'new') returning nr > 4711"), "t");
    assert!(shop.refusal("insert into accounts (of, cents) values (4000, 1)").contains("foreign key"));
    assert!(shop.refusal("insert into accounts (of, cents) values (1, -1)").contains("check"));
    assert_eq!(shop.there("set role app; select count(*) from users"), "40", "the policy reads members");
    assert_eq!(shop.there("select count(*) > 0 from pg_stats where tablename = 'users'"), "t");
    assert_eq!(shop.there("select nextval('counter') > 4711"), "t");
    // What is not there is not empty: it says so, to the superuser too.
    let rest = "is not restored yet: it comes with the tier rest";
    for (sql, words) in [
        ("select count(*) from orders", "public.orders is not restored yet: it comes with the tier rest"),
        ("select id, total from orders where id = 7", rest),
        ("select from orders where id is null", rest),
        ("select from orders where id = any('{1, 2}') and total > 5 limit 1", rest),
        ("select from users u join orders o on o.id = u.favourite", rest),
        ("select from users u left join orders o on o.id = u.favourite where o.id is null", rest),
        ("set role app; select total from orders", rest),
        ("set role app; select id from bought", rest),
        ("select * from twice", rest),
        ("select count(*) from users u where not exists (select from orders o where o.of = u.id)", rest),
        ("insert into orders (id, of) values (1, 1)", rest),
        ("insert into orders (id, of) values (1, 1) returning id", rest),
        ("insert into orders (id, of) values (1, 1) on conflict do nothing", "ON CONFLICT"),
        ("set role app; insert into orders (id, of) values (1, 1)", rest),
        ("set session_replication_role = 'replica'; insert into orders (id, of) values (1, 1)", "cannot insert into view"),
        ("set session_replication_role = 'replica'; update orders set total = 1", "cannot update view"),
        ("set session_replication_role = 'replica'; delete from orders", "cannot delete from view"),
        ("insert into names values (1, 'its rule writes into orders')", rest),
        ("update orders set total = 1", rest),
        ("delete from orders", rest),
        ("truncate orders", "not a table"),
        ("copy orders to stdout", "view"),
        ("select * from \"Sch \"\"ema\".\"T'able x\"", rest),
        ("select * from log", "it comes with the tier reports"),
        ("select * from log_1", "it comes with the tier reports"),
        ("select how_many()", "does not exist"),
        ("select how_many_more()", "does not exist"),
        ("select * from summed", "public.summed is not restored yet: it comes with the tier rest"),
        ("refresh materialized view summed", "materialized view"),
    ] {
        let said = shop.refusal(sql);
        assert!(said.contains(words), "{sql}: {said}");
    }
    // Nobody takes it from here a second time.
    shop.restore(&[]).ends_with_code(1).says("somebody else");
    shop.there("delete from users where id = 1000");
    // What was refused has taken numbers all the same.
    shop.there("select setval('counter', 4711), setval('accounts_id_seq', 500)");
    shop.let_go();
    let said = Said::of(running.wait_with_output().expect("seawall")).ends_with_code(0);
    let critical = said.out.lines().find(|line| line.starts_with("usable") && line.contains("`critical`")).unwrap_or_default();
    assert!(critical.contains("(promised: 1h, met)") && critical.contains("1040 rows as in the backup"), "{}", said.out);
    shop.is_whole();
}

#[test]
fn a_key_that_was_broken_meanwhile_holds_nothing_back_and_is_named() {
    let shop = Shop::gated(Version::V15, "");
    shop.ground.sql("insert into users (id, name) values (9000, 'bought once'); insert into orders (id, of) values (9000, 9000)");
    shop.ground.dump();
    let running = shop.command(&[]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("seawall");
    shop.wait_for_critical();
    shop.there("delete from users where id = 9000");
    shop.let_go();
    let said = Said::of(running.wait_with_output().expect("seawall")).ends_with_code(1);
    assert!(said.err.contains("rows of it lead nowhere: `public.orders orders_of_fkey`"), "{}", said.err);
    assert_eq!(
        shop.there("select string_agg(conname, ' ' order by conname) from pg_constraint where not convalidated"),
        "never orders_of_fkey"
    );
    assert_eq!(shop.there("select count(*) from pg_namespace where nspname ~ 'seawall'"), "0");
    assert_eq!(shop.there("select count(*) from log"), "900");
}
