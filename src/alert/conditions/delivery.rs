//! Messages that do not arrive.

use super::{Look, rough};
use crate::alert::condition::{Condition, State};
use crate::inventory::Observed;
use crate::plan::words::{counted, sentence};
use crate::policy::file::Severity;
use crate::units::{Duration, Name};

/// Mail servers restart, and greylisting takes some minutes.
const PATIENCE: Duration = Duration::from_mins(15);
/// So long after a message was to be sent it is late.
const LATE: Duration = Duration::from_hours(1);

pub(super) fn look(look: &mut Look<'_>) {
    for name in look.policy.file.receivers.keys() {
        let condition = Condition {
            about: Some(name.clone()),
            ..Condition::new(format!("delivery:{name}"), Severity::Critical, format!("messages to {name} do not arrive"))
        }
        .lasting(PATIENCE)
        .hint(format!(
            "`seawall notify test {name}` tries again and says what happens. What was refused for good is not sent again: \
             `seawall ack delivery:{name}` says that somebody knows."
        ));
        let seen = look.facts.failing.iter().find(|failing| failing.receiver == *name);
        look.push(match seen {
            None => condition,
            Some(failing) => condition
                .state(State::Firing)
                .since(Some(failing.since))
                .text(sentence(&failing.error))
                .fact("attempts", failing.attempts)
                .fact("waiting", failing.waiting.len()),
        });
    }
    look.policy.file.receivers.iter().filter(|(_, receiver)| receiver.email.is_some()).for_each(|(name, _)| partly(look, name));
    undelivered(look);
}

/// The others have got it, and hear of this too: they know who is missing.
fn partly(look: &mut Look<'_>, name: &Name) {
    let condition = Condition::new(format!("refused:{name}"), Severity::Warning, format!("messages to {name} do not reach everybody"));
    let condition = condition.hint(format!(
        "Take the address out of `receivers.{name}.email.to`, or mend it. It is over with the next message that reaches everybody; \
         `seawall ack refused:{name}` says that somebody knows."
    ));
    let seen = look.facts.partly.iter().find(|partly| partly.receiver == *name);
    look.push(match seen {
        None => condition,
        Some(partly) => condition.state(State::Firing).since(Some(partly.since)).text(sentence(&partly.refused)),
    });
}

/// Messages that wait although no receiver is known to fail: whatever sends them does not run.
fn undelivered(look: &mut Look<'_>) {
    let condition = Condition::new("undelivered", Severity::Warning, "messages wait to be sent")
        .hint("See whether the timer that sends them runs: `systemctl list-timers 'seawall*'`.");
    look.push(match &look.facts.undelivered {
        Observed::Unknown { .. } => condition.state(State::Unknown),
        Observed::Known(waiting) => {
            let age = waiting.oldest.map_or(Duration::ZERO, |oldest| Duration::between(oldest, look.now));
            let count = counted(usize::try_from(waiting.count).unwrap_or(usize::MAX), "message");
            Condition { title: format!("{count} waiting to be sent, the oldest for {}", rough(age)), ..condition }
                .firing_if(waiting.count > 0 && age > LATE && look.facts.failing.is_empty())
        }
    });
}
