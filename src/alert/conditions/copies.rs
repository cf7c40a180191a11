//! Second copies: whether what belongs there is there as soon as the policy says.

use super::{Look, moment, roots, rough};
use crate::alert::condition::{Condition, State};
use crate::inventory::Observed;
use crate::plan::words::counted;
use crate::policy::file::Severity;
use crate::units::Duration;

pub(super) fn look(look: &mut Look<'_>) {
    let nobody = Observed::unknown("nobody has looked");
    for (name, within) in look.policy.copy_stores() {
        let causes = std::iter::once(name).chain(roots::sources(look.policy, name)).map(roots::store);
        let because = look.cause(causes);
        let seen = look.facts.copies.get(name).unwrap_or(&nobody);
        let known = look.known(&format!("copies.{name}"), None, seen, because.clone()).copied();
        let condition = Condition::new(format!("copy_behind:{name}"), Severity::Warning, format!("the copy in {name} is behind"));
        let condition = Condition { because, ..condition.job(format!("copies.{name}")) };
        let Some(seen) = known else {
            look.push(condition.state(State::Unknown));
            continue;
        };
        let Some(since) = seen.behind_since else {
            look.push(condition);
            continue;
        };
        let age = Duration::between(since, look.now);
        let title = format!("the copy in {name} is {} behind", rough(age));
        let what = match usize::try_from(seen.backups).unwrap_or(usize::MAX) {
            0 => "Some of the write-ahead log is not there".to_owned(),
            count => format!("{} not there, the oldest", counted(count, "backup") + if count == 1 { " is" } else { " are" }),
        };
        let text = format!("{what} since {}. It is to be there within {within}.", moment(look.policy, since));
        look.push(
            Condition { title, ..condition }
                .firing_if(since <= look.now && age > within)
                .since(since.checked_add(within.to_signed()).ok())
                .text(text)
                .hint(format!("`seawall history copies.{name}` says what keeps it; `seawall copy --store {name}` brings it up to date."))
                .fact("within", within),
        );
    }
}
