//! One binary for all tests that look at Seawall from outside.

mod cli;
mod retention;
mod schedule;
