//! What would be done, in full, before anything is.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::archive::{self, Archived};
use super::choose::{Chosen, choose, unsigned_warning};
use super::directory::{self, Directory, Standing};
use super::report::Report;
use super::request::Request;
use super::standby::{self, Upstream};
use super::{RestoreFault, config, own_config, programs, settings, tablespaces};
use crate::execute::extensions;
use crate::format::descriptor::ObjectKind;
use crate::format::seal::Identities;
use crate::pipeline::restore::{Extras, Ground, Names, Source};
use crate::pipeline::{PipelineFault, RangedObject};
use crate::plan::words::{counted, joined};
use crate::policy::model::Encryption;
use crate::recovery::LeftBehind;
use crate::site::Site;
use crate::store::Meta;
use crate::units::{Instant, SegmentSize};

/// A restore that is known to be possible as far as can be known without doing it.
#[derive(Debug)]
pub struct RestorePlan {
    pub request: Request,
    pub chosen: Chosen,
    pub directory: Directory,
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// What a standby will stream from.
    pub upstream: Option<Upstream>,
    pub signal: &'static str,
    pub settings: Vec<(String, String)>,
    /// With `--delta`: what will be removed.
    pub extras: Option<Extras>,
    pub estimate: Estimate,
    pub archived: Archived,
    pub warnings: Vec<String>,
    pub identities: Identities,
    pub made: Instant,
    /// How long making it took.
    pub seconds: f64,
}

/// How long it should take, and what says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimate {
    pub copy_seconds: Option<f64>,
    pub copy_from: &'static str,
    /// At most: how much of the log the target needs is known only when it is reached.
    pub replay_seconds: Option<f64>,
    pub wal_bytes: u64,
    pub segments: u64,
}

pub fn plan(site: &Site<'_>, request: Request, now: Instant) -> Result<RestorePlan, RestoreFault> {
    let began = std::time::Instant::now();
    let identities = identities(site, &request)?;
    let chosen = choose(site, &request, &identities, now)?;
    let readable = inspect_objects(&chosen).and_then(|archived| {
        if archived.is_readable() {
            can_open(site, &chosen, &identities)?;
            if request.config_to.is_some() || own_config::is_needed(&request, &chosen.private) {
                config::must_be_right(&chosen, &identities)?;
            }
        }
        Ok(archived)
    });
    let archived = readable.map_err(|fault| fault.with_others(site, &request, &chosen, &identities, now))?;
    if let Some(directory) = request.config_to.as_ref().filter(|_| archived.is_readable()) {
        config::must_fit(directory, &chosen, &identities)?;
    }
    let directory = directory::examine(&request, &chosen.descriptor)?;
    let upstream = standby::upstream(site, &request, &chosen)?;
    let tablespaces = tablespaces::places(&request, &chosen.private.tablespaces)?;
    let ground = Ground { root: request.directory.clone(), tablespaces: tablespaces.clone(), owner: directory.owner };
    let extras = if directory.standing == Standing::Empty || !archived.is_readable() {
        None
    } else {
        let source = Source::of(&chosen.store, &chosen.repository, &chosen.descriptor, &identities)?;
        Some(Extras::find(&ground, Names::read(&source)?)?)
    };
    let mut plan = RestorePlan {
        signal: settings::signal(&request),
        settings: settings::lines(&request, &chosen, upstream.as_ref(), site.policy.wal.is_some()),
        upstream,
        estimate: estimate(site, &chosen),
        warnings: Vec::new(),
        seconds: 0.0,
        made: now,
        request,
        chosen,
        directory,
        tablespaces,
        extras,
        archived,
        identities,
    };
    plan.warnings = warnings(site, &plan)?;
    plan.seconds = began.elapsed().as_secs_f64();
    Ok(plan)
}

/// What opens the data: the recovery identity, not the host's own key.
fn identities(site: &Site<'_>, request: &Request) -> Result<Identities, RestoreFault> {
    let recovery = site.recovery_identities(request.identity.as_deref())?;
    if let (Some(encryption), true) = (site.policy.encryption.as_ref().filter(|encryption| encryption.is_sealed()), recovery.is_empty()) {
        return Err(RestoreFault::new(
            "the backups are encrypted and no identity is given that opens them",
            format!("Give it with `--identity FILE`. It belongs to one of: {}.", encryption.recipients().join(", ")),
        ));
    }
    Ok(site.identities(request.identity.as_deref())?)
}

