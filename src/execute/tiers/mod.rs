//! A database comes back tier by tier: what is needed first is usable first.
//!
//! All definitions come before any row, so that applications find what they look for. Then, course after course, come the rows of a tier and
//! everything that belongs to them. What has not come yet refuses whoever asks for it; see `pending`.

mod act;
mod catalog;
mod definitions;
pub mod order;
mod pending;
mod plan;
mod record;
mod report;
mod rows;
mod source;

pub use act::{Onlooker, carry_out};
pub use pending::Begun;
pub use plan::{Ground, Moment, Plan, Shown, Wanted, plan};
pub use report::{Planned, Tiered, Usable};

pub use super::table::TableFault as Fault;
