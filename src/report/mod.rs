//! What is on record, put together for people and for those who watch: how a policy stands, and the answers to the questions of the day.

mod checklist;
mod standing;

pub use checklist::{Answer, Question, checklist};
pub use standing::{JobDue, JobStanding, Level, Measurements, OnRecord, Problem, Receiver, Standing, Store, Succeeded, stand};
