//! One binary for all tests that look at Seawall from outside.

mod cli;
mod fuzz;
mod layering;
mod retention;
mod schedule;
