//! Everything comes back as it was, in its order.

use super::rig::Shop;
use crate::clusters::Version;

#[test]
fn tier_by_tier_it_is_what_it_was() {
    for (from, to, logical, jobs) in
        [(Version::V13, Version::V18, "", "1"), (Version::V15, Version::V15, "jobs: 3", "2"), (Version::V18, Version::V18, "", "2")]
    {
        let shop = Shop::new(from, to, logical);
        shop.ground.dump();
        let said = shop.restore(&["--jobs", jobs, "--format", "json"]).ends_with_code(0);
        shop.is_whole();
        let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        let tiers: Vec<&str> = json["tiers"].as_array().expect("tiers").iter().map(|tier| tier["tier"].as_str().unwrap_or("-")).collect();
        assert_eq!(tiers, ["critical", "rest", "reports"]);
        // A policy of users reads members, and a rule of accounts writes into audit.
        let critical = &json["tiers"][0];
        assert_eq!(critical["tables"], serde_json::json!(["public.accounts", "public.audit", "public.members", "public.users"]));
        assert_eq!(
            (critical["met"].as_bool(), critical["rto_seconds"].as_u64(), critical["rows"].as_u64()),
            (Some(true), Some(3600), Some(1040))
        );
        let keys = ["public.log log_of_fkey", "public.old never", "public.orders orders_of_fkey", "public.users users_favourite"];
        assert_eq!(critical["keys_to_come"], serde_json::json!(keys));
        let reports = serde_json::json!(["public.log", "public.log_1", "public.log_2"]);
        assert_eq!((&json["tiers"][2]["tables"], json["tiers"][2]["rows"].as_u64()), (&reports, Some(900)));
        assert!(said.err.contains("promised within 1h") && said.err.contains("it is read by a policy"), "{}", said.err);
    }
}

/// `pg_cron`, PostGIS and others keep rows of the user's in tables of their own: no dump has a definition of those.
#[test]
fn rows_in_tables_of_an_extension_come_too() {
    let shop = Shop::new(Version::V18, Version::V18, "jobs: 2");
    for cluster in [&shop.ground.rig.cluster, &shop.target] {
        let folder = cluster.data().join("own/extension");
        std::fs::create_dir_all(&folder).expect("a folder");
        cluster.account().own(&cluster.data().join("own"));
        cluster.account().own(&folder);
        cluster.write("own/extension/marking.control", "default_version = '1.0'\nrelocatable = true\n");
        let script =
            "create table marks (n int primary key, what text); select pg_catalog.pg_extension_config_dump('marks', 'where n > 0')";
        cluster.write("own/extension/marking--1.0.sql", &format!("{script}; insert into marks values (0, 'its own');\n"));
        cluster.add_conf(&format!("extension_control_path = '{}:$system'", cluster.data().join("own").display()));
        cluster.reload();
    }
    shop.ground.sql("create extension marking; insert into marks select k, 'mark ' || k from generate_series(1, 30) k");
    shop.ground.dump();
    shop.restore(&[]).ends_with_code(0);
    assert_eq!(shop.there("select count(*) from marks"), "31");
    shop.is_whole();
}
