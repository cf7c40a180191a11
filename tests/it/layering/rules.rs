//! What a file may not name.

use super::rooms::{self, Kind};
use super::source::{self, Named};

/// What no core room may name, and what it does instead. Each stands for a run of segments anywhere in a path.
const ACTS: &[(&[&str], &str)] = &[
    (&["std", "fs"], "files are read by the shell and handed in"),
    (&["std", "env"], "the environment belongs to `world`"),
    (&["std", "net"], "the network belongs to drivers"),
    (&["std", "os"], "the system belongs to drivers"),
    (&["std", "process"], "programs are started by drivers"),
    (&["std", "io", "stdin"], "input is read by the shell and handed in"),
    (&["std", "io", "stdout"], "output is written by the shell"),
    (&["std", "io", "stderr"], "output is written by the shell"),
    (&["std", "time", "Instant"], "`now` is an argument"),
    (&["SystemTime"], "`now` is an argument"),
    (&["Instant", "now"], "`now` is an argument"),
    (&["Timestamp", "now"], "`now` is an argument"),
    (&["Zoned", "now"], "`now` is an argument"),
    (&["std", "thread", "sleep"], "nothing waits in the core"),
    (&["thread", "sleep"], "nothing waits in the core"),
    (&["tokio"], "the core is synchronous"),
    (&["TimeZone", "system"], "the machine's zone is not the policy's"),
    (&["TimeZone", "try_system"], "the machine's zone is not the policy's"),
    (&["TimeZone", "get"], "it reads the machine's time zone files: use the bundled ones"),
    (&["tz", "db"], "it reads the machine's time zone files: use the bundled ones"),
    (&["in_tz"], "it reads the machine's time zone files: use the bundled ones"),
    (&["print!"], "output is written by the shell"),
    (&["println!"], "output is written by the shell"),
    (&["eprint!"], "output is written by the shell"),
    (&["eprintln!"], "output is written by the shell"),
    (&["std", "*"], "a glob hides what is used"),
];

/// Everything in the file `inside` (a path below src/) that the law forbids, each with its place.
pub(super) fn breaches(inside: &str, text: &str) -> Vec<String> {
    let modules = modules(inside);
    // The crate's root names its rooms, and the program calls the command line.
    let Some(name) = modules.first().filter(|_| !["lib.rs", "main.rs"].contains(&inside)) else {
        return Vec::new();
    };
    let Some(room) = rooms::named(name) else {
        return vec![format!(
            "src/{inside}: the room `{name}` is in no table: say in one line what it is for and what it may use, \
             in docs/architecture.md and tests/it/layering/rooms.rs"
        )];
    };
    let mut found = Vec::new();
    let mut breach = |named: &Named, what: String| found.push(format!("src/{inside}:{}: {what}", named.line));
    for named in source::paths(text) {
        let path = named.segments.join("::");
        match reached(&modules, &named) {
            Reached::Within => {}
            Reached::Room(other) if room.may_use(&other) => {}
            Reached::Room(other) if rooms::named(&other).is_some() => {
                let used: Vec<_> = room.uses().collect();
                let uses = if used.is_empty() { "no room".to_owned() } else { format!("only {}", used.join(", ")) };
                breach(&named, format!("`{name}` uses `{path}`, but may use {uses}"));
            }
            Reached::Room(_) => breach(&named, format!("`{path}` names no room: go through the room that has it")),
            Reached::Root => breach(&named, format!("`{path}` takes the whole crate: name the rooms that are used")),
        }
        if room.kind == Kind::Core
            && let Some((_, instead)) = ACTS.iter().find(|(run, _)| is_in(&named.segments, run))
        {
            breach(&named, format!("`{name}` is a core room and names `{path}`: {instead}"));
        }
    }
    found
}

/// `units/bytes.rs` is the module `units::bytes`, `units/mod.rs` and `units.rs` are `units`.
fn modules(inside: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    parts.pop_if(|last| *last == "mod");
    parts
}

