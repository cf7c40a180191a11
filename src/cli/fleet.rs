//! All policies that a command is about, read and examined, with what was found in them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::examine::{Examined, Known, examine};
use super::location::Location;
use crate::policy::document::{Document, ReadFault};
use crate::policy::finding::{Code, Finding, Weight, sorted};
use crate::policy::path::PolicyPath;
use crate::policy::source::{Place, Source};
use crate::policy::yaml::MAX_BYTES;
use crate::units::Instant;
use crate::world::git::Revision;
use crate::world::{self, files, parallel};

const UNREADABLE: Code = Code(1);
const NO_POLICY: Code = Code(13);
const SAME_NAME: Code = Code(205);
/// How many places that inherit one mistake are named beside it.
const MAX_HEIRS: usize = 4;

/// All policies that a command is about.
#[derive(Debug, Default)]
pub struct Fleet {
    /// In the order in which they were named, those of one directory in the order of their names.
    pub policies: Vec<Examined>,
    /// What no single policy is to blame for: places that cannot be searched, two policies of one name.
    pub findings: Vec<Finding>,
}

impl Fleet {
    /// Reads and examines everything at the given locations. A fleet may have thousands of policies, so their trees go as
    /// soon as they are examined.
    pub fn load(locations: &[Location], now: Instant, known: Known<'_>) -> Fleet {
        Self::read(locations, &|document| {
            let mut examined = examine(document, now, known);
            examined.document.forget_trees();
            examined
        })
    }

    /// The same for those who show policies as they are written.
    pub fn load_with_trees(locations: &[Location], now: Instant) -> Fleet {
        Self::read(locations, &|document| examine(document, now, Known::default()))
    }

    fn read(locations: &[Location], look: &(dyn Fn(Document) -> Examined + Sync)) -> Fleet {
        let mut fleet = Fleet::default();
        let mut wanted = Vec::new();
        let mut known = HashSet::new();
        for location in locations {
            for file in fleet.files_at(location) {
                if known.insert(file.name.clone()) {
                    wanted.push(file);
                }
            }
        }
        fleet.policies = parallel::map(&wanted, &|file| look(file.read()));
        fleet.same_names();
        fleet
    }

    /// Everything that was found, each mistake once: one in a shared file is reported for the first policy that inherits it,
    /// and names some of the others.
    pub fn all_findings(&self) -> Vec<Finding> {
        type Key = (Code, String, usize, usize, String);
        let mut all: Vec<Finding> = Vec::new();
        let mut seen: HashMap<Key, usize> = HashMap::new();
        for finding in self.policies.iter().flat_map(|policy| &policy.findings).chain(&self.findings) {
            let Some(place) = &finding.place else {
                all.push(finding.clone());
                continue;
            };
            let key = (finding.code, place.source.name.clone(), place.start, place.end, finding.message.clone());
            match seen.get(&key) {
                None => {
                    seen.insert(key, all.len());
                    all.push(finding.clone());
                }
                Some(&at) => {
                    let first = &mut all[at];
                    let new = |related: &&crate::policy::finding::Related| related.path == PolicyPath::from(["extends"]);
                    for related in finding.related.iter().filter(new) {
                        if first.related.len() < MAX_HEIRS && !first.related.contains(related) {
                            first.related.push(related.clone());
                        }
                    }
                    if finding.is_blocking() && !first.is_blocking() {
                        first.acknowledged = None;
                    }
                }
            }
        }
        all
    }

    /// Nothing in it is an error that nobody has acknowledged.
    pub fn is_sound(&self) -> bool {
        self.policies.iter().all(Examined::is_sound) && !self.findings.iter().any(Finding::is_blocking)
    }

    fn files_at(&mut self, location: &Location) -> Vec<Wanted> {
        match location {
            Location::Stdin => vec![Wanted { name: "<stdin>".into(), path: PathBuf::from("-"), from: From::Stdin }],
            Location::Path(path) if files::is_directory(path) => {
                let found = files::search(path);
                if found.files.is_empty() && found.faults.is_empty() {
                    self.nothing_in(&path.to_string_lossy());
                }
                for (directory, fault) in found.faults {
                    self.cannot_search(&directory.to_string_lossy(), &fault);
                }
                found.files.into_iter().map(Wanted::on_disk).collect()
            }
            Location::Path(path) => vec![Wanted::on_disk(path.clone())],
            Location::Git { revision, path } => self.files_in_git(revision, path),
        }
    }

