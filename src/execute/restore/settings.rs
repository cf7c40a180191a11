//! What a restored server is told: where recovery ends, where its log comes from, and what keeps it quiet until it is released.

use super::choose::Chosen;
use super::request::{Action, FetchCommand, Request, TimelineChoice};
use super::standby::Upstream;
use crate::recovery::Target;
use crate::units::Lsn;

pub const BEGIN: &str = "# seawall restore: begin; `seawall release` takes these lines out";
pub const END: &str = "# seawall restore: end";
const WAS: &str = "# seawall: was in effect when the backup was taken: ";
/// What keeps TimescaleDB's jobs from running. A restored copy otherwise deletes, at its first query, what somebody came to rescue.
pub const TIMESCALE_WORKERS: &str = "timescaledb.max_background_workers";
pub const CRON_JOBS: &str = "cron.launch_active_jobs";
pub const SUBSCRIPTIONS: &str = "max_logical_replication_workers";
pub const STANDBYS: &str = "synchronous_standby_names";

/// What would change data by itself, move the original's slots at its publishers, or hold every commit up for standbys that are not this
/// server's. Written whatever was recorded of the original: a name that no library knows means nothing to a server.
pub const QUIET: [(&str, &str); 4] = [(TIMESCALE_WORKERS, "0"), (CRON_JOBS, "off"), (SUBSCRIPTIONS, "0"), (STANDBYS, "")];

/// Settings of an earlier life that would lead recovery elsewhere, or the restored server into other people's archives.
const FORMER: &[&str] = &[
    "restore_command",
    "recovery_end_command",
    "archive_cleanup_command",
    "recovery_min_apply_delay",
    "promote_trigger_file",
    "primary_conninfo",
    "primary_slot_name",
    "archive_mode",
    "archive_command",
    "archive_library",
];

/// What recovery compares with the log.
pub(super) const NOT_LESS: &[&str] =
    &["max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction"];

const TARGETS: &[&str] = &["recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_xid", "recovery_target_lsn"];

const HOT_STANDBY: &str = "hot_standby";

/// What only recovery needed, or led it.
pub fn is_of_recovery(name: &str) -> bool {
    name.starts_with("recovery_") || name == HOT_STANDBY || FORMER.contains(&name) || NOT_LESS.contains(&name)
}

/// The file whose presence begins a recovery.
pub fn signal(request: &Request) -> &'static str {
    if request.standby.is_some() { "standby.signal" } else { "recovery.signal" }
}

/// The settings, in the order in which they are written.
pub fn lines(request: &Request, chosen: &Chosen, upstream: Option<&Upstream>, archives: bool) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| lines.push((name.to_owned(), value));
    set("restore_command", restore_command(request, chosen));
    // It would clean the archive of the tool that this one's log does not come from.
    set("archive_cleanup_command", String::new());
    if let Some(standby) = &request.standby {
        for other in TARGETS {
            set(other, String::new());
        }
        set("recovery_target_timeline", "latest".into());
        set(HOT_STANDBY, "on".into());
        // Also when it is empty: the configuration may name the primary of the server that it was written for.
        set("primary_conninfo", standby.primary_conninfo.clone().unwrap_or_default());
        set("primary_slot_name", standby.slot.clone().unwrap_or_default());
        if request.throw_away.is_some() {
            // What the original's configuration does to the world when it is promoted, a copy does not; nor does it wait, or hold others up.
            set("recovery_end_command", String::new());
            set("recovery_min_apply_delay", "0".into());
            set("hot_standby_feedback", "off".into());
        }
        // A standby archives nothing; promoted, it goes on where the primary stopped. Background jobs are not kept quiet: they do not run
        // on a standby, and must run on what it is promoted to. A copy that is thrown away has other settings for both.
        if archives && request.throw_away.is_none() {
            set("archive_mode", "on".into());
            set("archive_command", push_command(&request.fetch));
            if chosen.descriptor.cluster.version >= 150_000 {
                set("archive_library", String::new());
            }
        }
    } else {
        target(request, chosen, &mut set);
        set("recovery_end_command", String::new());
        set("primary_conninfo", String::new());
        set("primary_slot_name", String::new());
        // `off` would lose the new timeline's history file, and the next recovery would use its number again. Without a command the
        // log waits in pg_wal until `seawall release`. Where nothing is archived nobody would ever fetch it, and the disk would fill: there the
        // first backup of the new timeline brings its history.
        set("archive_mode", if archives { "on" } else { "off" }.into());
        set("archive_command", String::new());
        if chosen.descriptor.cluster.version >= 150_000 {
            set("archive_library", String::new());
        }
        // Where somebody may ask it before it opens, PostgreSQL stops at a setting that was raised since the backup, and waits for it.
        if !is_looked_at(request) {
            set(HOT_STANDBY, "off".into());
        }
        // A standby's, in its postgresql.conf: PostgreSQL would wait in every recovery.
        set("recovery_min_apply_delay", "0".into());
        for (name, value) in QUIET {
            set(name, value.to_owned());
        }
    }
    // Before 15 it may name a place of this machine that the original writes to.
    if request.throw_away.is_some() && chosen.descriptor.cluster.version < 150_000 {
        set("stats_temp_directory", "pg_stat_tmp".into());
    }
    // Recovery stops when these are lower than where the log was written.
    let primarys = |name: &str| match upstream {
        Some(Upstream::Answers(primary)) => primary.at_least.get(name).copied(),
        _ => None,
    };
    for name in NOT_LESS {
        let recorded = chosen.private.settings.get(*name).and_then(|value| value.parse::<u64>().ok());
        if let Some(least) = recorded.max(primarys(name)) {
            set(name, least.to_string());
        }
    }
    for (name, value) in &request.set {
        set(name, value.clone());
    }
    lines
}

