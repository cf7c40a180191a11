//! Does what the plan says.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant as Clock;

use super::directory::{self, MARKER, Standing};
use super::pin::Pin;
use super::plan::{RestorePlan, must_still_be_readable};
use super::report::{Phases, Report};
use super::tablespaces::Mark;
use super::{RestoreFault, config, own_config, settings, standby, tablespaces};
use crate::format::descriptor::ObjectKind;
use crate::observe::find_descriptor;
use crate::pipeline::Checked;
use crate::pipeline::PipelineFault;
use crate::pipeline::restore::{Choice, Extras, Ground, How, Progress, Source, arm, make_durable, object_key, restore};
use crate::site::Site;
use crate::world::clock;

/// The most a manifest may have: one line for each of some ten million files.
const MAX_MANIFEST: u64 = 4 << 30;

/// What PostgreSQL needs to find, empty, and what a backup may have left out.
const DIRECTORIES: &[&str] = &[
    "base",
    "global",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal/archive_status",
    "pg_xact",
];

/// Carries a plan out. What is in the directory can be started when this returns well, and not before.
pub fn carry_out(site: &Site<'_>, plan: &RestorePlan, progress: &Progress) -> Result<Report, RestoreFault> {
    carry_out_some(site, plan, None, progress)
}

/// The same of some of the files, for a copy that is thrown away: what the others hold is not fetched, and nothing is made durable.
pub fn carry_out_some(site: &Site<'_>, plan: &RestorePlan, only: Option<&dyn Choice>, progress: &Progress) -> Result<Report, RestoreFault> {
    let began = Clock::now();
    let mut seconds = Phases { plan: plan.seconds, ..Phases::default() };
    // The world may have moved since somebody was asked, and a hook may take minutes: whoever looks after the servers starts one meanwhile.
    must_be_as_planned(plan)?;
    hook(site, plan, "before_restore")?;
    must_be_as_planned(plan)?;
    seconds.hooks = began.elapsed().as_secs_f64();
    let _pin = Pin::put(plan, site.host(), clock::now());
    must_still_be_there(plan)?;
    must_still_be_readable(plan)?;
    let ground = Ground { root: plan.request.directory.clone(), tablespaces: plan.tablespaces.clone(), owner: plan.directory.owner };
    let marker = prepare(plan, &ground)?;

    let copying = Clock::now();
    let source = Source::of(&plan.chosen.store, &plan.chosen.repository, &plan.chosen.descriptor, &plan.identities)?;
    let how = How { workers: plan.request.workers, delta: plan.directory.standing != Standing::Empty, only };
    let restored = restore(&source, &ground, how, progress).map_err(|fault| {
        let fault = RestoreFault::from(fault);
        fault.with_others(site, &plan.request, &plan.chosen, &plan.identities, clock::now()).within_a_restore()
    })?;
    let removed = if how.delta { Extras::remove(&ground, restored.names)?.files } else { 0 };
    complete(plan, &ground)?;
    // Of what is not all there it would be wrong.
    if only.is_none() {
        manifest(plan, &ground)?;
    }
    seconds.files = copying.elapsed().as_secs_f64();

    let syncing = Clock::now();
    match only {
        // It is thrown away before the machine ends, and what others have written on that disk would be waited for.
        Some(_) => {}
        None => make_durable(&ground, restored.written)?,
    }
    // The last thing that can fail: what is told as a failure does not start.
    standby::make_slot(&plan.request, plan.upstream.as_ref())?;
    arm(&ground)?;
    if plan.request.standby.is_some() {
        site.keep_in_mind(&plan.chosen.store_name, &plan.chosen.repository);
    }
    fs::remove_file(plan.request.directory.join(MARKER)).ok();
    drop(marker);
    seconds.sync = syncing.elapsed().as_secs_f64();
    seconds.total = plan.seconds + began.elapsed().as_secs_f64();
    Ok(report(site, plan, progress, seconds, removed))
}

/// Whoever deletes a backup takes its descriptor away and looks then whether somebody restores it; here it is the other way round.
fn must_still_be_there(plan: &RestorePlan) -> Result<(), RestoreFault> {
    let chosen = &plan.chosen;
    match find_descriptor(&chosen.store, &chosen.repository, &chosen.descriptor.id)? {
        Some(_) => Ok(()),
        None => {
            Err(RestoreFault::new(format!("backup {} was deleted meanwhile", chosen.descriptor.id), "Run it again: another one is chosen."))
        }
    }
}

