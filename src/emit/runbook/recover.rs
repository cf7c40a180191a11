//! The commands that bring something back.

use super::Setting;
use super::command::{Word, address_of, command, database, door_of, seawall, stop, words_of};
use super::page::{Block, Step};
use super::scenario::Situation;
use super::today::{InStore, Today};
use crate::emit::quote::for_shell;
use crate::objectives::Way;
use crate::plan::minute;
use crate::plan::words::{joined, plain, quoted};
use crate::policy::file::{Command, HostRole, Procedure, Recover, TableFormat};
use crate::policy::model::{Method, Policy};
use crate::units::Name;

/// Where a restored cluster goes when the policy does not say where the original is.
const SOMEWHERE: &str = "/var/lib/postgresql/restored";
/// The moment is the reader's to find; as it stands here no command takes it.
const MOMENT: &str = "moment='YYYY-MM-DD HH:MM:SS+00'   # the last moment that is certainly good, with its zone";
const BACKUP: &str = "backup='ID'   # the newest one of the list that ended before the damage";

/// Where files come to lie from which something is taken.
const RESCUE: &str = "/srv/rescue";

/// So many gaps of a store are told beside a scenario, the newest ones.
const GAPS: usize = 3;

pub(super) struct Goal<'g> {
    pub policy: &'g Policy,
    pub setting: &'g Setting,
    pub today: &'g Today<'g>,
    pub situation: &'g Situation<'g>,
}

/// The port of a copy that runs beside the original.
const BESIDE: u16 = 5433;

/// What came back, as the checks reach it. Never as the policy reaches the original: that address may still lead to what is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restored {
    /// A copy beside the original, on a port of its own.
    Beside,
    /// It took the original's place on the host where the commands are typed, or came back into it.
    Here,
    /// Elsewhere: the reader says where, once.
    Named,
}

pub(super) fn blocks(goal: &Goal<'_>) -> Vec<Block> {
    match goal.situation.answer().map(|answer| answer.way) {
        Some(Way::PromoteStandby) => promote(goal),
        Some(Way::External) => elsewhere(goal),
        Some(Way::PointInTime | Way::NewestBackup) | None => {
            let mut blocks = instead(goal);
            blocks.extend(restored(goal));
            blocks
        }
    }
}

/// Where a standby may have all of it, nobody should restore for hours without having looked. A policy that promotes it in a scenario of its own
/// has said when.
fn instead(goal: &Goal<'_>) -> Vec<Block> {
    let has_standby = goal.policy.hosts.values().any(|host| host.role == HostRole::Standby);
    let says_when = goal.policy.objectives.scenarios.values().any(|scenario| scenario.by == Some(Procedure::PromoteStandby));
    if !has_standby || says_when || goal.situation.recover() != Recover::Cluster {
        return Vec::new();
    }
    let mut blocks = vec![Block::Words("If only the primary is lost, and a standby is well and has not the damage, promote that:".into())];
    blocks.extend(promote(goal));
    blocks.push(Block::Words("Otherwise, or where the standby has the damage too:".into()));
    blocks
}

pub(super) fn restored_as(goal: &Goal<'_>) -> Restored {
    match goal.situation.answer().map(|answer| answer.way) {
        Some(Way::External) => Restored::Named,
        Some(Way::PromoteStandby) => Restored::Here,
        _ if matches!(goal.situation.recover(), Recover::Cluster | Recover::Table | Recover::Rows) => Restored::Here,
        // They serve the server that is there.
        _ if matches!(answering(goal), Some((_, Method::Files(_)))) => Restored::Here,
        _ => Restored::Beside,
    }
}

/// A query against what came back.
pub(super) fn ask(policy: &Policy, restored: Restored, database: Option<&str>, sql: &str) -> String {
    match restored {
        Restored::Beside => psql(&with_database(&door_beside(policy), database), sql),
        Restored::Here => psql(&with_database(&own_door(policy), database), sql),
        Restored::Named => command(
            "psql",
            &[Word::Is("--no-psqlrc"), Word::Is("--dbname"), Word::Of("restored"), Word::Is("--command"), Word::Is(sql.trim())],
        ),
    }
}

/// The port and the socket that the original's settings give, by which the restored server answers on its own host: never another host's name.
fn own_door(policy: &Policy) -> String {
    policy.file.cluster.as_ref().and_then(|cluster| cluster.connection.as_deref()).map(door_of).unwrap_or_default()
}

/// The copy has the original's folder of sockets, and a port of its own.
fn door_beside(policy: &Policy) -> String {
    let own = own_door(policy);
    let socket = own.split(' ').find(|word| word.starts_with("host=")).map(|word| format!("{word} ")).unwrap_or_default();
    format!("{socket}port={BESIDE}")
}

