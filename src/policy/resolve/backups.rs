//! Backup jobs, their retention, and the checks of what lies in the stores.

use std::collections::BTreeMap;

use super::{AMBIGUOUS, Resolver, list};
use crate::policy::file::{self, AzureTier, Copies, HostRole, ReadBack, ReadFrom, S3Class, TierName};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Backup, CopyTo, Method, Verify};
use crate::policy::path::PolicyPath;
use crate::policy::{exclude, pattern, sql_name};
use crate::retention::{Keep, Tier, TierClasses, TierKind};
use crate::units::{ClassFamily, DumpSection, Duration, Name};

const WRONG_BASE: Code = Code(207);
const NOTHING_TO_BACK_UP: Code = Code(218);
const BAD_PATTERN: Code = Code(248);
const NOTHING_TO_COMPARE: Code = Code(258);
const WITHOUT_EFFECT: Code = Code(259);
const NEEDS_DIRECTORY: Code = Code(222);
const BAD_SQL_NAME: Code = Code(210);
const NO_STANDBY: Code = Code(226);
const ELSEWHERE: Code = Code(227);
const NO_BACKUPS: Code = Code(204);
const SAME_PLACE: Code = Code(215);
const UNKNOWN_CLASS: Code = Code(237);
const CANNOT_BE_READ_BACK: Code = Code(239);

