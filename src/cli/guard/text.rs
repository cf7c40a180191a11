//! What is said around a guarded command, on standard error: standard output is the command's.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitStatus;
use std::time::Duration;

use crate::cli::restore::seconds;
use crate::cli::terminal::tame;
use crate::execute::guard::{Around, DIRECTORY, IDENTITY, Plan, Protection, told};
use crate::plan::guard::Chosen;
use crate::plan::minute;
use crate::policy::model::Policy;

/// That nobody reads it is no reason to end differently.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What protects it, and why, in one sentence.
pub(super) fn chosen(plan: &Plan<'_>) -> String {
    let text = match &plan.chosen {
        Chosen::Point(_) => format!("guard: a restore point is enough: {}", plan.why),
        Chosen::Backup { job, point_too, .. } => {
            let point = if point_too.is_some() { ", and a restore point after it" } else { "" };
            format!("guard: a backup by `backups.{job}`{point}: {}", plan.why)
        }
    };
    format!("{}\n", tame(&text))
}

/// Before the command begins: whatever happens to this host then, the way back has been said.
pub(super) fn protected(protection: &Protection, undo: &[String]) -> String {
    let mut text = String::new();
    for remark in &protection.remarks {
        let _ = writeln!(text, "note: {}", tame(remark));
    }
    let _ = writeln!(text, "guard: protected by {}; until {} this undoes it:", protection.says(), minute(protection.until));
    text.push_str(&way_back(undo));
    text
}

pub(super) fn ended(program: &str, status: ExitStatus, took: Duration, protection: &Protection, undo: &[String]) -> String {
    let (program, how, took) = (tame(program), told(status), seconds(took.as_secs_f64()));
    let mut text = if status.success() {
        format!("guard: `{program}` {how} in {took}; until {} this undoes it:\n", minute(protection.until))
    } else {
        format!(
            "\nerror: `{program}` {how} after {took}. WHAT IT DID UNTIL THEN STANDS. This brings back {}, and undoes whatever anybody else has \
             done since:\n",
            protection.moment.strftime("%Y-%m-%d %H:%M:%S UTC")
        )
    };
    text.push_str(&way_back(undo));
    text
}

fn way_back(undo: &[String]) -> String {
    let mut text: String = undo.iter().map(|line| format!("  {}\n", tame(line))).collect();
    let has = |word: &str| undo.iter().any(|line| line.split(' ').any(|part| part == word));
    if has(DIRECTORY) {
        let _ = writeln!(text, "  DIR is an empty directory; with `--delta` it is that of the stopped server");
    }
    if has(IDENTITY) {
        let _ = writeln!(text, "  FILE is the recovery identity");
    }
    text
}

/// For people who want to know before.
pub(super) fn plan(plan: &Plan<'_>, policy: &Policy, around: &Around) -> String {
    let mut text = String::from("Guard, as it would be\n");
    let mut row = |what: &str, value: String| _ = writeln!(text, "  {what:<9}{}", tame(&value));
    row("command", format!("`{}`, which is not run now", plan.wanted.program));
    match &plan.chosen {
        Chosen::Point(base) => {
            row("by", format!("a restore point (`{}`), its log in store `{}`", plan.name, base.store));
            row("because", plan.why.clone());
            row("holds", format!("backup {} of `{}`", base.backup, base.job));
        }
        Chosen::Backup { job, point_too, .. } => {
            let point = if point_too.is_some() { format!(", and a restore point after it (`{}`)", plan.name) } else { String::new() };
            row("by", format!("a backup by `backups.{job}`{point}"));
            row("because", format!("no restore point alone: {}", plan.why));
        }
    }
    row("label", plan.wanted.label.clone());
    for line in super::template(plan, policy, around) {
        row("undo", line);
    }
    plan.remarks.iter().for_each(|remark| row("note", remark.clone()));
    text
}
