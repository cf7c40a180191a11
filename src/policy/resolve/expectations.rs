//! What a drill expects of the restored databases.

use super::Resolver;
use crate::policy::file::{self, Check};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Comparison, Expectation, Expecting};
use crate::policy::path::PolicyPath;
use crate::units::Duration;

const COMPARISON: Code = Code(223);

/// So long a query may take of which nothing is said.
const QUERY: Duration = Duration::from_mins(10);
/// And a check, which may read everything there is.
const CHECK: Duration = Duration::from_mins(60);
/// So many rows somebody may expect one by one.
const MOST_ROWS: usize = 100;

impl Resolver<'_> {
    /// None where it can never be judged, which is among the findings then.
    pub(super) fn expectation(&mut self, written: &file::Expectation, path: &PolicyPath) -> Option<Expectation> {
        let before = self.findings.len();
        let comparisons = comparisons(written);
        let what = match (&written.sql, written.check) {
            (Some(sql), _) => self.query(written, &comparisons, sql, path),
            (None, Some(check)) => self.check(written, &comparisons, check, path),
            (None, None) => None,
        };
        let is_sound = !self.findings[before..].iter().any(Finding::is_blocking);
        let timeout = written.timeout.unwrap_or(if written.sql.is_some() { QUERY } else { CHECK });
        what.filter(|_| is_sound).map(|what| Expectation { what, timeout })
    }

    fn query(&mut self, written: &file::Expectation, comparisons: &[&str], sql: &str, path: &PolicyPath) -> Option<Expecting> {
        if sql.trim().is_empty() {
            self.push(Finding::error(COMPARISON, path.key("sql"), "the query is empty").hint("Write what is asked, or take it out."));
        }
        self.comparisons(written, comparisons, path);
        for (key, value) in [("no_rows", written.no_rows), ("some_rows", written.some_rows)] {
            if value == Some(false) {
                self.push(
                    Finding::error(COMPARISON, path.key(key), format!("`{key}: false` expects nothing"))
                        .hint(format!("Write `{key}: true`, or the other one.")),
                );
            }
        }
        self.rows(written.rows.as_deref().unwrap_or_default(), &path.key("rows"));
        // Nobody complains twice of what was cut out for another reason.
        if self.was_cut(&path.key("sql")) {
            return None;
        }
        let database = self.database(written.database.as_ref(), path)?;
        Some(Expecting::Query { sql: sql.to_owned(), database, comparison: comparison(written)? })
    }

    /// All of a query's rows have as many columns.
    fn rows(&mut self, rows: &[Vec<file::Value>], path: &PolicyPath) {
        let columns = rows.first().map_or(0, Vec::len);
        if let Some(at) = rows.iter().position(|row| row.len() != columns) {
            let message = format!("this row is not as long as the first: {} against {columns}", rows[at].len());
            self.push(
                Finding::error(COMPARISON, path.item(at), message).hint("Write as many values in each row as the query has columns."),
            );
        }
        if rows.len() > MOST_ROWS {
            let message = format!("{} rows would be compared one by one", rows.len());
            self.push(
                Finding::error(COMPARISON, path.clone(), message)
                    .hint(format!("Up to {MOST_ROWS} are; compare a sum over more, or let the query find what is wrong (`no_rows`).")),
            );
        }
    }

    /// Exactly one, but for a lower and an upper limit that agree.
    fn comparisons(&mut self, written: &file::Expectation, comparisons: &[&str], path: &PolicyPath) {
        let written_there = self.cut.iter().any(|cut| cut.starts_with(path));
        match comparisons {
            [] if written_there => {}
            [] => self.push(
                Finding::error(COMPARISON, path.clone(), "nothing is expected of the query")
                    .on_key()
                    .label("can only pass")
                    .hint("Add `is`, `at_least`, `at_most`, `no_rows`, `some_rows`, `rows`, `newer_than` or `like_source`."),
            ),
            [_] | ["at_least", "at_most"] => {}
            [first, second, ..] => self.push(
                Finding::error(COMPARISON, path.key(second), format!("`{second}` cannot stand beside `{first}`"))
                    .on_key()
                    .hint("One comparison a query (`at_least` and `at_most` may stand together); make two expectations."),
            ),
        }
        if let (Some(least), Some(most)) = (&written.at_least, &written.at_most)
            && least > most
        {
            self.push(
                Finding::error(COMPARISON, path.key("at_most"), format!("no value is at least {least} and at most {most}"))
                    .hint("Exchange the two."),
            );
        }
    }

    fn check(&mut self, written: &file::Expectation, comparisons: &[&str], check: Check, path: &PolicyPath) -> Option<Expecting> {
        if let Some(stray) = comparisons.first() {
            self.push(
                Finding::error(COMPARISON, path.key(stray), format!("`{stray}` means nothing beside `check`"))
                    .on_key()
                    .hint("A check knows what to expect; take it out, or write the query in `sql`."),
            );
        }
        if matches!(check, Check::Hypertables | Check::Jobs) && self.file.timescaledb.is_empty() {
            self.push(
                Finding::warning(COMPARISON, path.key("check"), "the policy declares no hypertables, so this checks nothing")
                    .hint("Declare them under `timescaledb`, or take the check out."),
            );
        }
        let database = match &written.database {
            Some(_) => Some(self.database(written.database.as_ref(), path)?),
            None => None,
        };
        Some(Expecting::Check { check, database })
    }
}

/// What is said of the value or the rows, in a fixed order.
fn comparisons(written: &file::Expectation) -> Vec<&'static str> {
    let all = [
        ("is", written.is.is_some()),
        ("no_rows", written.no_rows.is_some()),
        ("some_rows", written.some_rows.is_some()),
        ("rows", written.rows.is_some()),
        ("newer_than", written.newer_than.is_some()),
        ("like_source", written.like_source.is_some()),
        ("at_least", written.at_least.is_some()),
        ("at_most", written.at_most.is_some()),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).collect()
}

fn comparison(written: &file::Expectation) -> Option<Comparison> {
    if let Some(value) = &written.is {
        return Some(Comparison::Is(value.clone()));
    }
    match (written.no_rows, written.some_rows) {
        (Some(_), _) => return Some(Comparison::NoRows),
        (_, Some(_)) => return Some(Comparison::SomeRows),
        (None, None) => {}
    }
    if let Some(rows) = &written.rows {
        return Some(Comparison::Rows(rows.clone()));
    }
    if let Some(age) = written.newer_than {
        return Some(Comparison::NewerThan(age));
    }
    if let Some(tolerance) = written.like_source {
        return Some(Comparison::LikeSource(tolerance));
    }
    let (least, most) = (written.at_least.clone(), written.at_most.clone());
    (least.is_some() || most.is_some()).then_some(Comparison::Range { least, most })
}