fn must_be_as_planned(plan: &RestorePlan) -> Result<(), RestoreFault> {
    let now = directory::examine(&plan.request, &plan.chosen.descriptor)?;
    let places = tablespaces::places(&plan.request, &plan.chosen.private.tablespaces)?;
    if now.standing != plan.directory.standing || places != plan.tablespaces {
        let message = format!("`{}` changed since the plan was made", plan.request.directory.display());
        return Err(RestoreFault::new(message, "Look what happened there, and run it again."));
    }
    Ok(())
}

/// One of the policy's hooks, if it has it.
pub fn hook(site: &Site<'_>, plan: &RestorePlan, name: &str) -> Result<(), RestoreFault> {
    let Some(all) = site.policy.file.hooks.as_ref().filter(|_| plan.request.throw_away.is_none()) else { return Ok(()) };
    let hook = match name {
        "before_restore" => &all.before_restore,
        "after_restore" => &all.after_restore,
        "before_promote" => &all.before_promote,
        _ => &all.after_promote,
    };
    let Some(hook) = hook else { return Ok(()) };
    let about = [
        ("POLICY", site.policy.name.to_string()),
        ("DIRECTORY", plan.request.directory.display().to_string()),
        ("BACKUP", plan.chosen.descriptor.id.to_string()),
        ("STORE", plan.chosen.store_name.to_string()),
        ("TARGET", plan.request.target.to_string()),
    ];
    Ok(crate::execute::hook::run(&format!("hooks.{name}"), hook, &about, None)?)
}

/// The directory, and a mark in it that says what is going on and keeps a second restore out.
fn prepare(plan: &RestorePlan, ground: &Ground) -> Result<File, RestoreFault> {
    let root = &plan.request.directory;
    ground.make_directory(root)?;
    if plan.directory.standing == Standing::Empty {
        // It may have been there, as somebody else made it.
        ground.give(root)?;
    }
    let failed = |error: std::io::Error| PipelineFault::file(format!("`{}` cannot be written", root.join(MARKER).display()), error);
    let marker = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(root.join(MARKER)).map_err(failed)?;
    if marker.try_lock().is_err() {
        return Err(directory::goes_on(root));
    }
    // Whoever goes on with it is that account, and not root.
    ground.give(&root.join(MARKER))?;
    // Before the first file changes, nothing there may look like a cluster that only needs to be started; after the machine's end too.
    let about = Mark {
        backup: plan.chosen.descriptor.id.clone(),
        pid: std::process::id(),
        since: clock::now(),
        tablespaces: plan.tablespaces.clone(),
    };
    let about = serde_json::to_vec(&about).expect("texts and numbers");
    // Not emptied first: what it says of the tablespaces is how the next run knows them again.
    (&marker).write_all(&about).and_then(|()| marker.set_len(about.len() as u64)).and_then(|()| marker.sync_all()).map_err(failed)?;
    disarm(plan, ground)?;
    for place in plan.tablespaces.values() {
        ground.make_directory(place)?;
        ground.give(place)?;
    }
    Ok(marker)
}

/// A server that starts from here on finds no `pg_control` and ends; one that was faster is seen now, and gets it back.
fn disarm(plan: &RestorePlan, ground: &Ground) -> Result<(), RestoreFault> {
    let was_armed = ground.disarm()?;
    directory::refuse_running(&ground.root).or_else(|fault| {
        if was_armed {
            ground.rearm()?;
        }
        if plan.directory.standing != Standing::Interrupted {
            fs::remove_file(ground.root.join(MARKER)).ok();
        }
        Err(fault)
    })
}

/// All that is not in the parts: directories, links, settings, the manifest.
fn complete(plan: &RestorePlan, ground: &Ground) -> Result<(), RestoreFault> {
    let root = &ground.root;
    for directory in DIRECTORIES {
        ground.make_directory(&root.join(directory))?;
    }
    for (oid, place) in &plan.tablespaces {
        ground.make_link(&root.join(format!("pg_tblspc/{oid}")), place)?;
    }
    if !root.join("backup_label").is_file() {
        // Without it the server would take the copy for a crashed cluster and begin replay at the wrong place: silent corruption.
        return Err(RestoreFault::new(
            format!("backup {} has no `backup_label`", plan.chosen.descriptor.id),
            "It cannot be recovered from; use another one with `--backup ID`.",
        ));
    }
    if let Some(map) = content(&root.join("tablespace_map"))?
        && let Some(rewritten) = tablespaces::rewritten(&map, &plan.tablespaces)
    {
        put(ground, &root.join("tablespace_map"), &rewritten)?;
    }
    config::put(plan, ground)?;
    own_config::stay_here(ground)?;
    own_config::put(plan, ground)?;
    let former = content(&root.join("postgresql.auto.conf"))?.unwrap_or_default();
    put(ground, &root.join("postgresql.auto.conf"), &settings::auto_conf(&former, &plan.settings))?;
    for signal in ["recovery.signal", "standby.signal"] {
        if signal == plan.signal {
            put(ground, &root.join(signal), b"")?;
        } else {
            fs::remove_file(root.join(signal)).ok();
        }
    }
    group_access(root)
}

