//! Backups that are encrypted with OpenPGP: what opens them is Debian's `gpg`, and what cannot is said before anything is written.

mod both_kinds;
mod dumps;
mod expiring;
mod keyring;
mod others;
mod refusals;
