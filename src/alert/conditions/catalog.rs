//! The catalog itself, which every other condition needs: looked at by those who cannot use it.

use crate::alert::condition::{Condition, State};
use crate::plan::words::sentence;
use crate::policy::file::Severity;
use crate::units::{Duration, Instant};

/// A server that is started anew is no alert; a disk that is full does not mend itself.
const PATIENCE: Duration = Duration::from_mins(5);

/// It cannot be read or written: since when, why, and whether that may pass by itself. `None`: it is well.
pub fn catalog_down(down: Option<(Instant, &str, &str, bool)>) -> Condition {
    let condition = Condition::new("catalog", Severity::Critical, "the catalog cannot be used: nothing else is watched");
    let Some((since, message, hint, may_pass)) = down else { return condition };
    let text = format!(
        "{} Until it can be used again, no other alert is decided, nothing but backups runs, and messages that wait are not sent.",
        sentence(message)
    );
    let condition = condition.state(State::Firing).since(Some(since)).text(text);
    let condition = if hint.is_empty() { condition } else { condition.hint(hint) };
    if may_pass { condition.lasting(PATIENCE) } else { condition }
}
