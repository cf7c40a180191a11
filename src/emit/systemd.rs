//! Services and timers of systemd for everything that a host does under a policy.

use sha2::{Digest, Sha256};

use super::needs::Called;
use super::service::{describe, service};
use super::spread::spread;
use super::timer::timer;
use super::{EmitFault, Emitted, Setting, again, heading, hosts, quote, watch_every};
use crate::policy::model::Policy;
use crate::schedule::{DayRule, Schedule, TimeOfDay, Window, Zone};
use crate::units::{Duration, Instant, hex};

/// Where an administrator's units are.
const DIRECTORY: &str = "/etc/systemd/system";
/// What reads archived rows back, by its name.
const READ_BACK: &str = "archive-verify";
const READ_BACK_SPREAD: Duration = Duration::from_mins(5);
/// systemd takes no longer name of a unit, with its ending.
const LONGEST_NAME: usize = 255;

/// The units of this host: a service and a timer for each job, and those that watch.
pub fn systemd(policy: &Policy, setting: &Setting) -> Result<Vec<Emitted>, EmitFault> {
    setting.check()?;
    let heading = heading(policy, setting, &again(setting, "systemd", DIRECTORY));
    let mut files = Vec::new();
    let mut add =
        |called: Called<'_>, job: &str, (schedule, window): (&Schedule, Option<&Window>), spread: Duration| -> Result<(), EmitFault> {
            let name = name(policy, job);
            let unit = service(policy, setting, called)?;
            files.push(Emitted { name: format!("{name}.service"), text: format!("{heading}\n{unit}") });
            let unit = timer(&describe(policy, called), schedule, window, spread);
            files.push(Emitted { name: format!("{name}.timer"), text: format!("{heading}\n{unit}") });
            Ok(())
        };
    for timed in hosts::jobs(policy, setting.host.as_ref()) {
        let window = timed.window.map(|(_, window)| &window.window);
        add(Called::Job(&timed), &timed.path.to_string(), (&timed.schedule, window), spread(policy, &timed))?;
    }
    if hosts::reads_archives_back(policy, setting.host.as_ref()) {
        add(Called::ReadBack, READ_BACK, (&read_back_at(policy), None), READ_BACK_SPREAD)?;
    }
    let every = watch_every(policy);
    let schedule =
        Schedule::every(every, Zone::utc()).map_err(|error| EmitFault::new(format!("alerts.heartbeat.every: {error}"), error.hint()))?;
    // A fleet need not call its mail server in the same second.
    let spread =
        if schedule.shortest_gap(Instant::UNIX_EPOCH).length >= Duration::from_mins(5) { Duration::from_secs(30) } else { Duration::ZERO };
    add(Called::Watch, "watch", (&schedule, None), spread)?;
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// In the morning, when what was exported in the night lies there: it is no job of the policy's, because it only adds what somebody has seen.
fn read_back_at(policy: &Policy) -> Schedule {
    let at = TimeOfDay::new(6, 0).expect("a time of day");
    Schedule::calendar(DayRule::Daily, vec![at], policy.zone.clone()).expect("each day has one")
}

/// `seawall-pricing-agent-backups.nightly`
pub(super) fn name(policy: &Policy, job: &str) -> String {
    let name = format!("seawall-{}-{}", policy.name, quote::for_name(job));
    let room = LONGEST_NAME - ".service".len();
    if name.len() <= room {
        return name;
    }
    // What is cut off still tells it from others.
    let digest = hex(&Sha256::digest(name.as_bytes())[..6]);
    let mut cut = room - digest.len() - 1;
    // Not inside `\x20`.
    cut = name[..cut].rfind('\\').filter(|at| cut - at < 4).unwrap_or(cut);
    format!("{}-{digest}", &name[..cut])
}