/// It pauses at its target, where somebody looks at it and decides.
fn is_looked_at(request: &Request) -> bool {
    request.action == Action::Pause && request.target != Target::Latest
}

fn target(request: &Request, chosen: &Chosen, set: &mut impl FnMut(&str, String)) {
    let named: Option<(&str, String)> = match &request.target {
        Target::Latest => None,
        Target::Immediate(_) => Some(("recovery_target", "immediate".into())),
        Target::Time(time) => Some(("recovery_target_time", time.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string())),
        Target::Lsn(lsn) => Some(("recovery_target_lsn", lsn.to_string())),
        Target::Xid(xid) => Some(("recovery_target_xid", xid.to_string())),
        Target::Named(name) => Some(("recovery_target_name", name.clone())),
    };
    // A target of another kind in postgresql.conf would be a second one, which PostgreSQL refuses. The empty ones come first: after
    // ours they would take it back.
    for other in TARGETS {
        if named.as_ref().is_none_or(|(name, _)| name != other) {
            set(other, String::new());
        }
    }
    let timeline = match request.timeline {
        // The path that was found and shown, not whatever was archived since.
        _ if chosen.timeline == chosen.descriptor.position.timeline => "current".to_owned(),
        TimelineChoice::Current => "current".to_owned(),
        TimelineChoice::Latest | TimelineChoice::Number(_) => chosen.timeline.to_string(),
    };
    set("recovery_target_timeline", timeline);
    if let Some((name, value)) = named {
        set(name, value);
        if matches!(request.target, Target::Time(_) | Target::Lsn(_) | Target::Xid(_)) {
            set("recovery_target_inclusive", if request.exclusive { "off" } else { "on" }.into());
        }
        set("recovery_target_action", request.action.as_str().into());
    }
}

/// The call of this program, for a shell and with PostgreSQL's `%` in mind.
fn restore_command(request: &Request, chosen: &Chosen) -> String {
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    let fetch = &request.fetch;
    let mut command = format!("{} wal fetch %f %p --policy {}", path(&fetch.program), path(&fetch.policy));
    // What was found is what will be fetched, whatever becomes of the store meanwhile.
    command.push_str(&format!(" --repository {} --system-identifier {}", chosen.repository, chosen.descriptor.cluster.system_identifier));
    for store in &chosen.asked {
        command.push_str(&format!(" --store {store}"));
    }
    if let Some(identity) = &request.identity {
        command.push_str(&format!(" --identity {}", path(identity)));
    }
    if let Some(state) = &fetch.state {
        command.push_str(&format!(" --state {}", path(state)));
    }
    if request.standby.is_some() {
        // A blip of the store must not end a standby.
        command.push_str(" --standby");
    }
    if request.standby.is_none() || request.throw_away.is_some() {
        // A standby is a server beside another one, on a machine of its own; a copy may lie next to the original.
        command.push_str(" --spare-tablespaces");
    }
    command
}

/// In the middle of the `archive_command` that is written here.
pub const PUSH: &str = " wal push %p --policy ";

/// How a server archives from now on.
pub fn push_command(push: &FetchCommand) -> String {
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    let mut command = format!("{}{PUSH}{}", path(&push.program), path(&push.policy));
    if let Some(state) = &push.state {
        command.push_str(&format!(" --state {}", path(state)));
    }
    command
}