enum Reached {
    /// The file's own room, another crate, or a name that was brought in by a path that is looked at itself.
    Within,
    Room(String),
    /// The crate as a whole, so that what is used cannot be seen.
    Root,
}

fn reached(modules: &[&str], named: &Named) -> Reached {
    let supers = named.segments.iter().take_while(|segment| *segment == "super").count();
    let rest = match named.segments[0].as_str() {
        "crate" => &named.segments[1..],
        "self" if named.segments.get(1).is_some_and(|next| next == "super") => {
            let inner = Named { segments: named.segments[1..].to_vec(), ..named.clone() };
            return reached(modules, &inner);
        }
        "super" if supers >= modules.len() + named.depth => &named.segments[supers..],
        _ => return Reached::Within,
    };
    match rest.first().map(String::as_str) {
        // `pub(crate)` alone brings nothing in; `crate as other` does.
        None if named.alias => Reached::Root,
        None => Reached::Within,
        Some("*") => Reached::Root,
        Some(room) => Reached::Room(room.to_owned()),
    }
}

fn is_in(segments: &[String], run: &[&str]) -> bool {
    let alternative = |segment: &str, wanted: &str| segment == wanted || (wanted == "std" && segment == "core");
    segments.windows(run.len()).any(|window| window.iter().zip(run).all(|(segment, wanted)| alternative(segment, wanted)))
}

#[cfg(test)]
mod tests {
    use super::breaches;

