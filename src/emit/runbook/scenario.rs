//! One thing that may happen, from the first look to the last check.

use super::Setting;
use super::around;
use super::page::{Block, Step};
use super::recover::{self, Goal, Restored};
use super::today::Today;
use crate::objectives::{Assessment, Objective, PartKind, Row, SubjectKind, WorstCase};
use crate::plan::words::{plain, quoted, sentence};
use crate::policy::file::{self, Check, Recover, Value};
use crate::policy::model::{Policy, Scenario};
use crate::units::{Duration, Name};

/// Something that may happen, and what is promised for it.
pub(super) struct Situation<'a> {
    /// None stands for the loss of everything, where no scenario speaks of that.
    pub name: Option<&'a Name>,
    pub resolved: Option<&'a Scenario>,
    written: Option<&'a file::Scenario>,
    rpo: Option<&'a Row>,
    rto: Option<&'a Row>,
}

/// All of them, the worst first.
pub(super) fn all<'a>(policy: &'a Policy, assessment: &'a Assessment) -> Vec<Situation<'a>> {
    let written = policy.file.objectives.as_ref();
    let row = |name: Option<&Name>, what: Objective| {
        let kind = if name.is_some() { SubjectKind::Scenario } else { SubjectKind::WholePolicy };
        assessment.rows.iter().find(|row| row.what == what && row.subject.kind == kind && row.subject.name.as_ref() == name)
    };
    let mut scenarios: Vec<(&Name, &Scenario)> = policy.objectives.scenarios.iter().collect();
    // What nobody has ranked comes behind what somebody has.
    scenarios.sort_by_key(|(name, scenario)| {
        (scenario.severity.is_none(), scenario.severity, scenario.priority.is_none(), scenario.priority, *name)
    });
    let mut situations: Vec<Situation<'_>> = scenarios
        .into_iter()
        .map(|(name, scenario)| Situation {
            name: Some(name),
            resolved: Some(scenario),
            written: written.and_then(|written| written.scenarios.get(name)),
            rpo: row(Some(name), Objective::Rpo),
            rto: row(Some(name), Objective::Rto),
        })
        .collect();
    if !situations.iter().any(|situation| situation.recover() == Recover::Cluster) {
        let whole = Situation { name: None, resolved: None, written: None, rpo: row(None, Objective::Rpo), rto: row(None, Objective::Rto) };
        situations.insert(0, whole);
    }
    situations
}

