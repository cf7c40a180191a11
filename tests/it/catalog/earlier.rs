//! Catalogs as earlier programs left them, kept as texts: each is brought up to date and still tells what it told.
//!
//! A new migration adds a file here with what the last one made: `earlier/002.sql` is to be written when `003-….sql` is.

use seawall::catalog::{Catalog, Filter, Measured, Outcome, StepOutcome, Where};
use seawall::format::audit;

use super::place::{self, Folder, tamper};
use super::rows::{at, begin, end};
use crate::clusters::{Cluster, Options, Version};

const EARLIER: &[(&str, &str)] = &[("first", include_str!("earlier/001.sql"))];

#[test]
fn every_earlier_catalog_is_brought_up_to_date() {
    let cluster = Cluster::start(Version::V15, Options::default());
    for (name, text) in EARLIER {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("state")).expect("a folder");
        for place in [folder.catalog(), place::database(&cluster, name)] {
            let (ours, theirs) = if matches!(place, Where::Sqlite(_)) { ("--sqlite", "--postgres") } else { ("--postgres", "--sqlite") };
            let lines = text.lines().filter(|line| !line.ends_with(theirs)).map(|line| line.trim_end_matches(ours));
            tamper(&place, &lines.collect::<Vec<_>>().join("\n")).unwrap_or_else(|said| panic!("{name}: {said}"));
            tells_what_it_told(&place);
        }
    }
}

fn tells_what_it_told(place: &Where) {
    let catalog = Catalog::open(place).unwrap_or_else(|fault| panic!("{fault:?}"));
    catalog.check().expect("sound");
    let runs = catalog.history(&Filter::default()).expect("read");
    let told: Vec<_> = runs.iter().map(|row| (row.run.to_string(), row.job.as_str(), row.outcome, row.started)).collect();
    assert_eq!(
        told,
        [
            ("3".to_owned(), "expire", None, at(300)),
            ("2".to_owned(), "backups.nightly", Some(Outcome::Failed), at(200)),
            ("1".to_owned(), "backups.nightly", Some(Outcome::Succeeded), at(100)),
        ]
    );
    assert_eq!((runs[2].bytes, runs[2].backup.as_deref(), runs[1].message.as_deref()), (Some(1000), Some("b1"), Some("the disk is full")));
    let steps = catalog.steps_of(runs[1].run).expect("read");
    assert_eq!((steps.len(), steps[0].outcome), (1, Some(StepOutcome::Failed)));
    let records = catalog.last_runs("orders").expect("read");
    assert_eq!((records[0].failures_in_a_row, records[0].last_succeeded, records[1].running), (1, Some(at(110)), Some(runs[0].run)));
    assert_eq!(catalog.series("orders", "age", "nightly", at(0)), Ok(vec![(at(1), 0.5), (at(2), 1.5)]));
    assert_eq!(catalog.memory("orders"), Ok((4, "{\"alerts\":[]}".into())));
    assert_eq!(catalog.undelivered("orders").expect("read").iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["n2"]);
    assert_eq!(catalog.reference_of("orders", "slack", "age"), Ok(Some("171.1".into())));
    assert_eq!(catalog.acknowledgements("orders").expect("read")[0].by, "ann");
    let links = catalog.links(1, 10).expect("read");
    audit::verify(&links, &[]).expect("the old chain holds");
    // And goes on.
    let run = begin(&catalog, "expire", 400);
    assert_eq!(run.to_string(), "4");
    end(&catalog, run, Outcome::Succeeded, 410);
    catalog.measure("orders", &[Measured { name: "age", subject: "nightly", value: 2.5 }], at(3)).expect("measured");
    assert_eq!(catalog.append(&super::rows::entry("after")).expect("appended").seq, links.len() as u64 + 1);
    audit::verify(&catalog.links(1, 10).expect("read"), &[links[1].head()]).expect("one chain");
}
