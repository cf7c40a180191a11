//! Listing, page by page, in the byte order of whole names: that of the services themselves.

use std::ops::ControlFlow;
use std::sync::Arc;

use object_store::list::{PaginatedListOptions, PaginatedListResult};

use super::failure::Failure;
use super::wire::Heard;
use super::{Cloud, Doing, SILENCE, meta, runtime};
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
        self.patiently(SILENCE, attempt).await
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
        let mut token = None;
        loop {
            let from = after.map(|key| format!("{}{key}", self.prefix));
            let page = self.one_page(&below, token.take(), from, false)?;
            let frozen = page.result.extensions.get::<Heard>().and_then(|heard| heard.frozen.clone());
            for object in &page.result.objects {
                let name = object.location.as_ref();
                // Other people's names in our bucket are none of our objects.
                let Some(key) = name.strip_prefix(&self.prefix).and_then(|rest| Key::new(rest).ok()) else { continue };
                // Not every server starts where it was told to.
                if after.is_some_and(|after| key <= *after) {
                    continue;
                }
                let frozen = frozen.as_ref().is_some_and(|frozen| frozen.contains(name));
                if each(Meta { frozen, ..meta(key, object) }).is_break() {
                    return Ok(());
                }
            }
            match page.page_token {
                Some(next) => token = Some(next),
                None => return Ok(()),
            }
        }
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
