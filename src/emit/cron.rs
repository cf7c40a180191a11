//! Lines for cron, where there is no systemd.
//!
//! Debian's cron knows one time zone, the machine's, which nobody knows here. All zones in use are whole quarters of an hour apart, so a
//! line that asks at the schedule's minutes, and a quarter, half and three quarters of an hour past them, asks at every moment of
//! the schedule whatever the machine's zone is, and around every change of its clocks. It also catches up what was missed, which cron itself
//! does not.

use std::collections::BTreeSet;

use super::needs::{Called, Needs, needs};
use super::service::{command, environment_file, user, variables};
use super::{EmitFault, Emitted, Setting, again, heading, hosts, quote, watch_every};
use crate::policy::model::Policy;
use crate::schedule::{Pattern, Schedule};
use crate::units::{Duration, Instant};

const DIRECTORY: &str = "/etc/cron.d";

/// The crontab of this host, for `/etc/cron.d`.
pub fn cron(policy: &Policy, setting: &Setting) -> Result<Emitted, EmitFault> {
    setting.check()?;
    let jobs = hosts::jobs(policy, setting.host.as_ref());
    let mut all = Needs::default();
    let mut lines = Vec::new();
    let mut add = |called: Called<'_>, when: &str, about: &str| -> Result<(), EmitFault> {
        let needs = needs(policy, setting, called)?;
        let command = shell(policy, &needs, &command(setting, called)?);
        lines.push(format!(
            "\n# {}\n{when} * * * {} {}\n",
            crate::plan::words::plain(about),
            user(policy, setting),
            quote::for_cron(&command)
        ));
        all.credentials.extend(needs.credentials);
        all.variables.extend(needs.variables);
        all.clouds.extend(needs.clouds);
        Ok(())
    };
    for timed in &jobs {
        add(Called::Job(timed), &format!("{} *", minutes(&timed.schedule)), &format!("{}: {}", timed.path, timed.schedule.describe()))?;
    }
    if hosts::reads_archives_back(policy, setting.host.as_ref()) {
        // It asks the store what nobody has read yet, which once a day is often enough, by whatever clock.
        add(Called::ReadBack, "0 6", "archived rows are read back: once a day")?;
    }
    let every = watch_every(policy);
    add(Called::Watch, &format!("{} *", steps(every)), &format!("watch: {}", crate::plan::words::span(every)))?;
    let mut text = heading(policy, setting, &again(setting, "cron", DIRECTORY));
    text.push_str(
        "#\n# These lines ask more often than anything runs: cron has no time zones, and `run --due` starts only what is owed.\n\
         # Every outcome is on the record and told by `seawall watch`; what is printed goes to the system's log.\n",
    );
    if let Some(names) = variables(&all) {
        text.push_str(&format!("# {} may set: {names}\n", environment_file(policy)));
    }
    text.push_str("SHELL=/bin/sh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nMAILTO=\"\"\n");
    if !all.credentials.is_empty() {
        let names: Vec<&str> = all.credentials.iter().map(String::as_str).collect();
        text.push_str(&format!("# One file for each credential, readable by its user only: {}\n", names.join(" ")));
        text.push_str(&format!("CREDENTIALS_DIRECTORY=\"{}\"\n", setting.credentials.replace('"', "")));
    }
    text.extend(lines);
    Ok(Emitted { name: format!("seawall-{}", policy.name), text })
}

/// The command with its environment, and what it says in the system's log.
fn shell(policy: &Policy, needs: &Needs, command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| quote::for_shell(word)).collect();
    let file = environment_file(policy);
    let set = if variables(needs).is_some() { format!("set -a; [ ! -r {file} ] || . {file}; set +a; ") } else { String::new() };
    format!("{set}{} 2>&1 | logger -t seawall", words.join(" "))
}

const QUARTER: u32 = 15;

/// The minutes of each hour at which the schedule may fire, in any time zone.
fn minutes(schedule: &Schedule) -> String {
    let own: BTreeSet<u32> = match schedule.pattern(Instant::UNIX_EPOCH) {
        Pattern::Civil { times, .. } | Pattern::Daily(times) => times.iter().map(|time| u32::from(time.minute())).collect(),
        Pattern::Interval(every) => of_interval(every),
    };
    let all: BTreeSet<u32> = own.iter().flat_map(|minute| (0..4).map(move |quarter| (minute + quarter * QUARTER) % 60)).collect();
    listed(&all)
}

/// An interval comes at the minutes that it and the hour have in common; one that is not made of minutes may come at any.
fn of_interval(every: Duration) -> BTreeSet<u32> {
    let common = (1..=60u32).rev().find(|minutes| 60 % minutes == 0 && every.as_secs().is_multiple_of(u64::from(*minutes) * 60));
    (0..60).step_by(common.unwrap_or(1) as usize).collect()
}

/// `*/5`, `0,15,30,45`
fn listed(minutes: &BTreeSet<u32>) -> String {
    let all: Vec<u32> = minutes.iter().copied().collect();
    let step = 60 / all.len().max(1) as u32;
    match step {
        1 if all.len() == 60 => "*".to_owned(),
        step if all.iter().enumerate().all(|(index, minute)| *minute == index as u32 * step) && all.len() > 4 => format!("*/{step}"),
        _ => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// As often as this, in whole minutes that divide the hour, and rather more often.
fn steps(every: Duration) -> String {
    let minutes = (every.as_secs() / 60).clamp(1, 30);
    let even = (1..=minutes).rev().find(|minutes| 60 % minutes == 0).unwrap_or(1);
    if even == 1 { "*".to_owned() } else { format!("*/{even}") }
}
