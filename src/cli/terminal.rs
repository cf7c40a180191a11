//! Where the output goes: a terminal of some width, a pipe, a file.

use std::borrow::Cow;
use std::io::{self, Write};

use clap::ValueEnum;

use crate::units::visible;

pub use crate::units::is_wild;

/// When the output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set; CLICOLOR_FORCE has them everywhere.
    #[default]
    Auto,
    Always,
    Never,
}

/// What is known of the place that the output goes to.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    pub colours: bool,
    pub width: usize,
    /// Somebody said so: the terminal, or `COLUMNS`.
    width_is_known: bool,
}

impl Terminal {
    pub fn of_stdout(colour: Colour) -> Self {
        Self::of(colour, anstream::AutoStream::choice(&io::stdout()), terminal_size::terminal_size_of(io::stdout()))
    }

    pub fn of_stderr(colour: Colour) -> Self {
        Self::of(colour, anstream::AutoStream::choice(&io::stderr()), terminal_size::terminal_size_of(io::stderr()))
    }

    /// How wide a table on stdout may be: as the terminal, at most `readable`; whole lines for a pipe or a file, where a program
    /// reads them.
    pub fn for_tables(colour: Colour, readable: u16) -> u16 {
        let terminal = Self::of_stdout(colour);
        if terminal.width_is_known { u16::try_from(terminal.width).unwrap_or(readable).min(readable) } else { u16::MAX }
    }

    fn of(colour: Colour, choice: anstream::ColorChoice, size: Option<(terminal_size::Width, terminal_size::Height)>) -> Self {
        let colours = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => choice != anstream::ColorChoice::Never,
        };
        let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
        let known = asked.or(size.map(|(width, _)| usize::from(width.0)));
        Terminal { colours, width: known.unwrap_or(140).clamp(40, 1000), width_is_known: known.is_some() }
    }
}

/// Prints all of a text, and says when nobody reads it any more.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What went wrong, which is tame already, and how to mend it.
pub fn complain(message: &str, hint: &str) {
    eprintln!("error: {message}");
    if !hint.is_empty() {
        eprintln!("  help: {}", tame(hint));
    }
}

/// A text from outside, without anything that acts on a terminal: control characters, and those that turn the direction of
/// writing or cannot be seen. What was there stays visible as a replacement character.
pub fn tame(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_wild) { Cow::Owned(text.chars().map(visible).collect()) } else { Cow::Borrowed(text) }
}