    fn files_in_git(&mut self, revision: &str, path: &str) -> Vec<Wanted> {
        let name = format!("git:{revision}:{path}");
        let listed = Revision::open(revision).and_then(|open| {
            let top = open.from_top(path);
            let files = if open.is_directory(&top)? { open.search(&top)? } else { vec![top] };
            Ok((open, files))
        });
        match listed {
            Err(fault) => {
                self.cannot_search(&name, &fault);
                Vec::new()
            }
            Ok((_, files)) if files.is_empty() => {
                self.nothing_in(&name);
                Vec::new()
            }
            Ok((open, files)) => {
                let open = std::sync::Arc::new(open);
                let wanted =
                    |path: PathBuf| Wanted { name: format!("git:{revision}:{}", path.display()), path, from: From::Git(open.clone()) };
                files.into_iter().map(wanted).collect()
            }
        }
    }

    fn cannot_search(&mut self, name: &str, fault: &world::ReadFault) {
        let message = format!("`{name}` cannot be read: {}", fault.message);
        self.findings.push(Finding::error(UNREADABLE, PolicyPath::top(), message).at(nowhere(name)).hint(fault.hint.clone()));
    }

    fn nothing_in(&mut self, name: &str) {
        let finding = Finding::error(NO_POLICY, PolicyPath::top(), format!("there is no policy in `{name}`"))
            .at(nowhere(name))
            .hint("Policies are files named `*.yaml` or `*.yml`; hidden ones are passed over.");
        self.findings.push(finding);
    }

    /// A policy's name is how a fleet knows it: alerts, catalogs and reports would take two for one.
    fn same_names(&mut self) {
        let mut first: HashMap<String, usize> = HashMap::new();
        for at in 0..self.policies.len() {
            let document = &self.policies[at].document;
            let Some(name) = document.file.as_ref().and_then(|file| file.policy.as_ref()).map(ToString::to_string) else { continue };
            if document.is_abstract {
                continue;
            }
            let Some(&earlier) = first.get(&name) else {
                first.insert(name, at);
                continue;
            };
            let other = &self.policies[earlier].document;
            let path = PolicyPath::from(["policy"]);
            let message = format!("`{name}` is also the name of the policy in `{}`", other.source.name);
            let mut finding = Finding::error(SAME_NAME, path.clone(), message)
                .label("expected a name of its own")
                .hint("Give each policy its own name: alerts and reports tell policies apart by it.")
                .related(path.clone(), "the other one");
            finding.related[0].place = other.name_place.clone();
            finding.place = document.name_place.clone();
            let policy = &mut self.policies[at];
            policy.findings.push(finding);
            policy.findings = sorted(std::mem::take(&mut policy.findings));
        }
    }
}

/// How much was found of each weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
    pub acknowledged: usize,
}

impl Tally {
    pub fn of(findings: &[Finding]) -> Tally {
        let mut tally = Tally::default();
        for finding in findings {
            match (&finding.acknowledged, finding.weight) {
                (Some(_), _) => tally.acknowledged += 1,
                (None, Weight::Error) => tally.errors += 1,
                (None, Weight::Warning) => tally.warnings += 1,
                (None, Weight::Note) => tally.notes += 1,
            }
        }
        tally
    }
}

/// One file that is to be read as a policy.
struct Wanted {
    name: String,
    path: PathBuf,
    from: From,
}

enum From {
    Disk,
    Stdin,
    Git(std::sync::Arc<Revision>),
}

impl Wanted {
    fn on_disk(path: PathBuf) -> Self {
        Wanted { name: path.to_string_lossy().into_owned(), path, from: From::Disk }
    }

    fn read(&self) -> Document {
        let fault = |fault: world::ReadFault| ReadFault { message: fault.message, hint: fault.hint, too_large: fault.too_large };
        let bytes = |path: &Path| match &self.from {
            From::Git(revision) => revision.read(path, MAX_BYTES),
            From::Stdin if path == self.path => files::read_stdin(MAX_BYTES),
            From::Stdin | From::Disk => files::read(path, MAX_BYTES),
        };
        Document::load(&self.name, &self.path, &|path| bytes(path).map_err(fault))
    }
}

/// A place in a text that could not be read.
fn nowhere(name: &str) -> Place {
    Place::new(&Source::new(name, name, String::new()), 0, 0)
}
