//! A drill, for people.

use std::fmt::Write as _;

use crate::cli::copying::size;
use crate::cli::restore::seconds;
use crate::cli::terminal::tame;
use crate::execute::drill::{Drilled, Glance};
use crate::inventory::{BackupKind, DrillOutcome, DrillPhase, DrillRecord, DrilledTier, Phase, RehearsedPromotion};
use crate::plan::words::{counted, joined, quoted};
use crate::units::to_the_millisecond;

/// The line that changes while it goes on.
pub(super) fn glance(glance: &Glance) -> Option<String> {
    let phase = glance.phase?;
    Some(match phase {
        Phase::Files | Phase::Load if glance.size > 0 => {
            let percent = glance.done.saturating_mul(100).checked_div(glance.size).unwrap_or(100).min(100);
            format!("{}: {percent} % of {}", phase.says(), size(glance.size))
        }
        Phase::Consistent | Phase::Replay => match (glance.following.lsn, glance.log) {
            (Some(at), Some((from, to))) => {
                let (done, all) = (at.0.saturating_sub(from.0), to.0.saturating_sub(from.0));
                format!("{}: {at}, {} of at most {}", phase.says(), size(done), size(all))
            }
            _ => phase.says().to_owned(),
        },
        _ => phase.says().to_owned(),
    })
}

/// What an operator would have seen, and what it would have cost.
fn promoted(promotion: &RehearsedPromotion, line: &mut dyn FnMut(&str, String)) {
    let to = promotion.timeline.map_or_else(|| "not reached".to_owned(), |timeline| format!("to timeline {timeline}"));
    let within = promotion.within_millis.map_or_else(String::new, |within| format!(", of {} allowed", seconds(within as f64 / 1000.0)));
    line("promotion", format!("{to} in {}{within}", seconds(promotion.millis as f64 / 1000.0)));
    for step in &promotion.steps {
        let word = if step.done { "" } else { "FAILED: " };
        line("", format!("{:<9} {word}{} ({})", step.step, step.says, seconds(step.millis as f64 / 1000.0)));
    }
    let bytes = promotion.lost_bytes.map(|bytes| format!("{} of log that the primary has", size(bytes)));
    let time = promotion.lost_millis.map(|millis| format!("at most {} of work", seconds(millis as f64 / 1000.0)));
    let lost = [bytes, time].into_iter().flatten().collect::<Vec<_>>().join(", ");
    line("lost", if lost.is_empty() { "not known: no transaction was replayed, and the primary does not answer".to_owned() } else { lost });
}

fn usable(tier: &DrilledTier) -> String {
    let within = tier.within_millis.map_or_else(String::new, |within| format!(", of {} allowed", seconds(within as f64 / 1000.0)));
    let rows = tier.rows.map_or_else(String::new, |rows| format!(", {}", counted(rows, "row")));
    match tier.millis {
        Some(millis) => format!("{} usable after {}{within}{rows}", quoted(&tier.tier), seconds(millis as f64 / 1000.0)),
        None => format!("{} did not come", quoted(&tier.tier)),
    }
}

