//! The policies of a folder, as this host puts them to work: each read for itself, so that one that is broken takes no other with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::Trouble;
use super::here::Here;
use super::terminal::{Colour, tame};
use crate::catalog::{Catalog, CatalogFault};
use crate::emit;
use crate::execute::watch::WatchFault;
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::Name;
use crate::world::{ReadFault, files, parallel};

/// A policy of the folder.
#[derive(Debug)]
pub struct Member {
    /// Where it is on this host.
    pub here: Here,
    pub read: Result<Read, Trouble>,
}

/// A policy that can be used, and every file that it was made from.
#[derive(Debug, Clone)]
pub struct Read {
    pub policy: Arc<Policy>,
    pub files: Vec<PathBuf>,
}

impl Member {
    pub fn file(&self) -> String {
        self.here.path().to_string_lossy().into_owned()
    }
}

/// What is in a folder.
#[derive(Debug)]
pub struct Folder {
    /// In the order of their files.
    pub members: Vec<Member>,
    /// Where nothing can be read, or nothing is.
    pub faults: Vec<Trouble>,
}

/// All policies below a folder that are this host's concern. What is broken is everybody's: nobody knows whose it is.
/// What is wrong with it is shown, but for those of which that was told already.
pub fn read(here: &Here, folder: &Path, colour: Colour, told: &BTreeSet<String>) -> Folder {
    let found = files::search(folder);
    let unread = |(place, fault): &(PathBuf, ReadFault)| {
        let message = format!("`{}` cannot be read: {}", tame(&place.to_string_lossy()), fault.message);
        Trouble::failed(message, fault.hint.clone())
    };
    let mut faults: Vec<Trouble> = found.faults.iter().map(unread).collect();
    let read = parallel::map(&found.files, &|file| {
        let here = Here { policy: Some(file.clone()), ..here.clone() };
        let shown = (!told.contains(file.to_string_lossy().as_ref())).then_some(colour);
        let read = here.read_if_complete(shown).map(|read| read.map(|(policy, files)| Read { policy: Arc::new(policy), files }));
        read.transpose().map(|read| Member { here, read })
    });
    let mut all: Vec<Member> = read.into_iter().flatten().collect();
    if all.is_empty() && faults.is_empty() {
        let message = format!("there is no policy in `{}`", tame(&folder.to_string_lossy()));
        faults.push(Trouble::failed(message, "Policies are files named `*.yaml` or `*.yml`; hidden ones are passed over."));
    }
    refuse_same_names(&mut all);
    all.retain(|member| member.read.as_ref().map_or(true, |read| emit::concerns(&read.policy, member.here.site(&read.policy).host())));
    Folder { members: all, faults }
}

/// A policy's name is how its record is found: two of one name would take each other's runs for their own.
fn refuse_same_names(all: &mut [Member]) {
    let mut first: BTreeMap<Name, String> = BTreeMap::new();
    for member in all {
        let Ok(read) = &member.read else { continue };
        let name = read.policy.name.clone();
        let file = member.file();
        let Some(other) = first.get(&name) else {
            first.insert(name, file);
            continue;
        };
        let message = format!("the policy `{}` cannot be used: `{name}` is also the name of the policy in `{}`", tame(&file), tame(other));
        member.read = Err(Trouble::failed(message, "Give each policy its own name: its record is found by it."));
    }
}

/// Each catalog opened once, however many policies share it. One that could not be opened is not tried again for the next policy.
#[derive(Debug, Default)]
pub struct Catalogs(BTreeMap<String, Result<Option<Arc<Catalog>>, CatalogFault>>);

impl Catalogs {
    /// For those who write into it.
    pub fn writable(&mut self, site: &Site<'_>) -> Result<Arc<Catalog>, Trouble> {
        let opened = self.opened(site, |place| Catalog::open(place).map(Some))?;
        opened.ok_or_else(|| Trouble::fault("a catalog that was opened is not there"))
    }

    /// The same, for those who tell people why not.
    pub fn for_watching(&mut self, site: &Site<'_>) -> Result<Arc<Catalog>, WatchFault> {
        let place = site.catalog()?;
        let opened = self.0.entry(place.to_string()).or_insert_with(|| Catalog::open(&place).map(|catalog| Some(Arc::new(catalog))));
        match opened.clone()? {
            Some(catalog) => Ok(catalog),
            None => Ok(Arc::new(Catalog::open(&place)?)),
        }
    }

    /// For those who only read it; none where nothing was recorded yet.
    pub fn existing(&mut self, site: &Site<'_>) -> Result<Option<Arc<Catalog>>, Trouble> {
        self.opened(site, Catalog::open_existing)
    }

    /// Those that could not be opened, and those that were not there, may be tried again.
    pub fn forget_failures(&mut self) {
        self.0.retain(|_, opened| matches!(opened, Ok(Some(_))));
    }

    fn opened(
        &mut self,
        site: &Site<'_>,
        open: impl FnOnce(&crate::catalog::Where) -> Result<Option<Catalog>, CatalogFault>,
    ) -> Result<Option<Arc<Catalog>>, Trouble> {
        let place = site.catalog()?;
        let opened = self.0.entry(place.to_string()).or_insert_with(|| open(&place).map(|catalog| catalog.map(Arc::new)));
        opened.clone().map_err(|fault| Trouble::failed(fault.message, fault.hint))
    }
}