/// None only where it is not there: what cannot be read is not nothing. A name in it may be of any encoding.
fn content(path: &Path) -> Result<Option<Vec<u8>>, RestoreFault> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => Ok(Some(other.map_err(|error| PipelineFault::file(format!("`{}` cannot be read", path.display()), error))?)),
    }
}

/// The group may read this cluster.
fn is_for_group(root: &Path) -> bool {
    fs::metadata(root.join("PG_VERSION")).is_ok_and(|about| about.permissions().mode() & 0o040 != 0)
}

fn mode_of_files(root: &Path) -> u32 {
    if is_for_group(root) { 0o640 } else { 0o600 }
}

/// Where the cluster let its group read, the directory itself has to as well, or the server refuses to start.
fn group_access(root: &Path) -> Result<(), RestoreFault> {
    let mode = if is_for_group(root) { 0o750 } else { 0o700 };
    let failed = |error| PipelineFault::file(format!("`{}` cannot be given its mode", root.display()), error);
    Ok(fs::set_permissions(root, fs::Permissions::from_mode(mode)).map_err(failed)?)
}

pub(super) fn put(ground: &Ground, path: &Path, bytes: &[u8]) -> Result<(), RestoreFault> {
    let failed = |error| PipelineFault::file(format!("`{}` cannot be written", path.display()), error);
    let mode = mode_of_files(&ground.root);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).map_err(failed)?;
    // First: whoever goes on with what broke off here is the account and not root.
    ground.give(path)?;
    Ok(file.write_all(bytes).map_err(failed)?)
}

/// PostgreSQL's own list of what must be there: `pg_verifybackup` holds the directory against it.
fn manifest(plan: &RestorePlan, ground: &Ground) -> Result<(), RestoreFault> {
    let path: PathBuf = ground.root.join("backup_manifest");
    let Some(object) = plan.chosen.descriptor.objects_of(ObjectKind::Manifest).next() else {
        fs::remove_file(&path).ok();
        return Ok(());
    };
    let key = object_key(&plan.chosen.repository, &plan.chosen.descriptor, object)?;
    let mut from = Checked::open(&plan.chosen.store, &key, object.size, &object.sha256, &plan.identities)?;
    let failed = |error: std::io::Error| {
        if crate::store::Fault::from_io(&error).is_some() || error.kind() == ErrorKind::InvalidData {
            PipelineFault::of_stream(key.as_str(), &error)
        } else {
            PipelineFault::file(format!("`{}` cannot be written", path.display()), error)
        }
    };
    let mode = mode_of_files(&ground.root);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path).map_err(failed)?;
    ground.give(&path)?;
    Ok(std::io::copy(&mut from.by_ref().take(MAX_MANIFEST), &mut file).and_then(|_| from.must_end()).map_err(failed)?)
}

fn report(site: &Site<'_>, plan: &RestorePlan, progress: &Progress, seconds: Phases, removed: u64) -> Report {
    let descriptor = &plan.chosen.descriptor;
    Report {
        format_version: 1,
        policy: site.policy.name.to_string(),
        host: site.host().to_owned(),
        started: plan.made,
        ended: clock::now(),
        store: plan.chosen.store_name.to_string(),
        backup: descriptor.id.clone(),
        signed_by: plan.chosen.signer.clone(),
        target: plan.request.target.to_string(),
        timeline: plan.chosen.timeline,
        directory: plan.request.directory.clone(),
        delta: plan.directory.standing != Standing::Empty,
        workers: plan.request.workers,
        files: descriptor.files,
        size: descriptor.size,
        written: progress.written.load(Ordering::Relaxed),
        fetched: progress.fetched.load(Ordering::Relaxed),
        frames: progress.frames.load(Ordering::Relaxed),
        frames_fetched: progress.frames_fetched.load(Ordering::Relaxed),
        removed,
        seconds,
        reached: None,
        compared: Vec::new(),
        warnings: plan.warnings.clone(),
    }
}
