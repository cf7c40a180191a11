use super::width;
use crate::format::layout::{Repository, is_part};
use crate::inventory::Backup;
use crate::store::{Fault, Meta, Store};
use crate::units::StorageClass;
use crate::world::parallel;

/// Looks in which storage class the data of these backups lie: for each the warmest, since that is what is still to be moved. Asks for
/// one list a backup, so it is asked only where classes matter.
pub fn storage_classes(store: &Store, repository: &Repository, backups: &mut [Backup], of: &dyn Fn(&Backup) -> bool) -> Result<(), Fault> {
    if store.classes().is_none() {
        return Ok(());
    }
    let mut wanted: Vec<&mut Backup> = backups.iter_mut().filter(|backup| of(backup)).collect();
    let ids: Vec<_> = wanted.iter().map(|backup| backup.id.clone()).collect();
    let looked = parallel::map_with(width(store), &ids, &|id| store.list(&repository.prefix(&format!("data/{id}"))));
    for (backup, objects) in wanted.iter_mut().zip(looked) {
        backup.storage_class = warmest(&objects?);
    }
    Ok(())
}

/// Nothing where one of them lies in a class that is not known here.
fn warmest(objects: &[Meta]) -> Option<StorageClass> {
    let mut parts = objects.iter().filter(|meta| is_part(&meta.key)).map(|meta| meta.class);
    let first = parts.next()??;
    parts.try_fold(first, |warmest, class| class.map(|class| if warmest.is_colder_than(class) { class } else { warmest }))
}
