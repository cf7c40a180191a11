//! The question before something that cannot be taken back.

use std::io::{IsTerminal, Write};

use super::exit::Trouble;

/// Asks whoever sits at the terminal. Where nobody does, nothing is done.
pub fn confirm(unasked: &str) -> Result<(), Trouble> {
    if !std::io::stdin().is_terminal() {
        return Err(Trouble::failed("nothing was done: nobody can be asked here", unasked));
    }
    eprint!("Type yes to go on: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("yes") { Ok(()) } else { Err(Trouble::failed("nothing was done", "")) }
}
