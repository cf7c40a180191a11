//! Jobs are judged by what they have left.

use seawall::converge::{JobState, job_reports};
use seawall::inventory::{JobKind, TimescaleState};
use seawall::units::Instant;

use super::place::{Place, all_natives};

fn now() -> Instant {
    seawall::world::clock::now()
}

fn state_of(state: &TimescaleState, kind: JobKind) -> JobState {
    let job = state.jobs.iter().find(|job| job.does == kind && job.id >= 1000).expect("the job");
    job_reports(state, now()).into_iter().find(|report| report.id == job.id).expect("a report").state
}

#[test]
fn a_job_that_never_ran_and_one_that_did_its_work() {
    for place in all_natives("a_job_that_never_ran_and_one_that_did_its_work") {
        let Place::Native(cluster) = &place else { continue };
        place.sql("select _timescaledb_functions.stop_background_workers()");
        place.sql(
            "create table prices(at timestamptz not null); select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day'); \
             insert into prices select t from generate_series(now() - interval '20 days', now(), interval '1 day') t; \
             select add_retention_policy('prices', interval '10 days')",
        );
        match state_of(&place.state(), JobKind::Retention) {
            JobState::Behind { amount, error: None } => assert!((7..=9).contains(&amount.chunks), "{amount}"),
            other => panic!("{other:?}"),
        }
        place.sql("select _timescaledb_functions.start_background_workers()");
        cluster.wait_until("(select count(*) from timescaledb_information.chunks) < 13");
        // Recorded as failed or not: what it should have done is done.
        cluster.wait_until("exists (select from timescaledb_information.job_stats where job_id >= 1000 and last_run_status is not null)");
        let state = state_of(&place.state(), JobKind::Retention);
        println!("{state:?}");
        assert!(matches!(state, JobState::Well | JobState::Excused { .. }), "{state:?}");
    }
}

#[test]
fn a_procedure_of_ones_own_is_wrong_when_it_fails() {
    for place in all_natives("a_procedure_of_ones_own_is_wrong_when_it_fails") {
        let Place::Native(cluster) = &place else { continue };
        place.sql(
            "create procedure breaks(job_id int, config jsonb) language plpgsql as $$ begin raise exception 'it is broken'; end $$; \
             select add_job('breaks', '1 hour')",
        );
        cluster.wait_until("exists (select from timescaledb_information.job_stats where job_id >= 1000 and total_failures > 0)");
        match state_of(&place.state(), JobKind::Other) {
            JobState::Failed { error, since: Some(_) } => assert!(error.contains("it is broken"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}