fn psql(connection: &str, sql: &str) -> String {
    command("psql", &[Word::Is("--no-psqlrc"), Word::Is("--dbname"), Word::Is(connection), Word::Is("--command"), Word::Is(sql.trim())])
}

fn with_database(connection: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{connection} {}", database(name)).trim().to_owned(),
        None => connection.to_owned(),
    }
}

/// The original, as the policy reaches it. There is no password in it: a policy that has one there is refused.
fn original(policy: &Policy, database: Option<&str>) -> String {
    let connection = policy.file.cluster.as_ref().and_then(|cluster| cluster.connection.as_deref());
    match connection {
        Some(url) if url.contains("://") => database.map_or_else(|| url.to_owned(), |database| address_of(url, database)),
        Some(connection) => with_database(connection, database),
        None => with_database("", database),
    }
}

/// Some full backup of this version can answer it.
fn has_physical(policy: &Policy) -> bool {
    policy.backups.values().any(|backup| backup.method.is_physical() && backup.method.runs_in_this_version())
}

/// The job that answers it.
fn answering<'g>(goal: &'g Goal<'_>) -> Option<(&'g Name, &'g Method)> {
    let job = goal.situation.answer()?.job.as_ref()?;
    Some((job, &goal.policy.backups.get(job)?.method))
}

fn restored(goal: &Goal<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    match answering(goal) {
        Some((job, Method::Logical(logical))) => {
            let databases = logical.databases.as_ref().unwrap_or(&goal.policy.databases);
            // A damaged table is no reason to take all others back to the last dump.
            let of_tables = matches!(goal.situation.recover(), Recover::Table | Recover::Rows);
            return vec![Block::Steps(if of_tables { rows(goal, &Out::Dump(job, databases)) } else { dumps(goal, job, databases) })];
        }
        Some((job, Method::Tables(tables))) => {
            let databases: Vec<String> = tables.database.iter().cloned().collect();
            return vec![Block::Steps(match tables.format {
                None | Some(TableFormat::Custom) => rows(goal, &Out::Dump(job, &databases)),
                Some(TableFormat::Csv | TableFormat::Parquet) => exported(goal, job),
            })];
        }
        Some((job, Method::Files(_))) => return vec![Block::Steps(rescued(goal, job))],
        Some((job, method)) if !method.runs_in_this_version() => {
            let what = if matches!(method, Method::Incremental { .. }) { "increments" } else { "such backups" };
            let instead = if has_physical(goal.policy) { " What works today is a physical backup and the log:" } else { "" };
            blocks.push(Block::Warning(format!(
                "the policy reckons with the job {job}, and this version of Seawall neither takes nor restores {what}.{instead}"
            )));
        }
        _ => {}
    }
    if !has_physical(goal.policy) {
        blocks.push(Block::Words("There is no physical backup in this policy, so there is no command that brings anything back.".into()));
        return blocks;
    }
    blocks.extend(chosen(goal));
    blocks.push(Block::Steps(match goal.situation.recover() {
        Recover::Cluster => cluster(goal),
        Recover::Database => one_database(goal),
        Recover::Table | Recover::Rows => rows(goal, &Out::Backup),
        Recover::Files => files(goal),
    }));
    blocks
}

