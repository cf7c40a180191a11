//! One policy as it was read: its file, the files it extends, the merged tree, and every finding about their form.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::check::check;
use super::decode::decode;
use super::file::PolicyFile;
use super::finding::{Code, Finding, Focus, Related};
use super::path::{PolicyPath, Step};
use super::shape::{ShapeId, Shapes};
use super::source::{Place, Source};
use super::yaml::{self, Entry, Node, Value};
use crate::units::{Name, hex};

const UNREADABLE: Code = Code(1);
const TOO_LARGE: Code = Code(2);
const NOT_UTF8: Code = Code(3);
const NO_BASE: Code = Code(20);
const CIRCULAR: Code = Code(21);
const TOO_FAR: Code = Code(22);
const SECTION_MISSING: Code = Code(204);
/// How many files may extend one another in a row.
const MAX_BASES: usize = 8;
/// How large the template of a message may be.
const MAX_TEMPLATE: usize = 64 << 10;

/// Why a file could not be read.
#[derive(Debug, Clone)]
pub struct ReadFault {
    pub message: String,
    pub hint: String,
    /// It was not read because it is too large.
    pub too_large: bool,
}

/// Reads the bytes of a file. The core asks; the shell answers.
pub type Files<'f> = dyn Fn(&Path) -> Result<Vec<u8>, ReadFault> + 'f;

/// Templates of messages by receiver, each as it was read or why it could not be. The policy stands without them: a message that cannot
/// have its own words is sent in ours.
pub type Templates = BTreeMap<Name, Result<Arc<Source>, ReadFault>>;

/// One policy as it was read.
#[derive(Debug)]
pub struct Document {
    /// The file that was asked for.
    pub source: Arc<Source>,
    /// Everything that was read for it, the file itself first.
    pub sources: Vec<Arc<Source>>,
    /// The merged tree with everything that stands in the files, also what is wrong.
    tree: Option<Node>,
    /// What is left of it after the check.
    pub checked: Option<Node>,
    pub file: Option<Arc<PolicyFile>>,
    /// Where the policy's name stands.
    pub name_place: Option<Place>,
    pub findings: Vec<Finding>,
    /// What the check has cut out.
    pub cut: Vec<PolicyPath>,
    pub is_abstract: bool,
    /// What it extends could not be read.
    pub is_partial: bool,
    /// What `receivers.NAME.template` names.
    pub templates: Templates,
    /// SHA-256 over all that was read but the templates, for plans to name what they were made from.
    pub digest: String,
}

impl Document {
    /// Reads a policy and whatever it extends.
    pub fn load(name: &str, path: &Path, files: &Files<'_>) -> Document {
        let mut loading = Loading { files, findings: Vec::new(), sources: Vec::new(), visited: Vec::new() };
        let (source, tree) = loading.chain(name, path, None);
        let Loading { mut findings, sources, .. } = loading;
        let is_abstract = tree
            .as_ref()
            .and_then(|tree| own(tree, "abstract", &source))
            .is_some_and(|node| matches!(&node.value, Value::Scalar(scalar) if scalar.text == "true"));
        let mut document = Document {
            digest: digest(&sources),
            source,
            sources,
            tree: None,
            checked: None,
            file: None,
            name_place: None,
            findings: Vec::new(),
            cut: Vec::new(),
            is_abstract,
            is_partial: findings.iter().any(|finding| matches!(finding.code, NO_BASE | CIRCULAR | TOO_FAR)),
            templates: Templates::new(),
        };
        if let Some(mut tree) = tree {
            if !is_abstract && let Value::Map(entries) = &mut tree.value {
                // Being abstract is not inherited.
                entries.retain(|entry| entry.key != "abstract" || Arc::ptr_eq(&entry.key_place.source, &document.source));
            }
            document.tree = Some(tree.clone());
            if matches!(tree.value, Value::Map(_)) {
                let checked = check(tree, is_abstract || document.is_partial);
                findings.extend(checked.findings);
                document.cut = checked.cut;
                document.checked = checked.node;
            } else {
                let hint = "Begin with `version: 1` and `policy: NAME`; the README shows a small one.";
                findings.push(
                    Finding::error(Code(102), PolicyPath::top(), format!("{} cannot be a policy", tree.kind()))
                        .at(tree.place.clone())
                        .label("expected a map")
                        .hint(hint),
                );
            }
        }
        if let Some(node) = &document.checked {
            match decode::<PolicyFile>(node) {
                Ok(file) => document.file = Some(Arc::new(file)),
                // What others are to bring may be missing.
                Err(_) if is_abstract || document.is_partial => {}
                // Not the reader's fault: the checker let something pass that the types refuse.
                Err(fault) => findings.push(
                    Finding::error(Code(199), PolicyPath::top(), format!("this policy passed the checks and could not be read: {fault}"))
                        .hint("This is a fault of seawall; please report it with the policy."),
                ),
            }
        }
        if !is_abstract
            && !document.is_partial
            && document.file.as_ref().is_some_and(|file| file.policy.is_none())
            && !document.cut.contains(&PolicyPath::from(["policy"]))
        {
            findings.push(
                Finding::error(SECTION_MISSING, PolicyPath::top(), "the policy has no name")
                    .hint("Add `policy: NAME`, or `abstract: true` if this file is only there for others to extend."),
            );
        }
        for finding in &mut findings {
            document.locate(finding);
        }
        document.name_place = document.place_of(&PolicyPath::from(["policy"]), Focus::Value);
        document.findings = findings;
        document.templates = document.read_templates(files);
        document
    }

