//! A table with years of rows, and a job that moves the old ones.

use crate::run::rig::{Run, Said};

#[derive(Debug)]
pub struct Ground {
    pub run: Run,
}

/// Every column that a text form could spoil.
pub const ORDERS: &str = "\
    create table orders (id bigint primary key, placed_at timestamptz not null, customer int, note text, \
        amount numeric(12,2), ratio float8, raw bytea, tags text[], doubled bigint generated always as (id * 2) stored); \
    insert into orders select i, timestamptz '2019-01-01 00:00+00' + i * interval '1 day', i % 7, \
        case i % 5 when 0 then null when 1 then '' when 2 then E'two\\nlines, \"quoted\"' when 3 then 'Ümlaut 🐘' else 'x' || i end, \
        i * 1.1, 1.0 / (i + 1), decode(lpad(to_hex(i), 8, '0'), 'hex'), array['a,b', i::text, null] \
    from generate_series(1, 1500) i;";

/// The rows themselves, wherever they are.
pub const SUM: &str = "select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by id)), '') from ";

impl Ground {
    pub fn new() -> Ground {
        Ground::with("archive: { old-orders: { table: orders, column: placed_at, after: 2y, store: disk } }\n")
    }

    pub fn with(more: &str) -> Ground {
        let run = Run::new("", more);
        run.rig.cluster.sql(ORDERS);
        Ground { run }
    }

    pub fn sql(&self, sql: &str) -> String {
        self.run.rig.cluster.sql(sql)
    }

    #[track_caller]
    pub fn archive(&self) -> Said {
        self.run.say(&["run", "old-orders"]).ends_with_code(0)
    }

    /// By another clock, off by so many days, which the database says to have too: rows go by none that it does not share.
    #[track_caller]
    pub fn say_then(&self, offset: &str, words: &[&str]) -> Said {
        self.sql(&format!(
            "create schema elsewhen; create function elsewhen.clock_timestamp() returns timestamptz language sql \
             as $$ select pg_catalog.clock_timestamp() + interval '{offset}' $$; \
             alter role postgres set search_path = elsewhen, pg_catalog, public"
        ));
        let said = self.run.say_at(offset, words);
        self.sql("alter role postgres reset search_path; drop schema elsewhen cascade");
        said
    }

    /// Everything that lies in the store is sound; without any backup it would not be.
    #[track_caller]
    pub fn verify(&self) -> Said {
        if self.run.rig.shell("ls store/*/backups 2>/dev/null | wc -l") == "0" {
            self.run.say(&["backup", "nightly"]).ends_with_code(0);
        }
        self.run.say(&["verify", "--deep"]).ends_with_code(0)
    }

    /// What `seawall archive list` has.
    pub fn list(&self) -> Vec<serde_json::Value> {
        let said = self.run.say(&["archive", "list", "--format", "json"]).ends_with_code(0);
        let list: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        list["extents"].as_array().expect("a list").clone()
    }

    pub fn rows(&self, list: &[serde_json::Value]) -> u64 {
        list.iter().map(|extent| extent["rows"].as_u64().expect("a number")).sum()
    }
}