/// Databases from a dump: in place of those that are there, or on a server that has none of them.
fn dumps(goal: &Goal<'_>, job: &Name, databases: &[String]) -> Vec<Step> {
    // What must come back and is not in this job's dumps is in those of other jobs; without a job, the newest dump that has it is taken.
    let is_one_of_many = goal.situation.resolved.is_some_and(|scenario| !scenario.using.is_empty() && scenario.recover != Recover::Cluster);
    let others = goal.policy.databases.iter().filter(|database| !is_one_of_many && !databases.contains(database));
    let dumped: Vec<&String> = databases.iter().chain(others).collect();
    let one = |database: &String, how: &[&str]| {
        let from = [Word::Is("--from-database"), Word::Is(database)];
        let words = [Word::Is("restore"), Word::Is("--into-database"), Word::Is(database)];
        let out_of = match databases.contains(database) {
            true if databases.len() > 1 => [&of_job(goal, job)[..], &from].concat(),
            true => of_job(goal, job),
            false => from.to_vec(),
        };
        let how: Vec<Word<'_>> = how.iter().map(|word| Word::Is(word)).collect();
        seawall(goal.setting, &[&words, &out_of[..], &how].concat())
    };
    let all = |how: &[&'static str]| dumped.iter().map(|database| one(database, how)).collect::<Vec<_>>().join("\n");
    let with_tiers = first_tier(goal.policy, &dumped).map(|(name, ours)| {
        let words = ["--create", "--globals", "--tier", name.as_str()];
        let commands = ours.into_iter().map(|database| one(database, &words)).collect::<Vec<_>>().join("\n");
        Step::with(
            format!("On a server that does not have the databases any more, where what is needed first shall be usable first: the tier {}, then the others.", quoted(name)),
            commands,
        )
    });
    let steps = [
        Step::with(
            "On a server that does not have the databases any more: each from its newest dump, with its roles. Read the plan that it shows, then answer.",
            all(&["--create", "--globals"]),
        ),
        Step::with(
            "Or where they are there and wrong: what is there is set aside under another name, and nothing of it is lost.",
            all(&["--replace", "--end-connections", "--globals"]),
        ),
        Step::new("What was written after the dump is not in it. Write down its time, which the plan names."),
    ];
    with_tiers.into_iter().chain(steps).collect()
}

/// The tier that is needed first, and which of these databases come back by it.
fn first_tier<'p>(policy: &'p Policy, databases: &[&'p String]) -> Option<(&'p Name, Vec<&'p String>)> {
    // One that is everything is there when everything is.
    let named = policy.objectives.data.iter().filter(|(_, tier)| tier.everything != Some(true));
    let (name, tier) = named.min_by_key(|(name, tier)| (tier.rto, *name))?;
    let is_its_own = |database: &&String| tier.database.as_ref().is_none_or(|of| of == *database);
    let ours: Vec<&String> = databases.iter().copied().filter(is_its_own).collect();
    (!ours.is_empty()).then_some((name, ours))
}

/// The stores that are left, the most likely first.
fn stores<'g>(goal: &'g Goal<'_>) -> Vec<&'g Name> {
    let from = goal.situation.resolved.map(|scenario| scenario.from.as_slice()).unwrap_or_default();
    if !from.is_empty() {
        return from.iter().collect();
    }
    let answer = goal.situation.answer().and_then(|answer| answer.store.as_ref());
    let log = goal.policy.wal.iter().flat_map(|wal| std::iter::once(&wal.store).chain(&wal.copies));
    let physical = goal.policy.backups.iter().filter(|(_, backup)| backup.method.is_physical());
    let backups = physical.flat_map(|(job, _)| goal.policy.stores_of(job));
    let mut stores: Vec<&Name> = Vec::new();
    for name in answer.into_iter().chain(log).chain(backups) {
        if !stores.contains(&name) {
            stores.push(name);
        }
    }
    stores
}

/// The store that leads to the newest state today; else the first.
fn store<'g>(goal: &'g Goal<'_>) -> Option<(&'g Name, Option<&'g InStore>)> {
    let known = |name: &&'g Name| goal.today.store(name).and_then(|store| store.as_ref().ok());
    let all = stores(goal);
    let good = all.iter().find(|name| known(name).is_some_and(|store| store.newest.is_ok()));
    good.or(all.first()).map(|name| (*name, known(name)))
}

/// What a restore would take if it began now.
fn chosen(goal: &Goal<'_>) -> Option<Block> {
    let (name, store) = store(goal)?;
    let (store, archives) = (store?, goal.policy.wal.is_some());
    Some(match &store.newest {
        Err(missing) => Block::Warning(format!("by the inventory the store {name} does not lead to its newest state: {}.", plain(missing))),
        Ok(newest) => {
            let size = newest.size.as_ref().map(|size| format!(", {size}")).unwrap_or_default();
            let until = store.reach.windows.last().filter(|_| archives).map_or_else(
                || "with no log behind it: to its own end and no further".to_owned(),
                |window| format!("and the log up to {}", minute(window.to)),
            );
            let id = quoted(&newest.backup);
            let named = if store.has_increments {
                " The commands name it because this version does not restore the increments behind it; for an earlier moment name an older full one."
            } else {
                // An id would grow old on paper: whoever followed it would lose what was backed up since.
                " The commands name none: when they run, Seawall takes the newest that leads there, which may be a newer one."
            };
            Block::Words(format!("From the store {name}, by the inventory: backup {id} of {}{size}, {until}.{named}", minute(newest.ended)))
        }
    })
}

/// The words that name the store, and the backup where Seawall would take one that it cannot restore.
fn base<'g>(goal: &'g Goal<'_>) -> Vec<Word<'g>> {
    let Some((name, known)) = store(goal) else { return Vec::new() };
    let is_any_left = goal.situation.resolved.is_none_or(|scenario| scenario.from.is_empty());
    // Where nothing is archived no store leads further than its own backups: then it is not said here which has the newest.
    let mut words = if goal.policy.wal.is_none() && is_any_left { Vec::new() } else { vec![Word::Is("--store"), Word::Is(name.as_str())] };
    if let Some((newest, true)) = known.and_then(|store| Some((store.newest.as_ref().ok()?, store.has_increments))) {
        words.extend([Word::Is("--backup"), Word::Is(newest.backup.as_str())]);
    }
    words
}

