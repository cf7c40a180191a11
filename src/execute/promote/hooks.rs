//! The two programs of a promotion: what fences, and what tells the world.

use crate::policy::file::{Command, Rehearsal};
use crate::policy::model::Policy;
use crate::units::{BackupId, Name};

#[derive(Debug, Clone, Default)]
pub struct Hooks {
    pub fence: Option<Hook>,
    pub announce: Option<Hook>,
    /// The copy beside which they run, so that whoever removes it ends them.
    pub beside: Option<BackupId>,
}

/// A program, and where the policy has it.
#[derive(Debug, Clone)]
pub struct Hook {
    pub path: String,
    pub command: Command,
}

impl Hook {
    fn of(path: String, command: Option<&Command>) -> Option<Hook> {
        Some(Hook { path, command: command?.clone() })
    }

    /// The program without its arguments.
    pub fn program(&self) -> &str {
        self.command.run.first().map_or("", String::as_str)
    }
}

impl Hooks {
    /// Those of a promotion that is one.
    pub fn of(policy: &Policy) -> Hooks {
        let Some(hooks) = &policy.file.hooks else { return Hooks::default() };
        Hooks {
            fence: Hook::of("hooks.before_promote".to_owned(), hooks.before_promote.as_ref()),
            announce: Hook::of("hooks.after_promote".to_owned(), hooks.after_promote.as_ref()),
            beside: None,
        }
    }

    /// Those of a drill. Never the policy's others: they are about the real servers.
    pub fn of_drill(name: &Name, rehearsal: &Rehearsal, copy: &BackupId) -> Hooks {
        Hooks {
            fence: Hook::of(format!("drills.{name}.promote.fence"), rehearsal.fence.as_ref()),
            announce: Hook::of(format!("drills.{name}.promote.after"), rehearsal.after.as_ref()),
            beside: Some(copy.clone()),
        }
    }
}
