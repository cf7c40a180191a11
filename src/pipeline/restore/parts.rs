use std::collections::HashMap;

use super::PipelineFault;
use crate::format::descriptor::{Descriptor, Object, ObjectKind};
use crate::format::index::Elsewhere;
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::pipeline::backup::part_number;
use crate::pipeline::{Checked, RangedObject};
use crate::store::Store;
use crate::units::{BackupId, Key};

/// Where a backup's files come from.
#[derive(Debug)]
pub struct Source<'s> {
    pub store: &'s Store,
    pub identities: &'s Identities,
    pub parts: Vec<PartSource>,
    /// The parts of what an increment builds on.
    pub others: HashMap<BackupId, Vec<PartSource>>,
}

/// A part and what says what lies where in it.
#[derive(Debug, Clone)]
pub struct PartSource {
    pub part: Key,
    pub part_size: u64,
    pub index: Key,
    pub index_size: u64,
    /// Of the index as it lies in the store.
    pub index_sha256: String,
}

impl<'s> Source<'s> {
    /// All parts that a descriptor names. The descriptor's signature was checked before.
    pub fn of(
        store: &'s Store,
        repository: &Repository,
        descriptor: &Descriptor,
        identities: &'s Identities,
    ) -> Result<Source<'s>, PipelineFault> {
        Ok(Source { store, identities, parts: parts(repository, descriptor)?, others: HashMap::new() })
    }

    /// With what it builds on, so that an increment can be read.
    pub fn upon(self, repository: &Repository, ancestors: &[Descriptor]) -> Result<Source<'s>, PipelineFault> {
        let others = ancestors.iter().map(|descriptor| Ok((descriptor.id.clone(), parts(repository, descriptor)?)));
        Ok(Source { others: others.collect::<Result<_, PipelineFault>>()?, ..self })
    }

    /// The part that has a frame of an earlier backup.
    pub(super) fn elsewhere(&self, lies: &Elsewhere) -> Result<&PartSource, PipelineFault> {
        let parts = self.others.get(&lies.backup).map(Vec::as_slice).unwrap_or_default();
        parts.iter().find(|part| part_number(part.part.file_name()) == Some(lies.part)).ok_or_else(|| {
            let what = "the index has files in it, and the backup does not build on any such part".to_owned();
            PipelineFault::Damaged { key: format!("part {} of backup {}", lies.part, lies.backup), what }
        })
    }
}

fn parts(repository: &Repository, descriptor: &Descriptor) -> Result<Vec<PartSource>, PipelineFault> {
    let key = |object: &Object| object_key(repository, descriptor, object);
    let stem = |object: &Object| object.name.split('.').next().unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    for part in descriptor.objects_of(ObjectKind::Part) {
        let index = descriptor
            .objects_of(ObjectKind::Index)
            .find(|index| stem(index) == stem(part))
            .ok_or_else(|| PipelineFault::Damaged { key: part.name.clone(), what: "the descriptor names no index for it".into() })?;
        parts.push(PartSource {
            part: key(part)?,
            part_size: part.size,
            index: key(index)?,
            index_size: index.size,
            index_sha256: index.sha256.clone(),
        });
    }
    Ok(parts)
}

/// Where an object of a backup lies. A descriptor is signed, but a name is still only believed when it can be one.
pub fn object_key(repository: &Repository, descriptor: &Descriptor, object: &Object) -> Result<Key, PipelineFault> {
    let key = Key::new(format!("{repository}/data/{}/{}", descriptor.id, object.name));
    key.map_err(|error| PipelineFault::Damaged { key: descriptor.id.to_string(), what: error.to_string() })
}

impl PartSource {
    pub(super) fn open(&self, source: &Source<'_>) -> Result<RangedObject, PipelineFault> {
        RangedObject::open(source.store, &self.part, self.part_size, source.identities)
    }

    pub(in crate::pipeline) fn open_index(&self, source: &Source<'_>) -> Result<Checked, PipelineFault> {
        Checked::open(source.store, &self.index, self.index_size, &self.index_sha256, source.identities)
    }
}