fn data_directory(policy: &Policy) -> &str {
    policy.file.cluster.as_ref().and_then(|cluster| cluster.data_directory.as_deref()).unwrap_or(SOMEWHERE)
}

fn restore(goal: &Goal<'_>, moment: &[Word<'_>], target: &str, more: &[Word<'_>]) -> String {
    let place = [Word::Is("--target"), Word::Is(target)];
    seawall(goal.setting, &[&[Word::Is("restore")][..], moment, &place, more].concat())
}

/// What says which state from before the damage is meant, and the words that name it: where nothing is archived, only ends of backups can be had.
fn before_the_damage<'g>(goal: &'g Goal<'_>) -> (String, Vec<Word<'g>>) {
    if goal.policy.wal.is_some() {
        return (MOMENT.to_owned(), [vec![Word::Is("--to"), Word::Of("moment")], base(goal)].concat());
    }
    let of = goal.situation.resolved.and_then(|scenario| scenario.from.first());
    let store = of.into_iter().flat_map(|name| [Word::Is("--store"), Word::Is(name.as_str())]);
    let words = [Word::Is("--immediate"), Word::Is("--backup"), Word::Of("backup")].into_iter().chain(store).collect();
    (format!("{}\n{BACKUP}", seawall(goal.setting, &[Word::Is("list")])), words)
}

fn cluster(goal: &Goal<'_>) -> Vec<Step> {
    let (target, archives) = (data_directory(goal.policy), goal.policy.wal.is_some());
    let latest = restore(goal, &[vec![Word::Is("--latest")], base(goal)].concat(), target, &[Word::Is("--start")]);
    let (which, words) = before_the_damage(goal);
    let to_moment = restore(goal, &words, target, &[Word::Is("--start")]);
    let or_before = match archives {
        true => "Or, when the newest state has the damage too, the cluster as it was at a moment:",
        false => {
            "Or, when the newest state has the damage too, the cluster as an older backup has it; what was between two backups cannot be had:"
        }
    };
    let mut steps = vec![
        Step::with(
            "On a new server: install PostgreSQL of the same major version, with the same extensions. On the old one: stop it, and move its \
             directory aside; it may be needed.",
            format!("{}\nmv {} {}", stop(target), for_shell(target), for_shell(&format!("{target}.damaged"))),
        ),
        Step::with("The newest state there is. Read the plan that it shows, then answer.", latest),
        Step::with(or_before, format!("{which}\n{to_moment}")),
    ];
    if archives
        && let Some((name, Some(known))) = store(goal)
        && let Ok(newest) = &known.newest
    {
        let words =
            [Word::Is("--immediate"), Word::Is("--backup"), Word::Is(newest.backup.as_str()), Word::Is("--store"), Word::Is(name.as_str())];
        let place = [Word::Is("--target"), Word::Is(target), Word::Is("--start")];
        let only = seawall(goal.setting, &[&[Word::Is("restore")][..], &words, &place].concat());
        steps.push(Step::with(format!("Or, when the log is lost: this backup alone, as it was at {}.", minute(newest.ended)), only));
    }
    let databases: Vec<&String> = goal.policy.databases.iter().collect();
    if let Some((tier, ours)) = first_tier(goal.policy, &databases) {
        let one = |database: &&String| {
            let words = ["restore", "--into-database", database.as_str(), "--create", "--globals", "--tier", tier.as_str(), "--latest"];
            seawall(goal.setting, &words.map(Word::Is))
        };
        let text = format!(
            "Or, where all of it would take too long: a new, empty server of the same major version that runs, and there the tier {} first and the others behind it, \
             each usable as soon as it is there.{}",
            quoted(tier),
            if archives { " `--to` in place of `--latest` is a moment." } else { "" }
        );
        steps.push(Step::with(text, ours.iter().map(one).collect::<Vec<_>>().join("\n")));
    }
    steps.extend(hook(goal, |hooks| hooks.before_restore.as_ref(), "`restore` runs this hook by itself before the first file changes:"));
    steps.push(Step::new("Check it (below) while it is in quarantine."));
    if goal.policy.file.encryption.as_ref().is_some_and(|encryption| !encryption.writers.is_empty()) {
        let text = match archives {
            true => {
                "On a host that has not archived for this policy before, as the server's account: put the line that this shows into `encryption.writers`. \
                 Nobody would accept what it archives otherwise, and `release` refuses."
            }
            false => {
                "On a host that has taken no backups for this policy before, as the server's account: put the line that this shows into \
                 `encryption.writers`. Nobody would accept its backups otherwise."
            }
        };
        steps.push(Step::with(text, seawall(goal.setting, &[Word::Is("key"), Word::Is("host")])));
    }
    let original = match archives {
        true => "Let it be the original: archiving begins, on a timeline of its own, and background jobs run again.",
        false => "Let it be the original, on a timeline of its own; background jobs run again.",
    };
    steps.push(Step::with(
        original,
        seawall(goal.setting, &[Word::Is("release"), Word::Is("--target"), Word::Is(target), Word::Is("--restart")]),
    ));
    steps.extend(hook(goal, |hooks| hooks.after_restore.as_ref(), "`release` runs this hook by itself at its end:"));
    steps
}

