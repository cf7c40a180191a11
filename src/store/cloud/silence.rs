//! What did not answer, remembered for as long as somebody looks around: the next one to ask there need not wait for the same silence.
//!
//! Nothing else is remembered: not what lies there, not that something is missing or not allowed, and nothing once somebody else was answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::failure::Failure;
use crate::store::Place;

/// The places of one look. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct Silences(Arc<Mutex<HashMap<Place, Arc<Silence>>>>);

/// One place, whoever asks there.
#[derive(Debug, Default)]
pub(in crate::store) struct Silence(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    answered: Option<Instant>,
    silent: Option<Failure>,
}

impl Silences {
    pub(in crate::store) fn of(&self, place: &Place) -> Arc<Silence> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(place.door()).or_default().clone()
    }
}

impl Silence {
    /// What it failed with the last time, where it has said nothing since.
    pub(super) fn known(&self) -> Option<Failure> {
        self.with(|known| known.silent.clone())
    }

    pub(super) fn answered(&self) {
        self.with(|known| *known = Known { answered: Some(Instant::now()), silent: None });
    }

    /// Somebody has asked since then, and was not answered. It is silent only when nobody else was either.
    pub(super) fn gave_up(&self, since: Instant, failure: &Failure) {
        self.with(|known| {
            if failure.is_transient() && known.answered.is_none_or(|answered| answered < since) {
                known.silent = Some(failure.clone());
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FaultKind;

    fn bucket(name: &str, prefix: &str) -> Place {
        Place::Gcs { bucket: name.into(), prefix: Some(prefix.into()), endpoint: None, storage_class: None }
    }

    fn failure(kind: FaultKind) -> Failure {
        Failure::new(kind, "no answer within 30 s", "")
    }

    #[test]
    fn one_bucket_is_one_place_whatever_its_prefix() {
        let all = Silences::default();
        let (one, other, elsewhere) = (all.of(&bucket("b", "one")), all.of(&bucket("b", "other")), all.of(&bucket("c", "one")));
        one.gave_up(Instant::now(), &failure(FaultKind::Transient));
        assert_eq!(other.known().map(|failure| failure.said), Some("no answer within 30 s".to_owned()));
        assert!(elsewhere.known().is_none());
        assert!(Silences::default().of(&bucket("b", "one")).known().is_none(), "another look asks anew");
    }

    #[test]
    fn what_has_answered_meanwhile_is_not_silent() {
        let place = Silence::default();
        let since = Instant::now();
        place.answered();
        place.gave_up(since, &failure(FaultKind::Transient));
        assert!(place.known().is_none());
        place.gave_up(Instant::now(), &failure(FaultKind::Transient));
        assert!(place.known().is_some());
        place.answered();
        assert!(place.known().is_none());
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let place = Silence::default();
        for kind in [FaultKind::Denied, FaultKind::Absent, FaultKind::NoStore, FaultKind::Config] {
            place.gave_up(Instant::now(), &failure(kind));
        }
        assert!(place.known().is_none());
    }
}
