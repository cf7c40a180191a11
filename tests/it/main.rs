//! One binary for all tests that look at Seawall from outside.

mod retention;
mod schedule;