/// What is beside the original, from which something is taken.
fn beside(goal: &Goal<'_>) -> (String, Vec<Step>) {
    let target = format!("{}-rescue", data_directory(goal.policy).trim_end_matches('/'));
    let port = format!("port={}", BESIDE);
    let (which, words) = before_the_damage(goal);
    let copy = restore(goal, &words, &target, &[Word::Is("--start"), Word::Is("--set"), Word::Is(&port)]);
    let good = if goal.policy.wal.is_some() { "at the last good moment" } else { "when the last good backup ended" };
    let text = format!(
        "A copy of the whole cluster as it was {good}, beside the original, on a port of its own. Read the plan that it shows, then answer."
    );
    let steps = vec![Step::with(text, format!("{which}\n{copy}"))];
    let mind = "Mind: `restore` runs this hook by itself before the first file changes, also for a copy beside the original:";
    let again = "If that stopped the applications, this lets them in again; nothing runs it by itself here:";
    let hooks = hook(goal, |hooks| hooks.before_restore.as_ref(), mind);
    let after = hooks.as_ref().and_then(|_| hook(goal, |hooks| hooks.after_restore.as_ref(), again));
    let steps = hooks.into_iter().chain(steps).chain(after).collect();
    (target, steps)
}

fn away(target: &str) -> Step {
    Step::with(
        "Stop the copy and delete it. Never release a copy from which you only took something.",
        format!("{}\nrm -r {}", stop(target), for_shell(target)),
    )
}

/// Before any of them can begin. Older versions of TimescaleDB keep its jobs in another table.
const HOLD_JOBS: &str = "do $$ begin update _timescaledb_catalog.bgw_job set scheduled = false where id >= 1000; \
    exception when undefined_table then update _timescaledb_config.bgw_job set scheduled = false where id >= 1000; end $$";

/// They were filled while nobody saw compressed rows.
const REFRESH: &str = "do $$ declare one text; begin for one in select oid::pg_catalog.regclass from pg_catalog.pg_class \
    where relkind = $q$m$q$ and relispopulated order by oid loop execute $q$refresh materialized view $q$ || one; end loop; end $$";

fn one_database(goal: &Goal<'_>) -> Vec<Step> {
    let policy = goal.policy;
    let (target, mut steps) = beside(goal);
    let name = policy.databases.first().map_or("postgres", String::as_str);
    steps.push(Step::new("Check the copy (below)."));
    let dump = command(
        "pg_dump",
        &[
            Word::Is("--dbname"),
            Word::Is(&with_database(&door_beside(policy), Some(name))),
            Word::Is("--format=custom"),
            Word::Is("--file"),
            Word::Is("rescue.dump"),
        ],
    );
    let fresh = format!("{name}_rescued");
    let create = psql(&original(policy, Some("postgres")), &format!("create database {}", crate::policy::sql_name::quoted(&fresh)));
    let into = original(policy, Some(&fresh));
    let load = command("pg_restore", &[Word::Is("--dbname"), Word::Is(&into), Word::Is("rescue.dump")]);
    let load = if policy.file.timescaledb.contains_key(name) {
        // The way of TimescaleDB's own manual; several jobs at once would mix up its catalog.
        let after = format!("{HOLD_JOBS}; select timescaledb_post_restore()");
        let around = ["create extension timescaledb", "select timescaledb_pre_restore()", &after, REFRESH];
        let [extension, before, after, refresh] = around.map(|sql| psql(&into, sql));
        format!("{extension}\n{before}\n{load}\n{after}\n{refresh}")
    } else {
        load
    };
    steps.push(Step::with(
        format!(
            "Dump the database {} out of the copy, and load it into a new one beside the damaged one. Nothing may end with an error.",
            quoted(name)
        ),
        format!("{dump}\n{create}\n{load}"),
    ));
    let rename = |from: &str, to: &str| {
        let quoted = crate::policy::sql_name::quoted;
        psql(&original(policy, Some("postgres")), &format!("alter database {} rename to {}", quoted(from), quoted(to)))
    };
    steps.push(Step::with(
        "Stop the application, and let the rescued database take the other's name. The damaged one stays.",
        format!("{}\n{}", rename(name, &format!("{name}_damaged")), rename(&fresh, name)),
    ));
    if policy.file.timescaledb.contains_key(name) {
        let ours = original(policy, Some(name));
        let held = "from timescaledb_information.jobs where job_id >= 1000 and not scheduled";
        let look = psql(&ours, &format!("select job_id, proc_name, hypertable_name, config {held}"));
        let let_run = psql(&ours, &format!("select alter_job(job_id, scheduled => true) {held}"));
        steps.push(Step::with(
            "TimescaleDB's jobs do not run in the rescued database: they go by today's date, and retention would delete what was just rescued. Look at them, \
             and let them run when what they would delete may go. They begin with the server's next start, or with the last command \
             (before TimescaleDB 2.12 the function is in `_timescaledb_internal`).",
            format!("{look}\n{let_run}\n{}", psql(&ours, "select _timescaledb_functions.start_background_workers()")),
        ));
    }
    steps.push(Step::new(
        "If the whole cluster is to go back to that moment instead: stop the original for good, then `seawall release` of the copy's directory.",
    ));
    steps.push(away(&target));
    steps
}