/// For a shell, where anything in it would mean something there.
pub fn for_shell(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.,:=@+-".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// For a shell that PostgreSQL starts; `%` twice, which it would replace.
pub fn quoted(text: &str) -> String {
    for_shell(text).replace('%', "%%")
}

/// One line of a configuration file.
pub fn line(name: &str, value: &str) -> String {
    // A backslash begins an escape in PostgreSQL's files, and a line end ends the setting.
    let value = value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
    format!("{name} = '{value}'\n")
}

/// The setting that a line of a configuration file gives.
fn setting_of(line: &[u8]) -> Option<String> {
    let name = line.trim_ascii_start().iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    let name: String = name.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    (!name.is_empty()).then_some(name)
}

/// The lines of a text that may be of any encoding, without their ends.
pub(in crate::execute) fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn is(line: &[u8], mark: &str) -> bool {
    line.trim_ascii() == mark.as_bytes()
}

/// A configuration without what an earlier restore put into it.
fn without_block(conf: &[u8]) -> Vec<&[u8]> {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in lines_of(conf) {
        if is(line, BEGIN) || is(line, END) {
            inside = is(line, BEGIN);
        } else if !inside {
            kept.push(line);
        }
    }
    kept
}

/// `postgresql.auto.conf` for the restored server: what would lead elsewhere is a comment now, what recovery needs comes last.
pub fn auto_conf(former: &[u8], lines: &[(String, String)]) -> Vec<u8> {
    let mut conf = Vec::new();
    for former in without_block(former) {
        let leads_elsewhere = setting_of(former).is_some_and(|name| name.starts_with("recovery_target") || FORMER.contains(&name.as_str()));
        conf.extend(if leads_elsewhere { WAS.as_bytes() } else { b"" });
        conf.extend(former);
        conf.push(b'\n');
    }
    let ours: String = lines.iter().map(|(name, value)| line(name, value)).collect();
    conf.extend(format!("{BEGIN}\n{ours}{END}\n").into_bytes());
    conf
}

/// The names of our settings in a configuration.
pub fn ours(conf: &[u8]) -> Vec<String> {
    let block = lines_of(conf).skip_while(|line| !is(line, BEGIN)).take_while(|line| !is(line, END));
    block.filter_map(setting_of).collect()
}

/// The same without some of our settings.
pub fn without(conf: &[u8], unwanted: &dyn Fn(&str) -> bool) -> Vec<u8> {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in lines_of(conf) {
        inside = is(line, BEGIN) || (inside && !is(line, END));
        if !(inside && setting_of(line).is_some_and(|name| unwanted(&name))) {
            kept.extend(line);
            kept.push(b'\n');
        }
    }
    kept
}

/// The same for a recovery that ends with this record, and then does what it was to do at its target.
pub fn ending_with(conf: &[u8], last: Lsn) -> Vec<u8> {
    const AT: &str = "recovery_target_lsn";
    const INCLUSIVE: &str = "recovery_target_inclusive";
    let conf = without(conf, &|name| TARGETS.contains(&name) || name == INCLUSIVE);
    // Empty, so that none of another configuration is a second one.
    let mut lines: String = TARGETS.iter().filter(|name| **name != AT).map(|name| line(name, "")).collect();
    lines.push_str(&line(AT, &last.to_string()));
    lines.push_str(&line(INCLUSIVE, "on"));
    let mut ended = Vec::new();
    for line in lines_of(&conf) {
        ended.extend(if is(line, END) { lines.as_bytes() } else { b"" });
        ended.extend(line);
        ended.push(b'\n');
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(conf: Vec<u8>) -> String {
        String::from_utf8(conf).expect("text")
    }

    #[test]
    fn an_earlier_life_is_a_comment() {
        let former = b"work_mem = '8MB'\nrestore_command = 'cp'\nRECOVERY_TARGET_XID = '7'\n";
        let once = text(auto_conf(former, &[("recovery_target_time".into(), "it's".into())]));
        assert_eq!(
            once,
            format!(
                "work_mem = '8MB'\n{WAS}restore_command = 'cp'\n{WAS}RECOVERY_TARGET_XID = '7'\n{BEGIN}\nrecovery_target_time = 'it''s'\n{END}\n"
            )
        );
        assert_eq!(ours(once.as_bytes()), ["recovery_target_time"]);
        // A backup of a restored server that was never released.
        assert_eq!(text(auto_conf(once.as_bytes(), &[])).matches(BEGIN).count(), 1);
        assert!(!text(without(once.as_bytes(), &|name| name == "recovery_target_time")).contains("recovery_target_time = "));
        assert_eq!(without_block(once.as_bytes()).len(), 3);
        // What somebody set in another encoding stays as it is.
        assert!(auto_conf(b"cluster_name = 'd\xE9p\xF4t'\n", &[]).starts_with(b"cluster_name = 'd\xE9p\xF4t'\n"));
    }

    #[test]
    fn a_recovery_that_ends_with_a_record_keeps_what_it_does_then() {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let of_time = [set("recovery_target_lsn", ""), set("recovery_target_time", "2026-11-21"), set("recovery_target_inclusive", "off")];
        let kept = [set("recovery_target_timeline", "3"), set("recovery_target_action", "pause")];
        let conf = auto_conf(b"work_mem = '8MB'\n", &[of_time.as_slice(), &kept].concat());
        let now = text(ending_with(&conf, Lsn(0x0900_0070)));
        let empty: String = TARGETS[..4].iter().map(|name| line(name, "")).collect();
        let kept = "recovery_target_timeline = '3'\nrecovery_target_action = 'pause'\n";
        let expected =
            format!("work_mem = '8MB'\n{BEGIN}\n{kept}{empty}recovery_target_lsn = '0/9000070'\nrecovery_target_inclusive = 'on'\n{END}\n");
        assert_eq!(now, expected);
    }

    #[test]
    fn what_a_shell_reads_is_quoted() {
        assert_eq!(quoted("/usr/bin/seawall"), "/usr/bin/seawall");
        assert_eq!(quoted("/a b/100%'"), "'/a b/100%%'\\'''");
        // What somebody types is read by no PostgreSQL.
        assert_eq!(for_shell("/a b/100%'"), "'/a b/100%'\\'''");
    }
}
