use thiserror::Error;

use crate::catalog::CatalogFault;
use crate::execute::extensions::Lacking;
use crate::execute::promote::PromoteFault;
use crate::execute::restore::RestoreFault;
use crate::inventory::Phase;
use crate::postgres;
use crate::site::SiteFault;
use crate::store;

/// Why a drill went no further. The phase it was in is known from its stopwatch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DrillFault {
    pub message: String,
    /// What to do, as a sentence.
    pub hint: String,
    /// The same may pass a little later.
    pub(super) passing: bool,
    /// What a restore says to somebody who restores.
    pub(super) of_a_restore: bool,
}

impl DrillFault {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        DrillFault { message: message.into(), hint: hint.into(), passing: false, of_a_restore: false }
    }

    /// A restore speaks to somebody who restores; here nothing is left that could be gone on with.
    #[must_use]
    pub(super) fn in_a_drill(self, phase: Phase) -> Self {
        let hint = match phase {
            Phase::Files | Phase::Sync => match self.hint.split_once(" Add `--delta`") {
                Some((others, _)) => others.to_owned(),
                None if self.hint.contains("`--delta`") => {
                    "Mend what is named; for the room that a drill needs, `drills.NAME.directory` names another place.".to_owned()
                }
                None => self.hint,
            },
            Phase::Load | Phase::Index if self.hint.contains("--no-owner") => {
                "Let the job dump the roles too (`logical.globals`). A recovery would end here as well.".to_owned()
            }
            Phase::Consistent | Phase::Replay if self.of_a_restore => {
                "A recovery to this moment would end here too. `--store NAME` tries another copy of the log, and \
                                                  `--keep` leaves the copy and its log to be looked at."
                    .to_owned()
            }
            _ => self.hint,
        };
        DrillFault { hint, ..self }
    }
}

impl From<PromoteFault> for DrillFault {
    fn from(fault: PromoteFault) -> Self {
        DrillFault::new(fault.message, fault.hint)
    }
}

impl From<RestoreFault> for DrillFault {
    fn from(fault: RestoreFault) -> Self {
        DrillFault { of_a_restore: true, ..DrillFault::new(fault.message, fault.hint) }
    }
}

impl From<Lacking> for DrillFault {
    fn from(lacking: Lacking) -> Self {
        DrillFault::new(lacking.message, format!("{} A recovery would need the same.", lacking.hint))
    }
}

impl From<SiteFault> for DrillFault {
    fn from(fault: SiteFault) -> Self {
        DrillFault::new(fault.message, fault.hint)
    }
}

impl From<store::Fault> for DrillFault {
    fn from(fault: store::Fault) -> Self {
        DrillFault::new(fault.message, fault.hint)
    }
}

impl From<postgres::Fault> for DrillFault {
    fn from(fault: postgres::Fault) -> Self {
        DrillFault::new(fault.message, fault.hint)
    }
}

impl From<CatalogFault> for DrillFault {
    fn from(fault: CatalogFault) -> Self {
        DrillFault::new(fault.message, fault.hint)
    }
}