/// The words that name a job's newest backup, and the store where it is not the job's first one that is left.
fn of_job<'g>(goal: &'g Goal<'_>, job: &'g Name) -> Vec<Word<'g>> {
    let first = goal.policy.backups.get(job).and_then(|backup| backup.store.as_ref());
    let store = goal.situation.answer().and_then(|answer| answer.store.as_ref()).filter(|store| first != Some(store));
    let mut words = vec![Word::Is("--job"), Word::Is(job.as_str())];
    words.extend(store.into_iter().flat_map(|store| [Word::Is("--store"), Word::Is(store.as_str())]));
    words
}

/// What a table is taken out of.
enum Out<'o> {
    /// A physical backup and the log, at a moment.
    Backup,
    /// The newest dump of a job, and the databases that it has.
    Dump(&'o Name, &'o [String]),
}

/// Out of a private server that `restore --table` makes for it and removes.
fn rows(goal: &Goal<'_>, out: &Out<'_>) -> Vec<Step> {
    let (of, databases, said) = match out {
        Out::Backup => {
            let (which, words) = before_the_damage(goal);
            (words, goal.policy.databases.as_slice(), format!("{which}\n"))
        }
        Out::Dump(job, databases) => (of_job(goal, job), *databases, String::new()),
    };
    let database = match databases {
        [first, _, ..] => vec![Word::Is("--database"), Word::Is(first.as_str())],
        _ => Vec::new(),
    };
    let bring = |way: &[Word<'_>]| {
        let table = [Word::Is("restore"), Word::Is("--table"), Word::Of("table")];
        seawall(goal.setting, &[&table[..], &of, &database, way].concat())
    };
    let mut steps = vec![
        Step::with(
            "Say what is to be rescued, written as in SQL.",
            format!(
                "{said}table='public.orders'       # the table\nwhich='true'                # which rows: a condition, or true for all"
            ),
        ),
        Step::with(
            "Some of its rows: what would be added and changed is shown before anything is. Rows that came since stay. Read it, then answer.",
            bring(&[Word::Is("--where"), Word::Of("which"), Word::Is("--merge")]),
        ),
        Step::with(
            "Or the table beside the damaged one, in a schema of its own, when nobody knows yet what is damaged. Nothing else is changed.",
            bring(&[Word::Is("--into-schema"), Word::Is("rescued")]),
        ),
        Step::with(
            "Or all of its rows become those of then, in one transaction in which foreign keys are checked; what was there is kept in a schema that \
             the plan names.",
            bring(&[Word::Is("--replace")]),
        ),
        Step::new("Was it dropped? `--into-schema` with the name of its own schema brings it back under its own name."),
        Step::with(
            "Remove what is left over, when nobody needs it any more.",
            psql(
                &original(goal.policy, databases.first().or(goal.policy.databases.first()).map(String::as_str)),
                "drop schema if exists rescued cascade",
            ),
        ),
    ];
    if let Out::Dump(..) = out {
        steps.push(Step::new("What was written after the dump is not in it. Write down its time, which the plan names."));
    }
    steps
}

/// Tables that lie in the store as files which other programs read.
fn exported(goal: &Goal<'_>, job: &Name) -> Vec<Step> {
    let words = [Word::Is("restore"), Word::Is("--export-to"), Word::Is(RESCUE)];
    vec![
        Step::with(
            "The tables as files, decrypted, a file for each. Read the plan that it shows, then answer.",
            seawall(goal.setting, &[&words[..], &of_job(goal, job)].concat()),
        ),
        Step::new("Load what is needed into a table beside the damaged one (`\\copy` for CSV), compare, and take over what is missing."),
        Step::new("What was written after the backup is not in it. Write down its time, which the plan names."),
        Step::with("Delete the files: they are not encrypted.", command("rm", &[Word::Is("-r"), Word::Is(RESCUE)])),
    ]
}