    /// Each template relative to the file that names it.
    fn read_templates(&self, files: &Files<'_>) -> Templates {
        let named = self.file.iter().flat_map(|file| &file.receivers);
        let named = named.filter_map(|(name, receiver)| Some((name, receiver.template.as_ref()?)));
        let read = |name: &Name, reference: &str| {
            let written = self.place_of(&PolicyPath::from(["receivers", name.as_str(), "template"]), Focus::Value);
            let source = written.as_ref().map_or(&self.source, |place| &place.source);
            let (shown, path) = beside(source, reference);
            let bytes = files(&path)?;
            let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
            match text {
                Some(text) if text.len() <= MAX_TEMPLATE => Ok(Source::new(&shown, &path, text)),
                Some(_) => Err(ReadFault {
                    message: format!("it is larger than {} KiB", MAX_TEMPLATE >> 10),
                    hint: "A message is a page at most; is this the right file?".into(),
                    too_large: true,
                }),
                None => Err(ReadFault {
                    message: "it is not text in UTF-8".into(),
                    hint: "Save it as UTF-8; is this the right file?".into(),
                    too_large: false,
                }),
            }
        };
        named.map(|(name, reference)| (name.clone(), read(name, reference))).collect()
    }

    /// Lets go of the trees, which are by far the largest part: from here on only the places already found are known.
    pub fn forget_trees(&mut self) {
        self.tree = None;
        self.checked = None;
    }

    /// What people call this policy.
    pub fn name(&self) -> String {
        self.file.as_ref().and_then(|file| file.policy.as_ref()).map_or_else(|| self.source.name.clone(), ToString::to_string)
    }

    pub fn is_sound(&self) -> bool {
        (self.file.is_some() || self.is_abstract) && !self.findings.iter().any(Finding::is_blocking)
    }

    /// Gives a finding and what is related to it their places in the text.
    pub fn locate(&self, finding: &mut Finding) {
        if finding.place.is_none() {
            finding.place = self.place_of(&finding.path, finding.focus);
            if let (Some(place), Some(part)) = (&mut finding.place, &finding.within) {
                narrow(place, part);
            }
        }
        for related in &mut finding.related {
            if related.place.is_none() {
                related.place = self.place_of(&related.path, Focus::Value);
            }
        }
        let inherited = finding.place.as_ref().is_some_and(|place| !Arc::ptr_eq(&place.source, &self.source));
        if inherited
            && let Some(place) = self.tree.as_ref().and_then(|tree| own(tree, "extends", &self.source)).map(|node| node.place.clone())
            && !finding.related.iter().any(|related| related.place.as_ref() == Some(&place))
        {
            finding.related.push(Related { path: PolicyPath::from(["extends"]), place: Some(place), message: "inherited here".into() });
        }
    }

