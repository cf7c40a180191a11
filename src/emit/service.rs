//! A service of systemd for one job: it asks once whether the job is owed, does it, and ends.

use std::fmt::Write as _;

use super::needs::{Called, Needs, needs};
use super::{EmitFault, Setting, quote};
use crate::policy::file::{self, HostRole};
use crate::policy::model::{Policy, Timed, TimedKind};
use crate::units::Duration;

/// How long a run may take when the policy says nothing of it. Whoever is over it hangs: the run itself ends on its own limits.
const GENEROUS: Duration = Duration::from_days(2);
/// For leases, retries and what comes after the job.
const MARGIN: Duration = Duration::from_mins(15);
/// A command of the policy that names no timeout.
const COMMAND: Duration = Duration::from_mins(5);

/// What every job lives with. What is absent is absent on purpose:
/// * `RemoveIPC=`: the account is PostgreSQL's own, and when the last unit of an account ends, systemd would remove the shared memory and
///   the semaphores of the running server;
/// * `ProcSubset=pid`: leases name the boot, which is read in `/proc/sys`;
/// * `PrivateUsers=`: a backup of configuration files records who owns them.
///
/// What hides files of the host is not in here: see `files`. `PrivateDevices=` hides what no backup of files has, devices and their links.
const HARDENING: &str = "\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
KeyringMode=private
LimitCORE=0
";

/// What a run exits with when it failed for a reason that no waiting mends. With 75, or killed, it is started again.
const LASTING: &str = "1 2 3 4 64 70";

/// The unit of one job, from its `[Unit]` on.
pub(super) fn service(policy: &Policy, setting: &Setting, called: Called<'_>) -> Result<String, EmitFault> {
    let needs = needs(policy, setting, called)?;
    let mut unit = String::new();
    let mut line = |text: String| {
        unit.push_str(&text);
        unit.push('\n');
    };
    line("[Unit]".into());
    line(format!("Description={}", quote::for_people(&describe(policy, called))));
    line("Wants=network-online.target".into());
    // Caught up after a start of the host, it must not come before what it needs.
    line("After=network-online.target nss-lookup.target time-sync.target remote-fs.target postgresql.service".into());
    let job = matches!(called, Called::Job(_));
    if job {
        // Who is to hear of the outcome hears of it at once.
        let watch = super::systemd::name(policy, "watch");
        line(format!("OnSuccess={watch}.service\nOnFailure={watch}.service\nStartLimitIntervalSec=0"));
    }
    line("\n[Service]\nType=oneshot".into());
    if job {
        // What may go well a little later is asked for again; the run itself decides whether its time has come.
        line(format!("Restart=on-failure\nRestartPreventExitStatus={LASTING}\nRestartSec=5min"));
    }
    let command: Vec<String> = command(setting, called)?.iter().map(|word| quote::for_exec(word)).collect();
    line(format!("ExecStart={}", command.join(" ")));
    line(format!("User={}", user(policy, setting)));
    line("UMask=0077\nStateDirectory=seawall\nStateDirectoryMode=0700".into());
    unit.push_str(&environment(policy, &needs));
    for name in &needs.credentials {
        // The rest of the line is the path, whatever is in it.
        let directory = setting.credentials.trim_end_matches('/').replace('%', "%%");
        writeln!(unit, "LoadCredential={name}:{directory}/{name}").expect("a string takes all");
    }
    unit.push_str(&limits(policy, called));
    unit.push_str(&files(&needs));
    unit.push_str(HARDENING);
    // PostgreSQL compiles queries as it runs (JIT), and gives its socket to a group where it is told to.
    unit.push_str(if needs.starts_server { "SystemCallFilter=@chown\n" } else { "MemoryDenyWriteExecute=yes\n" });
    Ok(unit)
}

/// What the unit is, for `systemctl status`.
pub(super) fn describe(policy: &Policy, called: Called<'_>) -> String {
    match called {
        Called::Job(timed) => format!("Seawall: {} of {}", timed.path, policy.name),
        Called::Watch => format!("Seawall: watch over {}", policy.name),
    }
}

/// What the unit calls; cron calls the same.
pub(super) fn command(setting: &Setting, called: Called<'_>) -> Result<Vec<String>, EmitFault> {
    match called {
        Called::Job(timed) => {
            let job = timed.path.to_string();
            quote::one_line(&job, &job)?;
            Ok(setting.command(&["run", "--due", &job]))
        }
        Called::Watch => Ok(setting.command(&["watch"])),
    }
}

/// Files of a server are read by the account that owns them; where there is no server, nobody else's account is needed.
pub(super) fn user(policy: &Policy, setting: &Setting) -> String {
    let role = setting.host.as_ref().and_then(|host| policy.hosts.get(host)).map(|host| host.role);
    let without_server = matches!(role, Some(HostRole::Runner | HostRole::Verifier));
    setting.user.clone().unwrap_or_else(|| if without_server { "seawall" } else { "postgres" }.to_owned())
}