/// Files beside a database: beside everything first, and only then in their places.
fn rescued(goal: &Goal<'_>, job: &Name) -> Vec<Step> {
    let words = [Word::Is("restore"), Word::Is("--files"), Word::Is("--to-root"), Word::Is(RESCUE)];
    let in_place =
        [Word::Is("restore"), Word::Is("--files"), Word::Is("--to-root"), Word::Is("/"), Word::Is("--in-place"), Word::Is("--overwrite")];
    let job = of_job(goal, job);
    vec![
        Step::with(
            "As root, so that everything belongs to whom it did: all of the files, below a directory of their own. Read the plan that it shows, then answer.",
            seawall(goal.setting, &[&words[..], &job].concat()),
        ),
        Step::new(format!(
            "Compare them with what is there (`diff -r`), and copy what is needed. Patterns after `--files` bring some of them: `/etc/postgresql`, {}.",
            quoted("*.crt")
        )),
        Step::with(
            "Or, on a new server, all of them where they were. What is there and differs is overwritten; nothing is removed.",
            seawall(goal.setting, &[&in_place[..], &job].concat()),
        ),
        Step::new("What was changed after the backup is not in it. Write down its time, which the plan names."),
        Step::with("Delete what you do not need: keys may be among it.", command("rm", &[Word::Is("-r"), Word::Is(RESCUE)])),
    ]
}

fn files(goal: &Goal<'_>) -> Vec<Step> {
    let target = format!("{}-rescue", data_directory(goal.policy).trim_end_matches('/'));
    let config = format!("{target}-config");
    let command = restore(goal, &[Word::Is("--immediate")], &target, &[Word::Is("--config-to"), Word::Is(&config)]);
    vec![
        Step::with(
            "A physical backup holds PostgreSQL's own configuration, also where it lies outside the data directory. This brings it beside the copy:",
            command,
        ),
        Step::new(format!("Take what you need from {}. Nothing of it is put in place by itself.", quoted(&config))),
        Step::with("Delete the copy; it was never started.", format!("rm -r {} {}", for_shell(&target), for_shell(&config))),
    ]
}

fn promote(goal: &Goal<'_>) -> Vec<Block> {
    let policy = goal.policy;
    let standbys: Vec<&Name> = policy.hosts.iter().filter(|(_, host)| host.role == HostRole::Standby).map(|(name, _)| name).collect();
    let mut blocks = Vec::new();
    if let Some(other) = policy.file.delegated.iter().find(|(subject, _)| subject.as_str() == "failover").map(|(_, other)| other) {
        blocks.push(Block::Warning(format!(
            "promotion is left to {}: look there first, and do nothing that it does at the same time.",
            plain(&other.to)
        )));
    }
    let on = if standbys.is_empty() { "the policy names none".into() } else { joined(standbys) };
    let mut steps = vec![Step::with(
        format!(
            "On the standby's host ({on}), how far it is. What was written to the primary behind that is lost, as far as it is in no store: `promote` fetches \
             that first, and says what is left."
        ),
        ask(
            policy,
            Restored::Here,
            None,
            "select pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp(), now() - pg_last_xact_replay_timestamp()",
        ),
    )];
    let fence = hook(
        goal,
        |hooks| hooks.before_promote.as_ref(),
        "`promote` has this hook fence the old primary, and goes on only if it succeeds:",
    );
    let has_fence = fence.is_some();
    steps.extend(fence);
    let mut words = vec![Word::Is("promote")];
    if !has_fence {
        steps.push(Step::with(
            "Make sure that the old primary can never write again: switched off, or fenced. No hook of the policy does it. Say who did it, and how: it goes \
             on record.",
            "fenced='WHO, AND HOW'",
        ));
        words.extend([Word::Is("--fenced-by-hand"), Word::Of("fenced")]);
    }
    steps.push(Step::with(
        format!(
            "On the standby's host ({on}): this shows how far the standby is and what would be lost, asks, and promotes. Where it stops it says what stands; the \
             same call goes on."
        ),
        seawall(goal.setting, &words),
    ));
    match hook(goal, |hooks| hooks.after_promote.as_ref(), "`promote` runs this hook by itself at its end, to lead the applications there:")
    {
        Some(step) => steps.push(step),
        None => steps.push(Step::new("Lead the applications there: no hook of the policy does it.")),
    }
    steps.push(Step::with(
        "See that it is the primary, on a timeline of its own: `f`, and a higher number than before.",
        ask(policy, Restored::Here, None, "select pg_is_in_recovery(), left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline"),
    ));
    if policy.wal.is_some() {
        steps.push(Step::with("See that the new primary archives its log.", seawall(goal.setting, &[Word::Is("wal"), Word::Is("status")])));
    }
    steps.push(Step::new("Keep the old primary down. `promote` printed the command that makes it a standby of the new one."));
    blocks.push(Block::Steps(steps));
    blocks
}

