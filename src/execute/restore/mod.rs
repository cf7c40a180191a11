//! A whole cluster back, as it was at a moment: the plan first, then exactly that.
//!
//! A restored server is *quarantined*: it archives nothing, follows nobody, and its extensions' background jobs do not run, until
//! `seawall release` ends that step by step. The files are complete and durable before the directory can be started.

mod act;
mod choose;
mod collations;
mod config;
pub mod directory;
mod elsewhere;
mod ending;
mod fault;
mod hooks;
mod own_config;
mod pin;
mod plan;
mod port;
pub mod programs;
mod report;
mod request;
mod running;
mod server;
pub mod settings;
mod tablespaces;

pub use act::{carry_out, hook};
pub use choose::Chosen;
pub use fault::RestoreFault;
pub use hooks::run as run_hook;
pub use plan::{Estimate, Frozen, RestorePlan, plan, thaw};
pub use report::{Phases, Reached, Report, State};
pub use request::{Action, FetchCommand, Remapped, Request, Standby, TimelineChoice, Which};
pub use server::{Following, Recovered, Server, connect};
