//! One binary for all tests that look at Seawall from outside.

mod agreement;
mod alerts;
mod backup;
mod catalog;
mod cli;
mod clusters;
mod diff;
mod emit;
mod expire;
mod faults;
mod fuzz;
mod invalid;
mod inventories;
mod layering;
mod notify;
mod plan;
mod postgres;
mod record;
mod repository;
mod restore;
mod retention;
mod schedule;
mod servers;
mod stores;
mod systems;
mod wal;