fn elsewhere(goal: &Goal<'_>) -> Vec<Block> {
    let job = goal.situation.answer().and_then(|answer| answer.job.as_ref());
    let method = job.and_then(|job| goal.policy.backups.get(job)).map(|backup| &backup.method);
    let who = match method {
        Some(Method::Provider(provider)) => provider.aiven.as_ref().map_or_else(
            || "the provider".to_owned(),
            |aiven| format!("Aiven: project {}, service {}", quoted(&aiven.project), quoted(&aiven.service)),
        ),
        Some(Method::Engine(engine)) if engine.pgbackrest.is_some() => "pgBackRest, with its own `restore`".to_owned(),
        Some(Method::Engine(_)) => "the other backup tool, with its own commands".to_owned(),
        _ => "the provider or the other backup tool".to_owned(),
    };
    vec![
        Block::Words(format!("This comes back by {who}. Seawall only watches those backups and has no command for it.")),
        Block::Steps(vec![
            Step::new("Fork or restore into a new service or server, never over the damaged one."),
            Step::new("Choose the newest moment before the damage that it offers, and write down which."),
            Step::new("Check it (below), then point the applications at it."),
        ]),
    ]
}

fn hook(goal: &Goal<'_>, which: impl Fn(&crate::policy::file::Hooks) -> Option<&Command>, what: &str) -> Option<Step> {
    let hook = goal.policy.file.hooks.as_ref().and_then(which)?;
    Some(Step::with(what, words_of(&hook.run)))
}

/// What stays lost, said beforehand.
pub(super) fn limits(goal: &Goal<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    match goal.situation.answer().map(|answer| answer.way) {
        Some(Way::PromoteStandby) => lines.push("What the standby had not received when the primary was lost.".to_owned()),
        Some(Way::External) => lines.push("What the provider or the other tool has not saved; Seawall cannot know it.".to_owned()),
        Some(Way::NewestBackup) if answering(goal).is_some_and(|(_, method)| !method.is_physical()) => {
            let job = answering(goal).map(|(job, _)| job.to_string()).unwrap_or_default();
            lines.push(format!("What was written after the newest backup of the job {job}."));
            let store = goal.situation.answer().and_then(|answer| answer.store.as_ref());
            if let Some((name, Err(reason))) = store.and_then(|name| Some((name, goal.today.store(name)?))) {
                lines.push(format!("What the store {name} holds is not known: {reason}."));
            }
        }
        _ => {
            let archives = goal.policy.wal.is_some();
            let after = match archives {
                true => "What was written after the last archived log, or after the moment that you choose.",
                false => {
                    "What was written after the newest backup ended, or after the end of the one that you choose. No moment between two backups can be had."
                }
            };
            lines.push(after.to_owned());
            for name in stores(goal) {
                match goal.today.store(name) {
                    Some(Ok(store)) => {
                        lines.extend(store.reach.gaps.iter().rev().take(if archives { GAPS } else { 0 }).map(|gap| {
                            format!("From the store {name} no moment between {} and {}: log is missing.", minute(gap.from), minute(gap.to))
                        }));
                        match store.reach.oldest() {
                            Some(oldest) => lines.push(format!("From the store {name} nothing older than {}.", minute(oldest))),
                            None => lines.push(format!("From the store {name} nothing at all, by the inventory.")),
                        }
                        if store.has_increments {
                            lines.push(format!(
                                "The increments in the store {name}: this version does not restore them, so more log is replayed."
                            ));
                        }
                    }
                    Some(Err(reason)) => lines.push(format!("What the store {name} holds is not known: {reason}.")),
                    None => {}
                }
            }
        }
    }
    if !goal.policy.archives.is_empty() {
        lines.push("Rows that had moved to the archive before the backup: see \u{201c}Rows that were archived\u{201d}.".to_owned());
    }
    let others: Vec<&Name> = goal
        .policy
        .backups
        .iter()
        .filter(|(_, backup)| !backup.method.runs_in_this_version() && backup.method.is_stored())
        .map(|(name, _)| name)
        .collect();
    if !others.is_empty() {
        lines.push(format!("What only these jobs would hold, which this version does not run: {}.", joined(others)));
    }
    lines
}