    /// Where the value, or the nearest one around it that is written down, stands.
    pub fn place_of(&self, path: &PolicyPath, focus: Focus) -> Option<Place> {
        let mut node = self.tree.as_ref()?;
        let mut key_place: Option<&Place> = None;
        for (depth, step) in path.steps().iter().enumerate() {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Map(_)) => node.get(key).map(|entry| (Some(&entry.key_place), &entry.node)),
                (Step::Item(index), Value::List(items)) => items.get(*index).map(|item| (None, item)),
                _ => None,
            };
            match next {
                Some((key, below)) => (key_place, node) = (key, below),
                // The value itself is not there: its nearest enclosing key is.
                None => {
                    return key_place.cloned().or_else(|| (depth == 0).then(|| self.head())).or_else(|| Some(node.place.clone()));
                }
            }
        }
        let spread = matches!(node.value, Value::Map(_) | Value::List(_) | Value::Null);
        match key_place {
            Some(key) if focus == Focus::Key || spread => Some(key.clone()),
            _ if path.is_top() => Some(self.head()),
            _ => Some(node.place.clone()),
        }
    }

    /// What stands for the policy as a whole: the key with its name, or else the first key of the file.
    fn head(&self) -> Place {
        let own = |entry: &&Entry| Arc::ptr_eq(&entry.key_place.source, &self.source);
        let entries = self.tree.as_ref().map(Node::entries).unwrap_or_default();
        let named = entries.iter().filter(own).find(|entry| entry.key == "policy");
        let first = || entries.iter().filter(own).min_by_key(|entry| entry.key_place.start);
        named.or_else(first).map_or_else(|| Place::new(&self.source, 0, 0), |entry| entry.key_place.clone())
    }

    /// The merged tree as it stands in the files.
    pub fn tree(&self) -> Option<&Node> {
        self.tree.as_ref()
    }
}

/// Narrows a value's place to a part of it, where the text stands as it is meant: on one line, without escapes.
fn narrow(place: &mut Place, part: &std::ops::Range<usize>) {
    let text = place.text();
    let quote = usize::from(text.starts_with(['"', '\'']));
    if text.contains(['\n', '\\']) || part.end + 2 * quote > text.len() {
        return;
    }
    let end = (part.end.max(part.start + 1)).min(text.len() - 2 * quote);
    *place = Place::new(&place.source, place.start + quote + part.start.min(end), place.start + quote + end);
}

/// The value of a top-level key that the file itself writes, not one it inherits.
fn own<'t>(tree: &'t Node, key: &str, source: &Arc<Source>) -> Option<&'t Node> {
    tree.get(key).filter(|entry| Arc::ptr_eq(&entry.key_place.source, source)).map(|entry| &entry.node)
}

fn digest(sources: &[Arc<Source>]) -> String {
    let mut hasher = Sha256::new();
    for source in sources {
        hasher.update((source.text.len() as u64).to_be_bytes());
        hasher.update(source.text.as_bytes());
    }
    let hex = hex(&hasher.finalize());
    format!("sha256:{hex}")
}

/// A file that another one names: as the reader would type it from where they stand, and where it is. What stands before the path, such
/// as a revision, stays.
fn beside(source: &Source, reference: &str) -> (String, PathBuf) {
    let path = normal(&source.directory().join(reference));
    let whole = source.path.to_string_lossy();
    let before = source.name.strip_suffix(whole.as_ref()).unwrap_or_default();
    (format!("{before}{}", path.to_string_lossy()), path)
}

struct Loading<'f> {
    files: &'f Files<'f>,
    findings: Vec<Finding>,
    sources: Vec<Arc<Source>>,
    visited: Vec<PathBuf>,
}

