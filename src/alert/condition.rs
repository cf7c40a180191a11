use crate::policy::file::{self, Severity};
use crate::units::{Duration, Instant, Name};

/// Something that may be wrong, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is about, the same from its beginning to its end: `backup_age:nightly`.
    pub key: String,
    pub state: State,
    pub severity: Severity,
    /// How long it must be wrong before somebody is told.
    pub lasting: Duration,
    /// Since when it is wrong, where that was seen; else since it was first looked at.
    pub since: Option<Instant>,
    /// The kind of event that routes know it by; none for a limit that is crossed.
    pub event: Option<file::Event>,
    /// The job, as a path of the policy.
    pub job: Option<String>,
    pub title: String,
    pub text: String,
    pub hint: Option<String>,
    pub facts: Vec<(String, String)>,
    /// The key of what causes it. As long as that is wrong, nobody is told of this.
    pub because: Option<String>,
    /// The receiver that it is about: everybody but it is told.
    pub about: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Firing,
    Quiet,
    /// It could not be looked at: it neither begins nor ends.
    Unknown,
}

impl Condition {
    /// Nothing is wrong, until a state is given.
    pub fn new(key: impl Into<String>, severity: Severity, title: impl Into<String>) -> Self {
        Condition {
            key: key.into(),
            state: State::Quiet,
            severity,
            lasting: Duration::ZERO,
            since: None,
            event: None,
            job: None,
            title: title.into(),
            text: String::new(),
            hint: None,
            facts: Vec::new(),
            because: None,
            about: None,
        }
    }

    #[must_use]
    pub fn state(self, state: State) -> Self {
        Condition { state, ..self }
    }
    /// It is wrong, or not.
    #[must_use]
    pub fn firing_if(self, wrong: bool) -> Self {
        self.state(if wrong { State::Firing } else { State::Quiet })
    }
    #[must_use]
    pub fn lasting(self, lasting: Duration) -> Self {
        Condition { lasting, ..self }
    }
    #[must_use]
    pub fn since(self, since: Option<Instant>) -> Self {
        Condition { since, ..self }
    }
    #[must_use]
    pub fn event(self, event: file::Event) -> Self {
        Condition { event: Some(event), ..self }
    }
    #[must_use]
    pub fn job(self, job: impl Into<String>) -> Self {
        Condition { job: Some(job.into()), ..self }
    }
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        Condition { text: text.into(), ..self }
    }
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Condition { hint: Some(hint.into()), ..self }
    }
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }
}
