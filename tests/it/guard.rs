//! `seawall guard`: a command behind a restore point or a backup, and the printed line that really undoes it.

mod dumps;
mod ended;
mod point;
mod refused;
mod rig;
mod taken;