impl Situation<'_> {
    pub(super) fn recover(&self) -> Recover {
        self.resolved.map_or(Recover::Cluster, |scenario| scenario.recover)
    }

    /// What brings it back, by what was reckoned.
    pub(super) fn answer(&self) -> Option<&crate::objectives::Answer> {
        self.rto.or(self.rpo).and_then(|row| row.answer.as_ref())
    }

    pub(super) fn blocks(&self, policy: &Policy, setting: &Setting, today: &Today<'_>) -> Vec<Block> {
        let mut blocks = vec![Block::Heading(2, self.title())];
        blocks.extend(self.written.and_then(|written| written.description.as_ref()).map(|text| Block::Words(sentence(text))));
        blocks.extend(self.written.and_then(|written| written.notes.as_ref()).map(|text| Block::Warning(sentence(text))));
        blocks.push(Block::List(self.promises(policy)));
        blocks.push(Block::Heading(3, "Look first".into()));
        blocks.push(Block::Steps(self.look_first()));
        blocks.push(Block::Heading(3, "Recover".into()));
        let goal = Goal { policy, setting, today, situation: self };
        blocks.extend(recover::blocks(&goal));
        blocks.extend(self.times());
        blocks.push(Block::Heading(3, "Check before anybody works with it".into()));
        blocks.push(Block::Steps(self.checks(policy, recover::restored_as(&goal))));
        blocks.push(Block::Heading(3, "What this does not bring back".into()));
        blocks.push(Block::List(recover::limits(&goal)));
        blocks
    }

    fn title(&self) -> String {
        let Some((name, scenario)) = self.name.zip(self.resolved) else { return "Everything is lost".into() };
        let severity = scenario.severity.map(|severity| format!("{severity:?}").to_uppercase());
        let priority = scenario.priority.map(|priority| format!("{priority:?}"));
        let ranks: Vec<String> = severity.into_iter().chain(priority).collect();
        let rank = if ranks.is_empty() { String::new() } else { format!(" ({})", ranks.join(", ")) };
        format!("{name}{rank}")
    }

    fn promises(&self, policy: &Policy) -> Vec<String> {
        let what = match self.recover() {
            Recover::Cluster => "the whole cluster",
            Recover::Database => "one database",
            Recover::Table => "one table",
            Recover::Rows => "some rows",
            Recover::Files => "configuration, certificates and other files",
        };
        let mut lines = vec![format!("What must come back: {what}")];
        lines.extend(around::call(policy));
        let told = |row: &Row, most: &str| {
            let target = row.target.map_or_else(|| "nothing is promised".to_owned(), |target| format!("at most {target} is promised"));
            let margin = row.margin.map(|margin| format!(" ({margin})")).unwrap_or_default();
            format!("{most}: {target}, {} at worst{margin}", row.worst)
        };
        lines.extend(self.rpo.map(|row| told(row, "What is lost")));
        lines.extend(self.rto.map(|row| told(row, "Until it works again")));
        if let Some(answer) = self.answer() {
            let from = answer.store.as_ref().map(|store| format!(", from the store {store}")).unwrap_or_default();
            lines.push(format!("How: {}{from}: {}", answer.way, plain(&answer.why)));
        }
        lines
    }

    fn look_first(&self) -> Vec<Step> {
        let questions: &[&str] = match self.recover() {
            Recover::Cluster => &[
                "Is the server really gone, or only not reachable? Look from a second place; a restart may be all that is needed.",
                "Is a standby well, and does it have the damage too? Promoting is faster than restoring.",
                "Can the old server still write anywhere? Stop it or fence it: two servers must never both be the original.",
            ],
            Recover::Database => &[
                "What is damaged: the data (then go back in time), or the files (then the newest state is wanted)?",
                "Since when? Look for the last moment that is certainly good: in the application's log, the deployment's, `pg_stat_database`.",
                "Does the damage go on? Stop what writes it before you restore.",
            ],
            Recover::Table | Recover::Rows => &[
                "Which table, which rows? Write down the statement that shows the damage.",
                "When did it happen? Look for the last moment that is certainly good; a few seconds too late restore the damage itself.",
                "What was written to the same rows since? It will have to be merged by hand.",
                "Do other tables refer to them? They may have to come back together.",
            ],
            Recover::Files => {
                &["Which files, and since when are they wrong?", "Is there a newer copy in version control or configuration management?"]
            }
        };
        questions.iter().map(|question| Step::new(*question)).collect()
    }

    /// What each part takes, and how anybody knows.
    fn times(&self) -> Vec<Block> {
        let Some(row) = self.rto else { return Vec::new() };
        let mut since = Duration::ZERO;
        let rows = row.worst.parts().iter().map(|part| {
            since = since + part.length;
            vec![part.label.clone(), part.length.to_string(), since.to_string(), part.origin.to_string()]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        let mut blocks = vec![Block::Heading(3, "How long it takes".into())];
        if !rows.is_empty() {
            blocks.push(Block::Table(vec!["part", "takes", "by then", "known from"], rows));
        }
        if row.worst.parts().iter().any(|part| part.kind == PartKind::Increments) {
            blocks.push(Block::Warning(
                "these figures reckon with increments, which this version of Seawall neither takes nor restores: more log is replayed instead, and that \
                 takes longer."
                    .into(),
            ));
        }
        if let WorstCase::Unknown { reason, .. } = &row.worst {
            blocks.push(Block::Words(format!("How long it takes altogether is not known: {}.", plain(reason))));
        }
        blocks
    }

    /// What drills expect of a restored copy, for the reader to ask.
    fn checks(&self, policy: &Policy, restored: Restored) -> Vec<Step> {
        let rehearsing = |drill: &&file::Drill| self.name.is_some() && drill.rehearses.as_ref() == self.name;
        let all = || policy.file.drills.values();
        let drills: Vec<&file::Drill> =
            if all().any(|drill| rehearsing(&drill)) { all().filter(rehearsing).collect() } else { all().collect() };
        let mut steps = Vec::new();
        if restored == Restored::Named {
            steps.push(Step::with("Say where it came back.", "restored='host=… port=… dbname=…'"));
        }
        for drill in drills {
            for (name, expected) in &drill.expect {
                let step = check(policy, name, expected, restored);
                if !steps.contains(&step) {
                    steps.push(step);
                }
            }
            if let Some(run) = &drill.run {
                let step = Step::with(
                    "The application's own test, with the connection in the `PG*` variables.",
                    super::command::words_of(&run.run),
                );
                if !steps.contains(&step) {
                    steps.push(step);
                }
            }
        }
        if steps.iter().all(|step: &Step| step.commands.is_none()) {
            steps.push(Step::new(
                "The policy says nothing about what must be true (`drills.NAME.expect`). Ask the application's owner what to look at.",
            ));
        }
        steps.push(Step::new("Ask whoever works with the data to look at the newest entries, and write down who did."));
        steps
    }
}

fn check(policy: &Policy, name: &Name, expected: &file::Expectation, restored: Restored) -> Step {
    let database = expected.database.as_ref().or(policy.databases.first());
    let psql = |sql: &str| recover::ask(policy, restored, database.map(String::as_str), sql);
    if let Some(sql) = &expected.sql {
        return Step::with(format!("{name}: {}.", wanted(expected)), psql(sql));
    }
    let unvalidated = "select conrelid::regclass, conname from pg_constraint where not convalidated";
    match expected.check {
        Some(Check::ConstraintsValid) => Step::with(format!("{name}: no row."), psql(unvalidated)),
        Some(Check::IndexesValid | Check::Amcheck) => Step::with(
            format!("{name}: no row; then `pg_amcheck --all` finds nothing."),
            psql("select indexrelid::regclass from pg_index where not indisvalid"),
        ),
        Some(Check::Hypertables) => Step::with(
            format!("{name}: as many chunks of each hypertable as before."),
            psql("select hypertable_schema, hypertable_name, num_chunks from timescaledb_information.hypertables order by 1, 2"),
        ),
        Some(Check::Jobs) => Step::with(
            format!("{name}: the same jobs as before."),
            psql("select job_id, application_name, schedule_interval, hypertable_name from timescaledb_information.jobs order by 1"),
        ),
        Some(Check::Extensions) => Step::with(
            format!("{name}: the same extensions and versions as before."),
            psql("select extname, extversion from pg_extension order by 1"),
        ),
        Some(Check::RowCounts) => Step::with(
            // What the statistics collector counted is discarded by a recovery; what the planner was told last comes back with the catalog.
            format!("{name}: about as many rows in each table as before. -1 is a table that was never analyzed: count its rows."),
            psql("select relid::regclass, reltuples::bigint from pg_stat_user_tables join pg_class on oid = relid order by 2 desc"),
        ),
        None => Step::new(format!("{name}.")),
    }
}

/// What the query must say.
fn wanted(expected: &file::Expectation) -> String {
    let mut parts = Vec::new();
    let said = |value: &Value| match value {
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Text(value) => quoted(value),
    };
    parts.extend(expected.is.as_ref().map(|value| format!("exactly {}", said(value))));
    parts.extend(expected.rows.as_ref().map(|rows| {
        let rows = rows.iter().map(|row| format!("({})", row.iter().map(said).collect::<Vec<_>>().join(", ")));
        format!("exactly these rows: {}", rows.collect::<Vec<_>>().join(", "))
    }));
    parts.extend(expected.at_least.as_ref().map(|value| format!("at least {value}")));
    parts.extend(expected.at_most.as_ref().map(|value| format!("at most {value}")));
    parts.extend((expected.no_rows == Some(true)).then(|| "no row".to_owned()));
    parts.extend((expected.some_rows == Some(true)).then(|| "at least one row".to_owned()));
    parts.extend(expected.newer_than.map(|age| format!("not older than {age}, seen from the moment that was recovered to")));
    parts.extend(expected.like_source.map(|share| format!("as in the original, give or take {share}")));
    if parts.is_empty() { "look at it".into() } else { parts.join(", ") }
}
