//! A whole cluster back, as it was at a moment: the plan first, then exactly that.
//!
//! A restored server is *quarantined*: it archives nothing, follows nobody, and its extensions' background jobs do not run, until
//! `seawall release` ends that step by step. The files are complete and durable before the directory can be started.

mod act;
pub(in crate::execute) mod archive;
mod choose;
mod collations;
mod compared;
mod config;
pub mod directory;
mod elsewhere;
mod ending;
mod fault;
pub(in crate::execute) mod newest;
mod own_config;
mod pin;
mod plan;
mod port;
pub mod programs;
mod record;
mod report;
mod request;
mod running;
mod server;
pub mod settings;
mod standby;
mod tablespaces;

pub use act::{carry_out, carry_out_some, hook};
pub use archive::{Archived, Asleep, readable, thaw};
pub use choose::{Chosen, candidates, unsigned_warning};
pub use compared::compare;
pub use fault::RestoreFault;
pub use pin::Pin;
pub use plan::{Estimate, RestorePlan, must_have_extensions, plan};
pub(in crate::execute) use record::JOB;
pub use record::Returned;
pub use report::{Phases, Reached, Report, State};
pub use request::{Action, FetchCommand, Remapped, Request, Standby, TimelineChoice, Which};
pub(in crate::execute) use running::pid_file;
pub(in crate::execute) use server::RECOVERY_LOG;
pub use server::{Following, Recovered, Server, Stopped, connect};
pub use standby::{Follows, Primary, Upstream};
