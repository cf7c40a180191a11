//! Jobs of somebody's own that take rows away and look at no hold.

use super::converge::{Room, ends, said, still};
use super::place::all_natives;

const TABLES: &str = "\
    create table prices(at timestamptz not null); select create_hypertable('prices', 'at'); \
    create table ticks(at timestamptz not null); select create_hypertable('ticks', 'at'); \
    create procedure tidy(job_id int, config jsonb) language plpgsql as $$ begin \
      perform drop_chunks('prices', older_than => now() - interval '1 year'); end $$; \
    create procedure tidy_all(job_id int, config jsonb) language plpgsql as $$ begin \
      perform drop_chunks((config ->> 'of')::regclass, older_than => now() - interval '1 year'); end $$; \
    create procedure careful(job_id int, config jsonb) language plpgsql as $$ begin \
      if not exists (select from seawall.legal_hold where of_table = 'prices') then delete from prices; end if; end $$; \
    create procedure fills(job_id int, config jsonb) language plpgsql as $$ begin insert into prices values (now()); end $$;";

#[test]
fn a_job_that_drops_what_is_held_is_named() {
    for place in all_natives("a_job_that_drops_what_is_held_is_named") {
        let room = Room::new(place);
        room.place.sql(TABLES);
        let job = |procedure: &str, config: &str| {
            room.place
                .sql(&format!("select add_job('{procedure}', '1 day', config => '{config}', initial_start => now() + interval '1 year')"))
        };
        let [tidy, of_prices, of_ticks, any, careful, fills] = [
            job("tidy", "{}"),
            job("tidy_all", r#"{"of": "prices"}"#),
            job("tidy_all", r#"{"of": "ticks"}"#),
            job("tidy_all", "{}"),
            job("careful", "{}"),
            job("fills", "{}"),
        ];
        still(&room.place);
        let hold = "holds: { case: { reason: litigation, rows: { database: postgres, table: prices, to: 2024-12-31 } } }";
        room.write("    hypertables: { prices: {}, ticks: {} }\n", hold);
        ends(&room.apply(&["--yes"]), 0);
        let shown = ends(&room.plan(&[]), 0);
        let line = |job: &str| shown.lines().find(|line| line.contains(&format!("the text of job {job}, "))).map(str::to_owned);
        let held = "rows of `prices` are held by `case`";
        for (job, which) in [(&tidy, "looks at no hold"), (&of_prices, "looks at no hold"), (&any, "does not say of which tables")] {
            let line = line(job).unwrap_or_else(|| panic!("job {job} is not named: {shown}"));
            assert!(line.contains("has `drop_chunks`") && line.contains(which) && line.contains(held), "{line}");
        }
        for job in [&of_ticks, &careful, &fills] {
            assert_eq!(line(job), None, "{shown}");
        }
        // Whoever watches hears of it, and nobody once it is paused.
        ends(&room.on_this_host(&["watch"]), 0);
        let status = said(&room.on_this_host(&["status"]));
        assert!(status.contains(&format!("job {tidy} in `postgres`, public.tidy: it may take away what is under hold")), "{status}");
        room.place.sql(&format!("select alter_job({tidy}, scheduled => false)"));
        let shown = ends(&room.plan(&[]), 0);
        assert!(!shown.contains(&format!("the text of job {tidy}, ")), "{shown}");
        // Without a hold it is nobody's concern.
        room.write("    hypertables: { prices: {}, ticks: {} }\n", "");
        assert!(!said(&room.plan(&[])).contains("the text of job"));
    }
}