impl Loading<'_> {
    /// The tree of one file, merged over the tree of what it extends.
    fn chain(&mut self, name: &str, path: &Path, referrer: Option<&Place>) -> (Arc<Source>, Option<Node>) {
        let (source, readable) = self.read(name, path, referrer);
        if !readable {
            return (source, None);
        }
        self.visited.push(normal(path));
        self.sources.push(source.clone());
        let (tree, findings) = yaml::parse(&source);
        self.findings.extend(findings);
        let Some(tree) = tree else { return (source, None) };
        let base = match tree.get("extends").map(|entry| &entry.node) {
            Some(Node { value: Value::Scalar(scalar), place }) => self.base(&scalar.text.clone(), &source, &place.clone()),
            _ => None,
        };
        let tree = match base {
            Some(base) => {
                let shapes = Shapes::of_policy();
                merge(base, tree, Some(shapes.root), shapes)
            }
            None => tree,
        };
        (source, Some(tree))
    }

    fn base(&mut self, reference: &str, source: &Arc<Source>, place: &Place) -> Option<Node> {
        let path = normal(&source.directory().join(reference));
        if self.visited.contains(&path) {
            self.findings.push(
                Finding::error(CIRCULAR, PolicyPath::from(["extends"]), format!("`{reference}` extends this file in turn"))
                    .at(place.clone())
                    .label("the circle closes here")
                    .hint("Take one of the `extends` out."),
            );
            return None;
        }
        if self.visited.len() >= MAX_BASES {
            self.findings.push(
                Finding::error(TOO_FAR, PolicyPath::from(["extends"]), format!("more than {MAX_BASES} files extend one another"))
                    .at(place.clone())
                    .hint("Bring some of them together: nobody can review that."),
            );
            return None;
        }
        let (name, path) = beside(source, reference);
        self.chain(&name, &path, Some(place)).1.filter(|node| matches!(node.value, Value::Map(_)))
    }

    fn read(&mut self, name: &str, path: &Path, referrer: Option<&Place>) -> (Arc<Source>, bool) {
        let blank = || Source::new(name, path, String::new());
        let bytes = match (self.files)(path) {
            Ok(bytes) if bytes.len() > yaml::MAX_BYTES => Err(ReadFault {
                message: format!("the file is larger than {} KiB", yaml::MAX_BYTES / 1024),
                hint: "A policy is a few hundred lines; is this the right file?".into(),
                too_large: true,
            }),
            other => other,
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(fault) => {
                let code = match (fault.too_large, referrer) {
                    (true, _) => TOO_LARGE,
                    (false, Some(_)) => NO_BASE,
                    (false, None) => UNREADABLE,
                };
                let source = blank();
                let message = if referrer.is_some() { format!("`{name}` cannot be read: {}", fault.message) } else { fault.message };
                let place = referrer.cloned().unwrap_or_else(|| Place::new(&source, 0, 0));
                self.findings.push(Finding::error(code, PolicyPath::top(), message).at(place).hint(fault.hint));
                return (source, false);
            }
        };
        // A byte of zero is UTF-8, and never text.
        let zero = bytes.iter().position(|byte| *byte == 0);
        match String::from_utf8(bytes) {
            Ok(text) if zero.is_some() => {
                let at = zero.unwrap_or_default();
                let hint = if text.as_bytes().iter().skip(1).step_by(2).take(100).all(|byte| *byte == 0) {
                    "It looks like UTF-16; save it as UTF-8."
                } else {
                    "Is this the right file?"
                };
                let source = Source::new(name, path, text);
                let place = Place::new(&source, at, at);
                self.findings.push(Finding::error(NOT_UTF8, PolicyPath::top(), "this is not a text file").at(place).hint(hint));
                (source, false)
            }
            Ok(text) => (Source::new(name, path, text), true),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                let binary = bytes.contains(&0);
                let source = Source::new(name, path, String::from_utf8_lossy(&bytes[..valid]).into_owned());
                let message = if binary { "this is not a text file" } else { "this is not UTF-8 text" };
                let hint = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                    "It looks like UTF-16; save it as UTF-8."
                } else {
                    "Save it as UTF-8."
                };
                self.findings.push(Finding::error(NOT_UTF8, PolicyPath::top(), message).at(Place::new(&source, valid, valid)).hint(hint));
                (source, false)
            }
        }
    }
}

/// The path without `.` and `..`, as far as that is possible without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// `over` on top of `base`: maps merge key by key, lists and single values replace. Of keys of which exactly one may stand,
/// the one in `over` replaces the one in `base`.
fn merge(base: Node, over: Node, shape: Option<ShapeId>, shapes: &'static Shapes) -> Node {
    let map = shape.and_then(|id| shapes.get(id).map.as_ref());
    match (base.value, over.value) {
        (Value::Map(inherited), Value::Map(own)) => {
            let replaces = |entry: &Entry| {
                map.is_some_and(|map| {
                    map.one_of.contains(&entry.key) && own.iter().any(|mine| mine.key != entry.key && map.one_of.contains(&mine.key))
                })
            };
            let schedule = map.is_some_and(|map| map.fields.contains_key("cron") && map.fields.contains_key("every"));
            let mut merged: Vec<Entry> = Vec::new();
            if !schedule {
                merged.extend(inherited.into_iter().filter(|entry| !replaces(entry)));
            } else {
                // A schedule is one thought: half of an inherited one would be a surprise. Only its time zone goes on.
                merged.extend(inherited.into_iter().filter(|entry| entry.key == "timezone"));
            }
            for entry in own {
                let below = map.and_then(|map| map.fields.get(&entry.key).map(|field| field.shape).or(map.rest));
                match merged.iter().position(|known| known.key == entry.key) {
                    Some(at) => {
                        let known = merged.remove(at);
                        let node = merge(known.node, entry.node, below, shapes);
                        merged.insert(at, Entry { node, ..entry });
                    }
                    None => merged.push(entry),
                }
            }
            Node { value: Value::Map(merged), place: over.place }
        }
        (_, value) => Node { value, place: over.place },
    }
}
