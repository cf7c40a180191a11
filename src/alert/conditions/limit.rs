//! A limit as the policy writes it, or as it follows from what the policy promises.

use crate::alert::condition::Condition;
use crate::policy::file::{self, Severity};
use crate::units::{Duration, Percent};

/// From which value on, for how long, how urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<T> {
    pub value: T,
    pub lasting: Duration,
    pub severity: Severity,
}

impl<T: Copy> Limit<T> {
    /// What the policy writes; `default` is used without it.
    pub(super) fn of(written: Option<&file::Limit<T>>, default: Option<Limit<T>>) -> Option<Limit<T>> {
        match written {
            None => default,
            Some(file::Limit::Above(value)) => Some(Limit { value: *value, lasting: Duration::ZERO, severity: Severity::Warning }),
            Some(file::Limit::Detailed(detailed)) => Some(Limit {
                value: detailed.above,
                lasting: detailed.r#for.unwrap_or_default(),
                severity: detailed.severity.unwrap_or(Severity::Warning),
            }),
        }
    }

    pub(super) fn condition(&self, key: impl Into<String>, title: impl Into<String>) -> Condition {
        Condition::new(key, self.severity, title).lasting(self.lasting)
    }
}

impl Limit<Percent> {
    pub(super) fn floor(written: Option<&file::Floor>) -> Option<Limit<Percent>> {
        written.map(|floor| match floor {
            file::Floor::Below(value) => Limit { value: *value, lasting: Duration::ZERO, severity: Severity::Warning },
            file::Floor::Detailed(detailed) => Limit {
                value: detailed.below,
                lasting: detailed.r#for.unwrap_or_default(),
                severity: detailed.severity.unwrap_or(Severity::Warning),
            },
        })
    }
}