/// Where the environment comes from.
pub(super) fn environment_file(policy: &Policy) -> String {
    format!("/etc/seawall/{}.env", policy.name)
}

/// The names of the variables that the policy and its stores read, for people.
pub(super) fn variables(needs: &Needs) -> Option<String> {
    let of_clouds = needs.clouds.iter().map(ToString::to_string);
    let all: Vec<String> = needs.variables.iter().map(crate::plan::words::plain).chain(of_clouds).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

fn environment(policy: &Policy, needs: &Needs) -> String {
    let comment = variables(needs).map(|names| format!("# Read there: {names}\n")).unwrap_or_default();
    format!("{comment}EnvironmentFile=-{}\n", environment_file(policy))
}

fn limits(policy: &Policy, called: Called<'_>) -> String {
    let (start, stop) = match called {
        Called::Watch => (Duration::from_mins(10), Duration::from_mins(1)),
        // After SIGTERM the server's backup mode is ended, uploads are aborted, and the outcome is written down.
        Called::Job(timed) => (longest(policy, timed), Duration::from_mins(5)),
    };
    let mut text = format!("TimeoutStartSec={}\nTimeoutStopSec={}\n", start.as_secs(), stop.as_secs());
    // Only Seawall itself is asked to end: what it has started, it ends in order.
    text.push_str("KillMode=mixed\nKillSignal=SIGTERM\n");
    // A drill is timed against an objective, so it gets what a real recovery would get.
    if matches!(called, Called::Job(timed) if timed.kind != TimedKind::Drill) {
        text.push_str("Nice=10\nIOSchedulingClass=best-effort\nIOSchedulingPriority=7\n");
    }
    text
}

/// How long the job may take before systemd ends it. The run ends itself sooner, and records that.
fn longest(policy: &Policy, timed: &Timed<'_>) -> Duration {
    let Some(name) = timed.name() else { return GENEROUS };
    let backup = policy.backups.get(name).filter(|_| timed.kind == TimedKind::Backup);
    let drill = policy.drills.get(name).filter(|_| timed.kind == TimedKind::Drill);
    let timeout = backup.and_then(|backup| backup.timeout).or(drill.and_then(|drill| drill.timeout));
    let takes = backup.and_then(|backup| backup.takes).unwrap_or(Duration::ZERO);
    let commands =
        policy.file.backups.get(name).filter(|_| backup.is_some()).into_iter().flat_map(|backup| [&backup.before, &backup.after]);
    let allowed = |command: &file::Command| command.timeout.unwrap_or(COMMAND).as_secs();
    let commands: u64 = commands.flatten().map(allowed).sum();
    match timeout {
        Some(timeout) => timeout + Duration::from_secs(commands) + MARGIN,
        None => GENEROUS.max(Duration::from_secs(takes.as_secs().saturating_mul(10))),
    }
}

/// What `ProtectHome=` empties.
const PEOPLES: [&str; 3] = ["/home", "/root", "/run/user"];
/// What `ProtectKernelModules=` locks.
const MODULES: [&str; 2] = ["/lib/modules", "/usr/lib/modules"];

/// What can be written, and what of the host's files is hidden: nothing that the job has to read, or its copy of them would have an empty
/// directory there and look whole.
fn files(needs: &Needs) -> String {
    let mut text = String::new();
    if needs.hooks {
        text.push_str(
            "# Programs of the policy run in here as well: what they need beyond this is allowed by a drop-in (`systemctl edit`).\n",
        );
    }
    for path in &needs.writes {
        // A directory that is missing is for the run to find and to report.
        writeln!(text, "ReadWritePaths={}", if_there(path)).expect("a string takes all");
    }
    if let Some(directory) = &needs.data_directory {
        writeln!(text, "ReadOnlyPaths={}", if_there(directory)).expect("a string takes all");
    }
    if needs.shares_temporary {
        text.push_str("# Something that the policy names lies in a temporary directory or holds one, so that is not private (`PrivateTmp=`).\nReadWritePaths=/tmp /var/tmp\n");
    } else {
        text.push_str("PrivateTmp=yes\n");
    }
    if needs.keyring {
        text.push_str(
            "# The recipients' keys come from this account's keyring (`gpg`), which is read in its home and cannot be written from here. A file with \
             them (`encryption.openpgp.keys`) needs neither.\n",
        );
    }
    let sees_homes = needs.keyring || needs.any_overlaps(&PEOPLES);
    text.push_str(if sees_homes { "ProtectHome=read-only\n" } else { "ProtectHome=yes\n" });
    // Where it is left out nothing is given away: no capability is there, and no call that loads a module is allowed.
    text.push_str(if needs.any_overlaps(&MODULES) { "" } else { "ProtectKernelModules=yes\n" });
    text
}

/// A path that may be missing.
fn if_there(path: &str) -> String {
    quote::for_unit(&format!("-{path}"))
}