    /// (file, source, what is said; nothing when it is allowed)
    const CASES: &[(&str, &str, &str)] = &[
        // Which rooms.
        ("units/bytes.rs", "use super::Duration;", ""),
        ("schedule/gap.rs", "use crate::units::Instant;", ""),
        ("schedule/gap.rs", "use crate::schedule::cron::Cron;", ""),
        (
            "schedule/gap.rs",
            "\nuse crate::policy::Policy;",
            "src/schedule/gap.rs:2: `schedule` uses `crate::policy::Policy`, but may use only units",
        ),
        ("units/mod.rs", "fn f() -> crate::plan::Plan {}", "src/units/mod.rs:1: `units` uses `crate::plan::Plan`, but may use no room"),
        (
            "plan/mod.rs",
            "use crate::{units::Lsn, store::{self, Store}};",
            "src/plan/mod.rs:1: `plan` uses `crate::store`, but may use only units, schedule, inventory, retention, recovery, policy, objectives, evidence\n\
             src/plan/mod.rs:1: `plan` uses `crate::store::Store`, but may use only units, schedule, inventory, retention, recovery, policy, objectives, evidence",
        ),
        ("plan/lint.rs", "use crate::diff::Change;", "may use only units"),
        ("diff/mod.rs", "use crate::plan::Plan;", ""),
        ("alert.rs", "use crate::policy::Policy; use crate::units::Name;", ""),
        ("alert.rs", "use crate::diff::Change;", "but may use only units, schedule, inventory, policy, evidence, plan"),
        ("wal/push.rs", "use crate::pipeline::Sink;", ""),
        ("wal/push.rs", "use crate::policy::Policy;", "`wal` uses `crate::policy::Policy`"),
        ("execute/backup.rs", "use crate::{plan, store, postgres, notify};", ""),
        ("emit/systemd.rs", "use crate::store::Store;", "`emit` uses `crate::store::Store`"),
        ("cli/mod.rs", "use crate::report::Report; use crate::wal;", ""),
        // Ways round it.
        ("units/bytes.rs", "use super::super::plan::Plan;", "`units` uses `super::super::plan::Plan`"),
        ("units/bytes.rs", "mod tests { use super::super::Duration; }", ""),
        ("units/bytes.rs", "mod tests { use super::super::super::plan::Plan; }", "`units` uses"),
        ("units/mod.rs", "use super::plan::Plan;", "`units` uses `super::plan::Plan`"),
        ("units/mod.rs", "use self::super::plan::Plan;", "`units` uses"),
        ("units.rs", "use super::*;", "takes the whole crate"),
        ("units/mod.rs", "use crate::*;", "takes the whole crate"),
        ("units/mod.rs", "use crate as everything;", "takes the whole crate"),
        ("units/mod.rs", "use crate::{self as everything};", "takes the whole crate"),
        ("schedule/mod.rs", "use crate::{units::Lsn as Position, units::Name};", ""),
        ("schedule/mod.rs", "x as crate::plan::Plan", "`schedule` uses `crate::plan::Plan`"),
        ("units/mod.rs", "pub(crate) fn f() {} pub(crate) use text_form;", ""),
        ("units/mod.rs", "pub(in crate::units) fn f() {}", ""),
        ("plan/mod.rs", "use crate::Policy;", "`crate::Policy` names no room: go through the room that has it"),
        ("units/mod.rs", "macro_rules! m { () => { $crate::cli::main() } }", "`units` uses `crate::cli::main`"),
        ("units/mod.rs", "// crate::cli\n/* crate::cli */ const X: &str = \"crate::cli\";", ""),
        ("widgets/mod.rs", "", "src/widgets/mod.rs: the room `widgets` is in no table"),
        ("widgets.rs", "", "src/widgets.rs: the room `widgets` is in no table"),
        ("lib.rs", "pub mod units; pub use crate::units::Lsn;", ""),
        ("main.rs", "fn main() { println!() }", ""),
        // What the core may not do.
        (
            "plan/mod.rs",
            "use std::{collections::BTreeMap, fs};",
            "src/plan/mod.rs:1: `plan` is a core room and names `std::fs`: files are read by the shell and handed in",
        ),
        ("plan/mod.rs", "std::env::var(\"HOME\")", "the environment belongs to `world`"),
        ("plan/mod.rs", "::std::net::TcpStream::connect(x)", "the network belongs to drivers"),
        ("plan/mod.rs", "std::process::Command::new(x)", "programs are started by drivers"),
        ("plan/mod.rs", "use std::time::SystemTime;", "`now` is an argument"),
        ("plan/mod.rs", "use std::time::Instant;", "`now` is an argument"),
        ("plan/mod.rs", "Instant::now()", "`now` is an argument"),
        ("plan/mod.rs", "jiff::Timestamp::now()", "`now` is an argument"),
        ("plan/mod.rs", "Zoned::now()", "`now` is an argument"),
        ("plan/mod.rs", "std::thread::sleep(x)", "nothing waits in the core"),
        ("plan/mod.rs", "tokio::spawn(x)", "the core is synchronous"),
        ("plan/mod.rs", "println!(\"{x}\")", "output is written by the shell"),
        ("plan/mod.rs", "std::eprintln!(\"{x}\")", "output is written by the shell"),
        ("plan/mod.rs", "jiff::tz::TimeZone::system()", "the machine's zone is not the policy's"),
        ("plan/mod.rs", "TimeZone::get(\"UTC\")", "use the bundled ones"),
        ("plan/mod.rs", "now.in_tz(\"UTC\")", "use the bundled ones"),
        ("plan/mod.rs", "use std::*;", "a glob hides what is used"),
        ("plan/mod.rs", "use std::path::Path; use std::io::Write; use std::time::Duration; now.timestamp()", ""),
        ("plan/mod.rs", "let env = fs(process); self.now", ""),
        ("world/clock.rs", "std::time::SystemTime::now(); std::env::var(x)", ""),
        ("cli/mod.rs", "println!()", ""),
    ];

    #[test]
    fn made_up_sources_are_judged_rightly() {
        for (file, text, said) in CASES {
            let found = breaches(file, text).join("\n");
            if said.is_empty() {
                assert_eq!(found, "", "{file}: {text}");
            } else {
                assert!(found.contains(said), "{file}: {text}\nshould say: {said}\nsaid:       {found}");
            }
        }
    }
}
