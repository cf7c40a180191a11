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

/// An aggregate grows old without anybody recording a failure.
#[test]
fn a_refresh_that_does_not_begin_any_more_is_wrong() {
    for place in all_natives("a_refresh_that_does_not_begin_any_more_is_wrong") {
        let Place::Native(cluster) = &place else { continue };
        place.sql(
            "create table prices(at timestamptz not null, price int); select create_hypertable('prices', 'at'); \
             create materialized view daily with (timescaledb.continuous) as \
               select time_bucket('1 day', at) as day, avg(price) from prices group by 1 with no data; \
             select add_continuous_aggregate_policy('daily', interval '3 days', interval '1 hour', schedule_interval => interval '30 minutes')",
        );
        cluster.wait_until("exists (select from timescaledb_information.job_stats where job_id >= 1000 and next_start > now())");
        let state = place.state();
        let due = state.jobs.iter().find(|job| job.does == JobKind::Refresh).and_then(|job| job.next_start).expect("when it runs next");
        let later = |state: &TimescaleState, minutes: i64| {
            let at = due.checked_add(jiff::SignedDuration::from_mins(minutes)).expect("a moment");
            job_reports(state, at).into_iter().find(|report| report.does.starts_with("refresh of")).expect("the job").state
        };
        assert!(matches!(later(&state, 0), JobState::Well | JobState::Excused { .. }), "{state:?}");
        assert!(matches!(later(&state, 55), JobState::Well | JobState::Excused { .. }), "{state:?}");
        assert_eq!(later(&state, 65), JobState::Overdue { since: due });
        // Paused on purpose is another matter.
        place.sql("select alter_job(job_id, scheduled => false) from timescaledb_information.jobs where job_id >= 1000");
        assert!(matches!(later(&place.state(), 65), JobState::Well | JobState::Excused { .. }));
        place.sql("select alter_job(job_id, scheduled => true) from timescaledb_information.jobs where job_id >= 1000");
        // As a restored server is until it was restarted.
        place.sql("alter system set timescaledb.max_background_workers = 0");
        cluster.restart();
        assert_eq!(later(&place.state(), 0), JobState::NoWorkers);
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
