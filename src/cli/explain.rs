//! `seawall explain`: what a finding means.

use std::str::FromStr;

use clap::Args;

use super::exit::{Exit, Trouble};
use super::terminal::{print, tame};
use crate::policy::finding::Code;

/// The page of each code: a section `## SW0101: title`.
const PAGES: &str = include_str!("../../docs/findings.md");

/// Explain a finding: what it means, why it matters, how to mend it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall explain SW0101     one finding
  seawall explain            the list of all")]
pub struct Explain {
    /// The code as messages show it, for example SW0101; without it, all codes are listed.
    code: Option<String>,
}

impl Explain {
    pub fn run(&self) -> Result<Exit, Trouble> {
        let text = match &self.code {
            None => list(),
            Some(asked) => {
                let page = find(asked)?;
                format!("{}: {}\n\n{}\n", page.code, page.title, page.text.trim())
            }
        };
        print(&text)?;
        Ok(Exit::Done)
    }
}

/// What there is to say about one code.
#[derive(Debug, Clone, Copy)]
pub struct Page<'t> {
    pub code: Code,
    pub title: &'t str,
    pub text: &'t str,
}

/// All pages, in the order of the document.
pub fn pages() -> Vec<Page<'static>> {
    PAGES
        .split("\n## ")
        .skip(1)
        .filter_map(|section| {
            let (heading, text) = section.split_once('\n')?;
            let (code, title) = heading.split_once(": ")?;
            Some(Page { code: code.parse().ok()?, title, text })
        })
        .collect()
}

fn list() -> String {
    let lines: String = pages().iter().map(|page| format!("{}  {}\n", page.code, page.title)).collect();
    format!("{lines}\n`seawall explain CODE` says more about one of them.\n")
}

fn find(asked: &str) -> Result<Page<'static>, Trouble> {
    let pages = pages();
    let wanted = asked.trim().to_uppercase();
    if let Some(page) = Code::from_str(&wanted).ok().and_then(|code| pages.iter().find(|page| page.code == code)) {
        return Ok(*page);
    }
    let hint = match near(&wanted, &pages) {
        Some(page) => format!("Did you mean {} ({})? `seawall explain` lists all codes.", page.code, page.title),
        None => "`seawall explain` lists all codes; they look like SW0101.".to_owned(),
    };
    Err(Trouble::usage(format!("there is no finding `{}`", tame(asked)), hint))
}

/// The page that was probably meant: the same number written otherwise, or one that differs in one or two digits.
fn near<'p>(asked: &str, pages: &'p [Page<'static>]) -> Option<&'p Page<'static>> {
    let digits: String = asked.chars().filter(char::is_ascii_digit).take(9).collect();
    let number: Option<u32> = digits.parse().ok();
    pages.iter().find(|page| Some(u32::from(page.code.0)) == number).or_else(|| {
        let distance = |page: &&Page<'_>| strsim::damerau_levenshtein(asked.get(..12).unwrap_or(asked), &page.code.to_string());
        pages.iter().filter(|page| distance(page) <= 2).min_by_key(distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_codes_are_led_to_the_right_one() {
        let pages = pages();
        for asked in ["SW101", "SW00101", "SW-0101", "101"] {
            assert_eq!(near(asked, &pages).map(|page| page.code), Some(Code(101)), "{asked}");
        }
        assert!(near("HELLO", &pages).is_none());
        assert!(find("sw0101").is_ok());
    }
}
