//! One binary for all tests that look at Seawall from outside.

mod agreement;
mod cli;
mod fuzz;
mod invalid;
mod layering;
mod retention;
mod schedule;