/// The verdict first.
pub(super) fn report(drilled: &Drilled) -> String {
    let record = &drilled.record;
    let mut text = verdict(record);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<12} {}", tame(&value));
    };
    if !record.chosen.is_empty() {
        let chosen = joined(record.chosen.iter().map(|choice| choice.as_str()));
        line("chosen", format!("the {chosen}, for this once: it says nothing of the drill that the policy names"));
    }
    if let Some(restored) = &record.restored {
        let ended = to_the_millisecond(restored.stopped);
        line("backup", format!("{} of `{}`, ended {ended}, from `{}`", restored.backup, restored.job, restored.store));
        let of = if restored.kind == BackupKind::Files { " of files".to_owned() } else { format!(", PostgreSQL {}", restored.postgres) };
        line("", format!("{}{of}", size(restored.size)));
        for (at, table) in restored.tables.iter().enumerate() {
            let rows = table.rows.map_or_else(String::new, |rows| format!(": {}", counted(rows, "row")));
            line(if at == 0 { "tables" } else { "" }, format!("{} of {}{rows}", quoted(&table.table), quoted(&table.database)));
        }
        if let Some(target) = restored.target {
            line("asked for", target.to_string());
        }
    }
    if let Some(reached) = &record.reached {
        let at = reached.lsn.map_or_else(String::new, |lsn| format!("{lsn}"));
        let timeline = reached.timeline.map_or_else(String::new, |timeline| format!(" on timeline {timeline}"));
        let last = reached.last_commit.map_or_else(String::new, |last| format!(", every transaction up to {last}"));
        line("reached", format!("{at}{timeline}{last}"));
    }
    if let Some(promotion) = &record.promotion {
        promoted(promotion, &mut line);
    }
    for (at, tier) in record.tiers.iter().enumerate() {
        line(if at == 0 { "tiers" } else { "" }, usable(tier));
    }
    if let Some(canary) = &record.canary {
        let word = if canary.after_backup { "written after the backup" } else { "written before the backup" };
        line("canary", format!("{word}, at {}; {} lost at most", canary.written, seconds(canary.lost_millis as f64 / 1000.0)));
    }
    for (at, phase) in record.phases.iter().enumerate() {
        line(if at == 0 { "phases" } else { "" }, spent(phase));
    }
    for (at, one) in record.expectations.iter().enumerate() {
        let met = if one.met { "met" } else { "NOT MET" };
        line(if at == 0 { "expected" } else { "" }, format!("{:<8} {}: {}", met, one.name, one.says));
    }
    if let Some(command) = &record.command {
        let word = if command.succeeded { "succeeded" } else { "FAILED" };
        line("program", format!("{word}   {}: {}, {}", command.program, command.says, seconds(command.millis as f64 / 1000.0)));
        for said in command.output.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().filter(|_| !command.succeeded) {
            line("", format!("| {said}"));
        }
    }
    for remark in &record.remarks {
        line("note", remark.clone());
    }
    if let Some(kept) = &drilled.kept {
        line("kept", kept.folder.display().to_string());
        if let Some(connect) = &kept.connect {
            line("connect", connect.clone());
        }
        line("", "`seawall drill --remove` removes it".to_owned());
    }
    text
}

fn verdict(record: &DrillRecord) -> String {
    let name = record.drill.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
    let word = match record.outcome {
        DrillOutcome::Passed => "passed",
        DrillOutcome::Failed => "FAILED",
        DrillOutcome::Stopped => "STOPPED",
    };
    let within = record.within_millis.map_or_else(String::new, |within| format!(", of {} allowed", seconds(within as f64 / 1000.0)));
    let took = record.recovery_millis.map_or_else(String::new, |took| format!("; recovered in {}{within}", seconds(took as f64 / 1000.0)));
    let why = record.failure.as_ref().map_or_else(String::new, |failure| format!(" while {}", failure.phase.says()));
    format!("Drill{name} of `{}` {word}{why}{took}\n", tame(record.policy.as_str()))
}

fn spent(phase: &DrillPhase) -> String {
    let took = phase.millis as f64 / 1000.0;
    let of_files = matches!(phase.phase, Phase::Fetch | Phase::Open | Phase::Write);
    let says = if of_files { format!("  {}, all threads", phase.phase.says()) } else { phase.phase.says().to_owned() };
    let much = match phase.bytes {
        Some(bytes) if bytes > 0 && phase.millis > 0 => format!("  {}, {}/s", size(bytes), size((bytes as f64 / took) as u64)),
        Some(bytes) if bytes > 0 => format!("  {}", size(bytes)),
        _ => String::new(),
    };
    format!("{says:<38} {:>9}{much}", seconds(took))
}
