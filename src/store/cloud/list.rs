//! Listing, page by page, in the byte order of whole names: that of the services themselves.

use std::ops::ControlFlow;
use std::sync::Arc;

use object_store::list::{PaginatedListOptions, PaginatedListResult};

use super::failure::Failure;
use super::wire::{self, Heard};
use super::{Cloud, Doing, meta, runtime};
use crate::store::{Fault, Key, Meta};

const PAGE: usize = 1_000;
const LARGEST_FOLDERS: usize = 1_000_000;

impl Cloud {
    pub(super) async fn page(
        &self,
        prefix: &str,
        token: Option<String>,
        after: Option<String>,
        most: Option<usize>,
        folders: bool,
    ) -> Result<PaginatedListResult, Failure> {
        let attempt = || {
            let options = PaginatedListOptions {
                offset: after.clone().filter(|_| token.is_none()),
                delimiter: folders.then(|| "/".into()),
                max_keys: most,
                page_token: token.clone(),
                ..PaginatedListOptions::default()
            };
            self.client.pages().list_paginated(Some(prefix).filter(|prefix| !prefix.is_empty()), options)
        };
        self.patiently(self.silence(), attempt).await
    }

    fn below(&self, prefix: &str) -> String {
        let prefix = prefix.trim_matches('/');
        if prefix.is_empty() { self.prefix.clone() } else { format!("{}{prefix}/", self.prefix) }
    }

    /// Asks for a page on the event loop; the caller's thread looks at it.
    fn one_page(
        self: &Arc<Self>,
        below: &str,
        token: Option<String>,
        after: Option<String>,
        folders: bool,
    ) -> Result<PaginatedListResult, Fault> {
        let (this, below) = (self.clone(), below.to_owned());
        runtime::wait(async move {
            let page = this.page(&below, token, after, Some(PAGE), folders).await;
            page.map_err(|failure| this.fault(&failure, Doing::Listing, if below.is_empty() { "everything" } else { &below }))
        })
    }

    pub(in crate::store) fn list_after(
        self: &Arc<Self>,
        prefix: &str,
        after: Option<&Key>,
        each: &mut dyn FnMut(Meta) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let below = self.below(prefix);
        // Servers that imitate a service may keep their names in folders, and list them in the folders' order.
        let listed = if self.client.is_custom() { self.by_folders(&below, after, each) } else { self.by_pages(&below, after, each) };
        listed.map(drop)
    }

    /// Hands over one page. Other people's names in our bucket are none of our objects.
    fn objects<'p>(&'p self, page: &'p PaginatedListResult) -> impl Iterator<Item = Meta> + 'p {
        let listed = page.result.extensions.get::<Heard>().and_then(|heard| heard.listed.clone()).unwrap_or_default();
        page.result.objects.iter().filter_map(move |object| {
            let name = object.location.as_ref();
            if object.size == 0 && listed.folders.contains(name) {
                return None;
            }
            let key = Key::new(name.strip_prefix(&self.prefix)?).ok()?;
            let said = listed.classes.get(name).map(String::as_str);
            Some(Meta { class: self.class_of(said), frozen: said.is_some_and(wire::is_frozen), ..meta(key, object) })
        })
    }

    fn by_pages(
        self: &Arc<Self>,
        below: &str,
        after: Option<&Key>,
        each: &mut dyn FnMut(Meta) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Fault> {
        let mut token = None;
        loop {
            let from = after.map(|key| format!("{}{key}", self.prefix));
            let page = self.one_page(below, token.take(), from, false)?;
            // Azure begins with the one it was told to begin after.
            for meta in self.objects(&page).filter(|meta| after.is_none_or(|after| meta.key > *after)) {
                if each(meta).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            match page.page_token {
                Some(next) => token = Some(next),
                None => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    /// Folder by folder, one level in memory at a time, as in a directory.
    fn by_folders(
        self: &Arc<Self>,
        below: &str,
        after: Option<&Key>,
        each: &mut dyn FnMut(Meta) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Fault> {
        for entry in self.level(below, after)? {
            let flow = match entry {
                Entry::Object(meta) => each(meta),
                Entry::Folder(name) => self.by_folders(&name, after, each)?,
            };
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What lies directly in a folder, in the order of the whole names below it.
    fn level(self: &Arc<Self>, below: &str, after: Option<&Key>) -> Result<Vec<Entry>, Fault> {
        let mut entries = Vec::new();
        let mut token = None;
        loop {
            let page = self.one_page(below, token.take(), None, true)?;
            let objects = self.objects(&page).filter(|meta| after.is_none_or(|after| meta.key > *after));
            entries.extend(objects.map(Entry::Object));
            let folders = page.result.common_prefixes.iter().map(|path| format!("{path}/"));
            entries.extend(folders.filter(|folder| self.may_lie_after(folder, after)).map(Entry::Folder));
            match page.page_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        entries.sort_unstable_by(|one, other| one.name(&self.prefix).cmp(other.name(&self.prefix)));
        entries.dedup_by(|one, other| one.name(&self.prefix) == other.name(&self.prefix));
        Ok(entries)
    }

    /// A folder that lies before the start as a whole need not be read.
    fn may_lie_after(&self, folder: &str, after: Option<&Key>) -> bool {
        let name = folder.strip_prefix(&self.prefix).unwrap_or(folder);
        after.is_none_or(|after| name > after.as_str() || after.as_str().starts_with(name))
    }

    pub(in crate::store) fn folders(self: &Arc<Self>, prefix: &str) -> Result<Vec<String>, Fault> {
        let below = self.below(prefix);
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let page = self.one_page(&below, token.take(), None, true)?;
            let folders = page.result.common_prefixes.iter().filter_map(|path| path.as_ref().strip_prefix(below.as_str()));
            names.extend(folders.map(|name| name.trim_matches('/').to_owned()).filter(|name| Key::new(name.clone()).is_ok()));
            match page.page_token {
                Some(next) if names.len() < LARGEST_FOLDERS => token = Some(next),
                _ => break,
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

enum Entry {
    Object(Meta),
    /// The whole name, with the store's prefix, and a `/` at its end.
    Folder(String),
}

impl Entry {
    fn name<'e>(&'e self, prefix: &str) -> &'e str {
        match self {
            Entry::Object(meta) => meta.key.as_str(),
            Entry::Folder(name) => name.strip_prefix(prefix).unwrap_or(name),
        }
    }
}
