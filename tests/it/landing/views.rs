//! Views that went with a table, and are made again as they were: whose, for whom, and with what was said of them.

use serde_json::Value;

use super::rig::{Two, into, wanted};
use crate::clusters::{Cluster, Version};
use crate::logical::rig::{Ground, succeeds};

const ROLES: &str = "create role clerk; create role \"Re;ader\"; create role auditor";

const REPORTS: &str = r#"
    create schema "Re ports"; grant usage on schema "Re ports" to "Re;ader";
    create table "Or.ders" (id int primary key, customer int not null, note text, total numeric);
    grant select on "Or.ders" to clerk, "Re;ader"; grant update (note) on "Or.ders" to auditor; alter table "Or.ders" owner to clerk;
    insert into "Or.ders" select k, k % 20, 'n' || k, k / 3.0 from generate_series(1, 200) k;
    create view totals with (security_barrier) as select customer, sum(total) as total from "Or.ders" group by 1;
    create view mine with (BARRIER) as select id, customer, note from "Or.ders" where customer < 10 with local check option;
    create materialized view "Re ports"."Per.Day" with (fillfactor = 70) as select customer, total from totals;
    create unique index "by.it" on "Re ports"."Per.Day" (customer);
    create view "Re ports"."Per" as select customer as "Day.customer", id from "Re ports"."Per.Day" join mine using (customer);
    create materialized view last as select count(*) from "Re ports"."Per";
    create function kept() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger kept instead of insert on totals for each row execute function kept();
    create rule never as on delete to "Re ports"."Per" do instead nothing;
    alter view mine alter column note set default 'it''s; new';
    alter materialized view "Re ports"."Per.Day" alter column total set statistics 7;
    alter materialized view "Re ports"."Per.Day" cluster on "by.it";
    comment on view totals is 'in all; ''quoted'''; comment on column totals.customer is 'whose';
    comment on materialized view "Re ports"."Per.Day" is 'by day'; comment on column "Re ports"."Per.Day".total is 'sum';
    comment on index "Re ports"."by.it" is 'one each'; comment on trigger kept on totals is 'keeps';
    comment on rule never on "Re ports"."Per" is 'nothing goes';
    alter view totals owner to clerk; alter view "Re ports"."Per" owner to "Re;ader"; alter materialized view last owner to clerk;
    grant select, insert on totals to "Re;ader" with grant option; grant select on totals to public;
    grant select, update (note) on mine to "Re;ader"; grant select (customer) on mine to auditor; grant update (note) on mine to auditor with grant option;
    grant select on "Re ports"."Per.Day" to auditor; grant select (customer) on "Re ports"."Per.Day" to "Re;ader";
    revoke delete, truncate on totals from clerk; revoke all on last from clerk; grant select on last to auditor;
"#;

/// Views look at rows as whoever asks since 15.
fn reports(version: Version) -> String {
    REPORTS.replace("BARRIER", if version >= Version::V15 { "security_invoker = true, security_barrier" } else { "security_barrier" })
}

fn definitions(cluster: &Cluster) -> Vec<String> {
    let mut dump = cluster.program("pg_dump");
    dump.arg("--schema-only").arg("--dbname").arg(format!("{} dbname=shop", cluster.conninfo()));
    let text = succeeds(dump.output().expect("pg_dump"));
    let is_said = |line: &&str| !line.is_empty() && !["--", "\\", "SET "].iter().any(|word| line.starts_with(word));
    let mut lines: Vec<String> = text.lines().filter(is_said).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What stands in the one and not in the other.
fn differs(one: &[String], other: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], sign: char| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [only(one, other, '-'), only(other, one, '+')].concat()
}

#[test]
fn out_of_a_dump() {
    for version in [Version::V15, Version::V18] {
        let ground = Ground::new(version, "");
        ground.sql(ROLES);
        ground.sql(&reports(version));
        // Somebody who may, and is not its owner.
        ground.sql("set role \"Re;ader\"; grant select on totals to auditor");
        let before = definitions(&ground.rig.cluster);
        ground.dump();
        ground.sql("drop table \"Or.ders\" cascade");
        // What others have of themselves here is not given to them by that.
        ground.sql("alter default privileges grant all on tables to auditor, public");
        let programs = version.programs().display().to_string();
        let words = ["restore", "--table", "public.\"Or.ders\"", "--job", "dump", "--into-schema", "public", "--yes", "--format", "json"];
        let said = ground.say(&[&words[..], &["--programs", &programs]].concat()).ends_with_code(0);
        let report: Value = serde_json::from_str(&said.out).expect("JSON");
        let remake = report["tables"][0]["remake"].as_array().expect("statements");
        remake.iter().for_each(|sql| drop(ground.sql(sql.as_str().expect("text"))));
        ground.sql("alter default privileges revoke all on tables from auditor, public");
        let after = definitions(&ground.rig.cluster);
        assert_eq!(differs(&before, &after), [""; 0], "{version}");
        assert_eq!(ground.sql("select (select count from last) || ' ' || (select count(*) from \"Re ports\".\"Per.Day\")"), "100 20");
    }
}

#[test]
fn out_of_a_physical_backup() {
    for version in [Version::V15, Version::V18] {
        let two = Two::of(version, version, "select");
        two.then(ROLES);
        two.now(ROLES);
        two.then(&reports(version));
        two.now(&reports(version));
        let before = definitions(&two.live);
        two.now("drop table \"Or.ders\" cascade; alter default privileges grant all on tables to auditor, public");
        let (landed, _) = two.brings(&wanted(&[("public", "Or.ders")], into("public")));
        landed[0].remake.iter().for_each(|sql| drop(two.now(sql)));
        two.now("alter default privileges revoke all on tables from auditor, public");
        assert_eq!(differs(&before, &definitions(&two.live)), [""; 0], "{version}");
    }
}