/// Still, now that a pin keeps it so: between the plan and the word to go on, expiry may have moved it into an archive.
pub(super) fn must_still_be_readable(plan: &RestorePlan) -> Result<(), RestoreFault> {
    if inspect_objects(&plan.chosen)?.is_readable() {
        return Ok(());
    }
    let message =
        format!("backup {} was moved into an archive class since the plan was made; nothing was touched", plan.chosen.descriptor.id);
    Err(RestoreFault::new(message, "Run it again: the new plan says how long it takes to wake, and `--thaw` asks for it."))
}

/// Every object is there, in its size, and can be read now.
fn inspect_objects(chosen: &Chosen) -> Result<Archived, RestoreFault> {
    let id = &chosen.descriptor.id;
    let there: HashMap<String, Meta> =
        chosen.store.list(&chosen.repository.prefix(&format!("data/{id}")))?.into_iter().map(|meta| (meta.key.to_string(), meta)).collect();
    for object in &chosen.descriptor.objects {
        let key = crate::pipeline::restore::object_key(&chosen.repository, &chosen.descriptor, object)?;
        match there.get(key.as_str()) {
            None => {
                return Err(RestoreFault::of_object(format!("{key} is not in the store")));
            }
            Some(meta) if meta.size != object.size => {
                let message = format!("{key} is damaged: it has {} bytes instead of {}", meta.size, object.size);
                return Err(RestoreFault::of_object(message));
            }
            Some(_) => {}
        }
    }
    archive::inspect(&chosen.store, &chosen.repository, &chosen.descriptor, &there)
}

/// Whether the identity opens the data: known before anything is overwritten.
fn can_open(site: &Site<'_>, chosen: &Chosen, identities: &Identities) -> Result<(), RestoreFault> {
    let Some(part) = chosen.descriptor.objects_of(ObjectKind::Part).next() else { return Ok(()) };
    let key = crate::pipeline::restore::object_key(&chosen.repository, &chosen.descriptor, part)?;
    match RangedObject::open(&chosen.store, &key, part.size, identities) {
        Err(fault @ PipelineFault::Sealed { .. }) if !fault.is_of_object() => {
            let recipients = site.policy.encryption.as_ref().map(Encryption::recipients).unwrap_or_default().join(", ");
            let hint = format!(
                "Give the identity that belongs to a recipient of that time with `--identity FILE`; the policy names now: {recipients}."
            );
            Err(RestoreFault::new(fault.to_string(), hint))
        }
        other => Ok(other.map(|_| ())?),
    }
}

fn estimate(site: &Site<'_>, chosen: &Chosen) -> Estimate {
    let size = SegmentSize::new(chosen.descriptor.cluster.wal_segment_size);
    let wal_bytes: u64 = chosen.wal.iter().map(|stretch| stretch.to.0.saturating_sub(stretch.from.0)).sum();
    let assume = &site.policy.objectives.assume;
    let measured = Report::last(&site.policy_state()).and_then(|report| report.rate());
    let (rate, copy_from) = match (measured, assume.restore) {
        (Some(rate), _) => (Some(rate), "as the last restore on this host"),
        (None, Some(rate)) => (Some(rate.get() as f64), "as `objectives.assume.restore` says"),
        (None, None) => (None, "no rate was measured or assumed"),
    };
    Estimate {
        copy_seconds: rate.filter(|rate| *rate > 0.0).map(|rate| chosen.descriptor.size as f64 / rate),
        copy_from,
        replay_seconds: assume.replay.filter(|rate| rate.get() > 0).map(|rate| wal_bytes as f64 / rate.get() as f64),
        wal_bytes,
        segments: size.map_or(0, |size| wal_bytes.div_ceil(size.bytes())),
    }
}

