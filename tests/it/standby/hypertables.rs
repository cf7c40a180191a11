//! TimescaleDB on a standby: its jobs run on the primary alone, and from the promotion on where the primary is, without a restart.

use super::rig::{Pair, primary};
use crate::clusters::{Options, Version};
use crate::timescale::place::some_natives;

#[test]
fn jobs_sleep_on_a_standby_and_wake_with_its_promotion() {
    let Some(programs) = some_natives("jobs_sleep_on_a_standby_and_wake_with_its_promotion").into_iter().next() else { return };
    let options = Options { programs: Some(programs), ..Options::default() }
        .with("shared_preload_libraries = 'timescaledb'")
        .with("timescaledb.telemetry_level = off")
        .with("max_worker_processes = 20");
    let rig = primary(Version::V15, options);
    rig.cluster.sql("create extension timescaledb");
    rig.cluster.sql(
        "create table prices(at timestamptz not null); select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day'); \
         insert into prices select t from generate_series(now() - interval '40 days', now(), interval '1 day') t",
    );
    // The backup knows the extension from here on: a restored copy would be kept quiet, a standby must not be.
    rig.backup();
    let from = rig.cluster.conninfo();
    let pair = Pair::with(rig, &["--primary-conninfo", &from]);
    pair.rig.cluster.sql("select add_retention_policy('prices', interval '10 days', initial_start => now() + interval '20 seconds')");
    pair.caught_up();
    let jobs = "select count(*) > 0 from pg_stat_activity where backend_type like 'TimescaleDB%'";
    assert_eq!((pair.rig.cluster.sql(jobs), pair.standby.sql(jobs)), ("t".to_owned(), "f".to_owned()));
    assert_ne!(pair.standby.sql("show timescaledb.max_background_workers"), "0");
    pair.rig.cluster.kill_9();
    let promotion = pair.promoted(&["--fenced-by-hand", "ann: power cable"]);
    assert!(!promotion["remarks"].to_string().contains("max_background_workers"), "{promotion}");
    pair.standby.wait_until(&format!("({jobs})"));
    pair.standby.wait_until("(select count(*) < 20 from timescaledb_information.chunks where hypertable_name = 'prices')");
}
