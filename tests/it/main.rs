//! One binary for all tests that look at Seawall from outside.

mod fuzz;
mod layering;
mod retention;
mod schedule;