fn warnings(site: &Site<'_>, plan: &RestorePlan) -> Result<Vec<String>, RestoreFault> {
    let mut warnings: Vec<String> = unsigned_warning(&site.writers()?).into_iter().collect();
    warnings.extend(plan.chosen.passed_over.iter().map(|why| format!("not from {why}")));
    let asked = joined(plan.chosen.asked.iter().map(|name| format!("`{name}`")));
    let without = |why: &String| format!("the log comes from {asked} alone, because another one does not answer: {why}");
    warnings.extend(plan.chosen.silent.iter().map(without));
    let not_restored = |left: &LeftBehind| format!("{left}; none of that is restored, and `--timeline {}` leads there", left.timeline);
    warnings.extend(plan.chosen.left_behind.as_ref().map(not_restored));
    for rejected in plan.chosen.rejected.iter().take(10) {
        warnings.push(format!("not believed: {}: {}", rejected.key, rejected.why));
    }
    let damaged = plan.chosen.descriptor.damage.pages;
    if damaged > 0 {
        let first = plan.chosen.descriptor.damage.blocks.first().map(|block| format!(", first in {} block {}", block.path, block.block));
        warnings.push(format!("{} had wrong checksums when they were backed up{}", counted(damaged, "page"), first.unwrap_or_default()));
    }
    if let Some(extras) = plan.extras.as_ref().filter(|extras| !extras.unarchived.is_empty()) {
        let names = extras.unarchived.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let count = counted(extras.unarchived.len(), "file");
        warnings.push(format!("{count} of the write-ahead log in the directory, never archived, will be lost: {names}"));
    }
    warnings.extend(unreadable(site, plan));
    warnings.extend(lacking(plan));
    // A copy that is thrown away has no primary unless it was asked for.
    let is_asked_for = plan.request.throw_away.is_none() || plan.upstream != Some(Upstream::Archive);
    warnings.extend(standby::warnings(plan.upstream.as_ref().filter(|_| is_asked_for), &plan.chosen));
    warnings.extend(cannot_archive(site, plan));
    warnings.extend(super::collations::compare(&plan.chosen.private));
    if let Some(files) = Some(&plan.chosen.private.config_files).filter(|files| !files.is_empty()) {
        let what = if own_config::is_needed(&plan.request, &plan.chosen.private) {
            let folder = plan.request.directory.join(own_config::FOLDER);
            Some(format!("the server is started with the backup's copies, in `{}`", folder.display()))
        } else if plan.request.config_to.is_none() {
            Some("have it put somewhere with `--config-to DIR`".to_owned())
        } else {
            None
        };
        warnings.extend(what.map(|what| format!("configuration lay outside the data directory ({}): {what}", files.join(", "))));
    }
    Ok(warnings)
}

/// What the databases use and this machine lacks, or nobody could look for. Whoever starts it says where its PostgreSQL is, and it is refused there.
fn lacking(plan: &RestorePlan) -> Option<String> {
    let private = &plan.chosen.private;
    if plan.request.throw_away.is_some() || plan.request.start {
        return None;
    }
    let major = plan.chosen.descriptor.cluster.version / 10_000;
    let Ok(programs) = programs::find(None, major) else {
        let what = extensions::used(private)?;
        return Some(format!(
            "PostgreSQL {major} is not on this host, or not where it usually is, so nobody has looked whether what starts this has {what}, in these very versions"
        ));
    };
    let lacking = extensions::must_be_here(&programs, major, private).err().map(|lacking| lacking.message);
    lacking.or_else(|| extensions::unknown(&programs, major, private))
}

/// Known before anything is fetched, also where somebody else will start it.
pub fn must_have_extensions(plan: &RestorePlan) -> Result<(), RestoreFault> {
    let major = plan.chosen.descriptor.cluster.version / 10_000;
    let Ok(programs) = programs::find(None, major) else { return Ok(()) };
    extensions::must_be_here(&programs, major, &plan.chosen.private).map_err(|lacking| {
        let fault = RestoreFault::from(lacking);
        let hint = format!(
            "{} Or say `--extensions-later`, and install them before it is started; where its PostgreSQL is another one, `--start-with DIR` says which.",
            fault.hint
        );
        fault.with_hint(hint)
    })
}

/// A standby that is promoted one day signs what it archives with this host's key.
fn cannot_archive(site: &Site<'_>, plan: &RestorePlan) -> Option<String> {
    if plan.request.standby.is_none() || plan.request.throw_away.is_some() || site.policy.wal.is_none() {
        return None;
    }
    let known = match site.existing_host_keys() {
        Ok(Some(keys)) => site.must_be_writer(&keys).err().map(|fault| fault.message),
        Ok(None) => Some("this host has no key yet (`seawall key host`)".to_owned()),
        Err(fault) => Some(fault.message),
    };
    known.map(|why| format!("promoted, this server could not archive: {why}"))
}

/// The server itself fetches its log: as its own user, it must be able to read what that needs.
fn unreadable(site: &Site<'_>, plan: &RestorePlan) -> Vec<String> {
    let fetch = &plan.request.fetch;
    let mut files = vec![fetch.program.clone(), fetch.policy.clone()];
    files.extend(plan.request.identity.clone().or_else(|| {
        let identity = site.policy.encryption.as_ref().and_then(Encryption::identity);
        identity.and_then(|secret| secret.file.as_ref()).map(PathBuf::from)
    }));
    let unreadable = files.into_iter().filter(|file| !directory::can_read(file, plan.directory.owner));
    unreadable
        .map(|file| {
            let (account, file) = (&plan.directory.account, file.display());
            format!("`{account}` cannot read `{file}`, which the server needs to fetch its log: recovery will stop")
        })
        .collect()
}
