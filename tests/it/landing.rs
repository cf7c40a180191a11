//! One table back: what happens with it once a private server holds it. Here that server is an ordinary one; where it comes from is another
//! matter.

mod bounds;
mod changed;
mod conditions;
mod csv;
mod cut;
mod encodings;
mod held;
mod hyper;
mod odd;
pub mod rig;
mod side;
mod undone;
mod views;
mod whole;