impl Resolver<'_> {
    pub(super) fn backups(&mut self) -> BTreeMap<Name, Backup> {
        let mut backups = BTreeMap::new();
        for (name, written) in &self.file.backups {
            let path = PolicyPath::from(["backups", name.as_str()]);
            if let Some(backup) = self.backup(written, &path) {
                backups.insert(name.clone(), backup);
            }
        }
        if self.file.backups.is_empty() && self.file.timescaledb.is_empty() && !self.was_cut_within(&["backups"].into()) {
            self.push(
                Finding::warning(NO_BACKUPS, PolicyPath::top(), "the policy takes no backups").hint("Add at least one under `backups`."),
            );
        }
        backups
    }

    fn backup(&mut self, written: &file::Backup, path: &PolicyPath) -> Option<Backup> {
        let method = self.method(written, path)?;
        if let Some(window) = &written.window {
            self.refer(window, &self.file.windows, "windows", &path.key("window"));
        }
        let schedule = written.schedule.as_ref().and_then(|schedule| self.schedule(schedule, &path.key("schedule")));
        let keep = self.keep(written.keep.as_ref(), &path.key("keep"))?;
        let store = self.home(written, &method, path);
        let copies = self.copies(written, store.as_ref(), &keep, &path.key("copies"));
        self.storage_classes(written, store.as_ref(), path);
        let read_back = self.read_back(written, store.as_ref(), path);
        Some(Backup {
            method,
            schedule,
            window: written.window.clone(),
            classes: self.tier_classes(written.keep.as_ref(), store.as_ref()),
            store,
            copies,
            keep,
            read_back,
            takes: written.takes,
            size: written.size,
            timeout: written.timeout,
            size_deviation: written.size_deviation,
        })
    }

    fn method(&mut self, written: &file::Backup, path: &PolicyPath) -> Option<Method> {
        if let Some(physical) = &written.physical {
            self.standby_for(physical.from, &path.key("physical").key("from"));
            return Some(Method::Physical(physical.clone()));
        }
        if let Some(incremental) = &written.incremental {
            let at = path.key("incremental").key("of");
            if !self.refer(&incremental.of, &self.file.backups, "backups", &at) {
                return None;
            }
            let base = self.file.backups.get(&incremental.of);
            if base.is_some_and(|base| base.physical.is_none()) {
                let itself = base.is_some_and(|base| std::ptr::eq(base, written));
                let message = if itself {
                    "an incremental backup cannot build on itself".to_owned()
                } else {
                    format!("`backups.{}` is not a physical backup", incremental.of)
                };
                self.push(
                    Finding::error(WRONG_BASE, at, message).label("must name a full, physical backup job").hint(
                        "Name the job with `physical: {}` that it builds on; `chain` says how many increments may follow one another.",
                    ),
                );
            }
            return Some(Method::Incremental { of: incremental.of.clone(), chain: incremental.chain });
        }
        if let Some(logical) = &written.logical {
            return self.logical(logical, &path.key("logical"));
        }
        if let Some(tables) = &written.tables {
            let path = path.key("tables");
            self.database(tables.database.as_ref(), &path);
            for (index, table) in tables.tables.iter().enumerate() {
                self.sql_name(table, 2, &path.key("tables").item(index));
            }
            return Some(Method::Tables(tables.clone()));
        }
        if let Some(files) = &written.files {
            let path = path.key("files");
            if files.paths.is_empty() && !files.globals && !self.was_cut(&path.key("paths")) {
                self.push(
                    Finding::error(NOTHING_TO_BACK_UP, path.clone(), "this backup would hold nothing")
                        .on_key()
                        .hint("Name `paths`, or `globals: true` for roles and tablespaces."),
                );
            }
            if files.full_every.is_some() && files.paths.is_empty() && !self.was_cut(&path.key("paths")) {
                self.push(
                    Finding::error(NOTHING_TO_COMPARE, path.key("full_every"), "there are no files that increments could be of")
                        .on_key()
                        .hint("Name `paths`, or take it out: roles and tablespaces are dumped whole each time."),
                );
            }
            for (index, each) in files.paths.iter().enumerate() {
                self.absolute(each, &path.key("paths").item(index));
            }
            for (index, pattern) in files.exclude.iter().enumerate() {
                if let Err((_, why)) = exclude::patterns(std::slice::from_ref(pattern)) {
                    let at = path.key("exclude").item(index);
                    self.push(
                        Finding::error(BAD_PATTERN, at, format!("`{pattern}` is no pattern: {why}")).hint("Write it as in .gitignore."),
                    );
                }
            }
            return Some(Method::Files(files.clone()));
        }
        if let Some(provider) = &written.provider {
            return Some(Method::Provider(provider.clone()));
        }
        written.engine.clone().map(Method::Engine)
    }

    fn logical(&mut self, logical: &file::Logical, path: &PolicyPath) -> Option<Method> {
        self.standby_for(logical.from, &path.key("from"));
        let known = self.file.cluster.as_ref().map(|cluster| cluster.databases.clone()).unwrap_or_default();
        match &logical.databases {
            Some(databases) if databases.is_empty() && !self.was_cut_within(&path.key("databases")) => {
                self.push(
                    Finding::error(NOTHING_TO_BACK_UP, path.key("databases"), "this dump would hold nothing")
                        .on_key()
                        .hint("Name a database, or take `databases` out to dump those of the cluster."),
                );
            }
            Some(databases) if !known.is_empty() => {
                for (index, database) in databases.iter().enumerate() {
                    self.refer_to(database, known.iter().map(String::as_str), "cluster.databases", &path.key("databases").item(index));
                }
            }
            None if known.is_empty() && self.file.cluster.is_some() => {
                self.push(
                    Finding::error(NOTHING_TO_BACK_UP, path.clone(), "it is not said which databases are dumped")
                        .on_key()
                        .hint("List them in `cluster.databases`, or here in `databases`."),
                );
            }
            _ => {}
        }
        if let Some(programs) = &logical.programs {
            self.absolute(programs, &path.key("programs"));
        }
        if logical.jobs.is_some_and(|jobs| jobs > 1) && logical.format == Some(file::DumpFormat::Custom) {
            self.push(
                Finding::error(NEEDS_DIRECTORY, path.key("jobs"), "parallel jobs need the directory format")
                    .label("pg_dump refuses this")
                    .hint("Write `format: directory`, or take `jobs` out."),
            );
        }
        self.patterns(logical, path);
        self.sections(logical, path);
        Some(Method::Logical(logical.clone()))
    }

    fn patterns(&mut self, logical: &file::Logical, path: &PolicyPath) {
        let file::Logical { schemas, exclude_schemas, tables, exclude_tables, exclude_table_data, .. } = logical;
        let all = [
            ("schemas", schemas, 1),
            ("exclude_schemas", exclude_schemas, 1),
            ("tables", tables, 2),
            ("exclude_tables", exclude_tables, 2),
            ("exclude_table_data", exclude_table_data, 2),
        ];
        for (key, patterns, parts) in all {
            for (index, text) in patterns.iter().enumerate() {
                if let Some((message, hint)) = pattern::fault(text, parts) {
                    self.push(Finding::error(BAD_PATTERN, path.key(key).item(index), message).hint(hint));
                }
            }
        }
        let of_schemas = [("schemas", schemas), ("exclude_schemas", exclude_schemas)];
        if let Some((key, _)) = of_schemas.into_iter().find(|(_, patterns)| !tables.is_empty() && !patterns.is_empty()) {
            self.push(
                Finding::error(WITHOUT_EFFECT, path.key(key), format!("`{key}` means nothing beside `tables`"))
                    .on_key()
                    .label("pg_dump passes over it")
                    .hint("Write the schema before the table, `sales.*`, or take one of them out."),
            );
        }
        if logical.unmatched.is_some() && schemas.is_empty() && tables.is_empty() {
            self.push(
                Finding::error(
                    WITHOUT_EFFECT,
                    path.key("unmatched"),
                    "there is no pattern of `schemas` or `tables` that could fit nothing",
                )
                .on_key()
                .hint("Take it out: a pattern that leaves things out may always fit nothing, and the run says so."),
            );
        }
    }

    fn sections(&mut self, logical: &file::Logical, path: &PolicyPath) {
        let Some(sections) = &logical.sections else { return };
        if sections.is_empty() && !self.was_cut_within(&path.key("sections")) {
            self.push(
                Finding::error(NOTHING_TO_BACK_UP, path.key("sections"), "this dump would hold nothing")
                    .on_key()
                    .hint("Name `pre-data`, `data` or `post-data`, or take `sections` out to dump all of them."),
            );
        }
        let of_rows = [
            ("jobs", logical.jobs.is_some_and(|jobs| jobs > 1)),
            ("exclude_table_data", !logical.exclude_table_data.is_empty()),
            ("read_limit", logical.read_limit.is_some()),
        ];
        for (key, _) in of_rows.into_iter().filter(|(_, is_there)| *is_there && !sections.is_empty() && !logical.has(DumpSection::Data)) {
            self.push(
                Finding::error(WITHOUT_EFFECT, path.key(key), format!("`{key}` is about rows, and this dump has none"))
                    .on_key()
                    .hint("Take it out, or add `data` to `sections`.")
                    .related(path.key("sections"), "without `data`"),
            );
        }
    }

    fn standby_for(&mut self, from: Option<ReadFrom>, path: &PolicyPath) {
        let hosts = self.file.cluster.as_ref().map(|cluster| &cluster.hosts);
        if from == Some(ReadFrom::Standby) && hosts.is_some_and(|hosts| !hosts.values().any(|host| host.role == HostRole::Standby)) {
            self.push(
                Finding::error(NO_STANDBY, path.clone(), "the policy knows of no standby")
                    .hint("Declare it: `cluster.hosts.NAME: { role: standby }`."),
            );
        }
    }

    /// What is read back: as it says, or what the place makes sensible.
    fn read_back(&mut self, written: &file::Backup, store: Option<&Name>, path: &PolicyPath) -> ReadBack {
        let place = store.and_then(|store| self.file.stores.get(store));
        let is_directory = place.is_some_and(|place| place.local.is_some());
        let wanted = written.read_back.unwrap_or(if is_directory { ReadBack::Contents } else { ReadBack::Sizes });
        let of_s3 = place.and_then(|place| place.s3.as_ref()).and_then(|s3| s3.storage_class);
        let of_azure = place.and_then(|place| place.azure.as_ref()).and_then(|azure| azure.tier);
        let frozen = matches!(of_s3, Some(S3Class::Glacier | S3Class::DeepArchive)) || of_azure == Some(AzureTier::Archive);
        if let (ReadBack::Contents, true, Some(store)) = (wanted, frozen, store) {
            let message = format!("`{store}` keeps what it takes in an archive class, which cannot be read at once");
            self.push(
                Finding::error(CANNOT_BE_READ_BACK, path.key("read_back"), message)
                    .hint("Write `read_back: sizes`, or let the backup go to another store first and be copied to this one."),
            );
        }
        wanted
    }

    /// The store it goes to: the one named, the one its base goes to, or the only one there is.
    fn home(&mut self, written: &file::Backup, method: &Method, path: &PolicyPath) -> Option<Name> {
        let at = path.key("store");
        if !method.is_stored() {
            let keys =
                [("store", written.store.is_some()), ("copies", written.copies.is_some()), ("read_back", written.read_back.is_some())];
            if let Some((key, _)) = keys.into_iter().find(|(_, is_there)| *is_there) {
                self.push(
                    Finding::error(ELSEWHERE, path.key(key), "these backups are kept by somebody else")
                        .on_key()
                        .hint("Take it out: where they lie is said in the other tool."),
                );
            }
            return None;
        }
        if let Some(store) = &written.store {
            return self.refer(store, &self.file.stores, "stores", &at).then(|| store.clone());
        }
        if let Method::Incremental { of, .. } = method
            && let Some(store) = self.file.backups.get(of).and_then(|base| base.store.clone())
        {
            return Some(store);
        }
        let mut stores = self.file.stores.keys();
        match (stores.next(), stores.next()) {
            (Some(only), None) => Some(only.clone()),
            (None, _) => {
                if !self.cut.iter().any(|cut| cut.starts_with(&["stores"].into())) {
                    self.push(
                        Finding::error(AMBIGUOUS, path.clone(), "there is no store it could go to")
                            .on_key()
                            .hint("Declare one under `stores`, for example `stores: { main: { local: { path: /srv/backups } } }`."),
                    );
                }
                None
            }
            _ if self.was_cut(&at) => None,
            _ => {
                let names: Vec<&Name> = self.file.stores.keys().collect();
                self.push(
                    Finding::error(AMBIGUOUS, path.clone(), "it is not said which store it goes to")
                        .on_key()
                        .label("needs `store`")
                        .hint(format!("Add `store:` with one of {}.", list(&names))),
                );
                None
            }
        }
    }

    fn copies(&mut self, written: &file::Backup, store: Option<&Name>, keep: &Keep, path: &PolicyPath) -> Vec<CopyTo> {
        let rules = written.keep.as_ref();
        let mut copies = Vec::new();
        let mut add = |this: &mut Self, copy: CopyTo, at: PolicyPath| {
            if !this.refer(&copy.store, &this.file.stores, "stores", &at) {
                return;
            }
            if Some(&copy.store) == store || copies.iter().any(|known: &CopyTo| known.store == copy.store) {
                this.push(
                    Finding::error(SAME_PLACE, at, format!("`{}` gets these backups already", copy.store))
                        .on_key()
                        .hint("Name another store, or take it out."),
                );
                return;
            }
            copies.push(copy);
        };
        match &written.copies {
            None => {}
            Some(Copies::Names(names)) => {
                for (index, name) in names.iter().enumerate() {
                    let (keep, classes) = (keep.clone(), self.tier_classes(rules, Some(name)));
                    let copy = CopyTo { store: name.clone(), keep, classes, within: Duration::from_hours(1), only: Vec::new() };
                    add(self, copy, path.item(index));
                }
            }
            Some(Copies::Rules(each)) => {
                for (name, rule) in each {
                    let at = path.key(name);
                    let own = match &rule.keep {
                        Some(own) => self.keep(Some(own), &at.key("keep")),
                        None => Some(keep.clone()),
                    };
                    let Some(own) = own else { continue };
                    let classes = self.tier_classes(rule.keep.as_ref().or(rules), Some(name));
                    let only: Vec<TierName> = rule.only.as_ref().map(|only| only.as_slice().to_vec()).unwrap_or_default();
                    add(
                        self,
                        CopyTo { store: name.clone(), keep: own, classes, within: rule.within.unwrap_or(Duration::from_hours(1)), only },
                        at.clone(),
                    );
                }
            }
        }
        copies
    }

    fn keep(&mut self, written: Option<&file::Keep>, path: &PolicyPath) -> Option<Keep> {
        let Some(written) = written else { return Some(Keep::everything(self.zone.time_zone().clone())) };
        let zone = match &written.timezone {
            Some(name) => self.zone_named(name, &path.key("timezone"))?,
            None => self.zone.clone(),
        };
        let tier = |tier: &Option<file::Tier>| {
            tier.as_ref().and_then(|tier| match tier {
                file::Tier::Count(count) => Some(Tier::Count(*count)),
                file::Tier::Age(age) => Some(Tier::For(*age)),
                file::Tier::Detailed(detailed) => detailed.count.map(Tier::Count).or(detailed.r#for.map(Tier::For)),
            })
        };
        let keep = Keep {
            last: written.last,
            within: written.r#for,
            hourly: tier(&written.hourly),
            daily: tier(&written.daily),
            weekly: tier(&written.weekly),
            monthly: tier(&written.monthly),
            quarterly: tier(&written.quarterly),
            yearly: tier(&written.yearly),
            zone: zone.time_zone().clone(),
        };
        if keep.has_no_rule() && !self.cut.iter().any(|cut| cut.starts_with(path)) {
            self.push(
                Finding::error(Code(110), path.clone(), "this keeps nothing")
                    .on_key()
                    .hint("Say how long, for example `keep: { daily: 30 }`, or leave `keep` out to keep everything."),
            );
            return None;
        }
        Some(keep)
    }

    /// A storage class belongs to one kind of store: `GLACIER` means nothing to Azure.
    fn storage_classes(&mut self, written: &file::Backup, store: Option<&Name>, path: &PolicyPath) {
        if let Some(keep) = &written.keep {
            let mut stores: Vec<&Name> = store.into_iter().collect();
            match &written.copies {
                Some(Copies::Names(names)) => stores.extend(names),
                Some(Copies::Rules(rules)) => stores.extend(rules.iter().filter(|(_, rule)| rule.keep.is_none()).map(|(name, _)| name)),
                None => {}
            }
            self.classes_for(keep, &stores, &path.key("keep"));
        }
        if let Some(Copies::Rules(rules)) = &written.copies {
            for (name, rule) in rules {
                if let Some(keep) = &rule.keep {
                    self.classes_for(keep, &[name], &path.key("copies").key(name).key("keep"));
                }
            }
        }
    }

    fn classes_for(&mut self, keep: &file::Keep, stores: &[&Name], path: &PolicyPath) {
        for (tier, class) in classes_in(keep) {
            for store in stores {
                let Some(written) = self.file.stores.get(*store) else { continue };
                let hint = match family(written) {
                    Some(family) if family.class(class).is_some() => continue,
                    Some(family) => {
                        let known: Vec<&str> = family.classes().iter().map(|class| class.as_str()).collect();
                        format!("It knows {}; a copy in a store of another kind needs a `keep` of its own.", list(&known))
                    }
                    None => "A directory has no storage classes: take it out, or give that copy a `keep` of its own.".to_owned(),
                };
                let at = path.key(tier).key("storage_class");
                self.push(
                    Finding::error(UNKNOWN_CLASS, at, format!("`{store}` has no storage class `{}`", crate::units::clipped(class)))
                        .hint(hint),
                );
            }
        }
    }

    /// What a rule says of classes, in the words of the store it applies to. What it cannot mean there was reported.
    fn tier_classes(&self, keep: Option<&file::Keep>, store: Option<&Name>) -> TierClasses {
        let family = store.and_then(|store| self.file.stores.get(store)).and_then(family);
        let (Some(keep), Some(family)) = (keep, family) else { return TierClasses::new() };
        classes_in(keep).filter_map(|(tier, class)| Some((tier, family.class(class)?))).collect()
    }

    pub(super) fn sql_name(&mut self, name: &str, parts: usize, path: &PolicyPath) -> bool {
        let Some((message, hint)) = sql_name::fault(name, parts) else { return true };
        self.push(Finding::error(BAD_SQL_NAME, path.clone(), message).hint(hint));
        false
    }

    pub(super) fn verify(&mut self) -> BTreeMap<Name, Verify> {
        let mut all = BTreeMap::new();
        for (name, written) in &self.file.verify {
            let path = PolicyPath::from(["verify", name.as_str()]);
            for (index, store) in written.stores.iter().flatten().enumerate() {
                self.refer(store, &self.file.stores, "stores", &path.key("stores").item(index));
            }
            for (index, job) in written.backups.iter().flatten().enumerate() {
                self.refer(job, &self.file.backups, "backups", &path.key("backups").item(index));
            }
            if let Some(window) = &written.window {
                self.refer(window, &self.file.windows, "windows", &path.key("window"));
            }
            self.host(written.host.as_ref(), &path.key("host"));
            if let Some(schedule) = self.schedule(&written.schedule, &path.key("schedule")) {
                let verify = Verify {
                    schedule,
                    stores: written.stores.clone().unwrap_or_default(),
                    backups: written.backups.clone().unwrap_or_default(),
                    deep: written.deep,
                    host: written.host.clone(),
                    window: written.window.clone(),
                };
                all.insert(name.clone(), verify);
            }
        }
        all
    }

    pub(super) fn host(&mut self, host: Option<&Name>, path: &PolicyPath) {
        if let Some(host) = host {
            let hosts = self.file.cluster.as_ref().map(|cluster| cluster.hosts.clone()).unwrap_or_default();
            self.refer(host, &hosts, "cluster.hosts", path);
        }
    }
}

fn classes_in(keep: &file::Keep) -> impl Iterator<Item = (TierKind, &str)> {
    let tiers = [&keep.hourly, &keep.daily, &keep.weekly, &keep.monthly, &keep.quarterly, &keep.yearly];
    TierKind::ALL.into_iter().zip(tiers).filter_map(|(kind, tier)| match tier {
        Some(file::Tier::Detailed(tier)) => Some((kind, tier.storage_class.as_deref()?)),
        _ => None,
    })
}

fn family(store: &file::Store) -> Option<ClassFamily> {
    if store.s3.is_some() {
        Some(ClassFamily::S3)
    } else if store.azure.is_some() {
        Some(ClassFamily::Azure)
    } else {
        store.gcs.is_some().then_some(ClassFamily::Gcs)
    }
}
