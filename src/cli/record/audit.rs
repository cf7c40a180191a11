//! `seawall audit`: the chain of everything that was done and decided.

use std::str::FromStr;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::{existing, policy_or_last_good, trouble};
use crate::catalog::Catalog;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::moment;
use crate::cli::repository::{Format, stores};
use crate::cli::terminal::{Colour, Terminal, print};
use crate::cli::validate::json;
use crate::execute::witness;
use crate::format::audit::{Chain, Head, Link};
use crate::plan::text::columns;
use crate::plan::words::counted;
use crate::units::{Instant, Name};

/// So many links are read at once.
const PAGE: usize = 1000;

/// Look at the audit chain: everything that was done and decided, in an order that nobody can change unseen.
#[derive(Debug, Subcommand)]
pub enum Audit {
    Show(Show),
    Verify(Verify),
    Export(Export),
}

/// Show the newest entries.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall audit show
  seawall audit show --since 2027-03-01 --limit 1000 --format json")]
pub struct Show {
    /// Only entries of this moment or later: `2027-03-01`, `2027-03-01T04:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Instant>,
    /// The newest so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

/// Prove that the chain is whole: nothing in it was changed, removed, added or moved.
///
/// A chain whose end was cut off, or that was written anew, is whole in itself: give a head that was kept elsewhere to find that out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall audit verify
  seawall audit verify --store main
  seawall audit verify --head 4711:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
pub struct Verify {
    /// An end of the chain that somebody kept (may be given again).
    #[arg(long, value_name = "SEQ:HASH")]
    head: Vec<Kept>,
    /// Compare it with what `seawall watch` copied into this store.
    #[arg(long, value_name = "NAME")]
    store: Option<Name>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

/// Write the whole chain to standard output, a line of JSON for each entry.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall audit export > audit.jsonl")]
pub struct Export {
    #[command(flatten)]
    here: Here,
}

/// A head, as it is written down: `4711:9f86…`.
#[derive(Debug, Clone)]
struct Kept(Head);

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it as `4711:9f86…`: the number, and 64 hexadecimal digits".to_owned();
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or_else(wrong)?;
        let hash = hash.to_ascii_lowercase();
        if hash.len() != 64 || !hash.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        Ok(Kept(Head { seq, hash }))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall audit show")]
pub struct AuditOutput {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// Oldest first; each as `seawall audit export` writes it.
    entries: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall audit verify")]
pub struct AuditVerifyOutput<'a> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    whole: bool,
    /// None where the chain is empty or broken.
    head: Option<&'a Head>,
    /// How many heads from elsewhere it was compared with.
    witnessed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Audit {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Audit::Show(show) => show.run(colour),
            Audit::Verify(verify) => verify.run(colour),
            Audit::Export(export) => export.run(colour),
        }
    }
}

fn catalog(here: &Here, colour: Colour) -> Result<Catalog, Trouble> {
    let policy = policy_or_last_good(here, colour)?;
    existing(&here.site(&policy))
}

/// Every link from a number on, in order.
fn each(catalog: &Catalog, from: u64, mut look: impl FnMut(Link) -> Result<(), Trouble>) -> Result<(), Trouble> {
    let mut next = from;
    loop {
        let page = catalog.links(next, PAGE).map_err(trouble)?;
        let Some(last) = page.last().map(|link| link.seq) else { return Ok(()) };
        page.into_iter().try_for_each(&mut look)?;
        next = last.saturating_add(1);
    }
}

impl Show {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let catalog = catalog(&self.here, colour)?;
        let newest = catalog.head().map_err(trouble)?.map_or(0, |head| head.seq);
        let mut links = Vec::new();
        each(&catalog, newest.saturating_sub(u64::from(self.limit)) + 1, |link| {
            if self.since.is_none_or(|since| link.entry.at >= since) {
                links.push(link);
            }
            Ok(())
        })?;
        print(&match self.format {
            Format::Json => {
                let entries = links.iter().map(|link| serde_json::from_str(&link.to_line())).collect::<Result<_, _>>();
                let entries = entries.map_err(|error| Trouble::fault(error.to_string()))?;
                json(&AuditOutput { format_version: 1, entries })?
            }
            Format::Human if links.is_empty() => "nothing is on record\n".to_owned(),
            Format::Human => {
                let header = &["seq", "when", "policy", "who", "host", "what"];
                columns(header, links.iter().map(row).collect(), Terminal::for_tables(colour, 1000))
            }
        })?;
        Ok(Exit::Done)
    }
}

fn row(link: &Link) -> Vec<String> {
    let entry = &link.entry;
    let at = entry.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    vec![link.seq.to_string(), at, entry.policy.clone(), entry.who.clone(), entry.host.clone(), entry.what.clone()]
}

impl Verify {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = policy_or_last_good(&self.here, colour)?;
        let site = self.here.site(&policy);
        let catalog = existing(&site)?;
        let mut witnessed: Vec<Head> = self.head.iter().map(|kept| kept.0.clone()).collect();
        if let Some(store) = &self.store {
            stores(&policy, std::slice::from_ref(store))?;
            let found = witness::heads(&site, &catalog, store).map_err(|fault| {
                let hint = fault.hint().to_owned();
                Trouble::failed(fault.to_string(), hint)
            })?;
            if found.is_empty() {
                let hint = "`seawall watch` copies it once an hour, into the store of the log. A chain that was begun anew has another name there.";
                return Err(Trouble::failed(format!("the store `{store}` has nothing of this audit chain"), hint));
            }
            witnessed.extend(found);
        }
        let mut chain = Chain::from(None, &witnessed);
        let (mut links, mut broken) = (0_u64, None);
        // From the smallest number there is: a link that stands before the first one is found as well.
        each(&catalog, 0, |link| {
            links += 1;
            if broken.is_none() {
                broken = chain.push(&link.seen()).err();
            }
            Ok(())
        })?;
        let ended = match broken {
            Some(broken) => Err(broken),
            None => chain.end(),
        };
        if self.format == Format::Json {
            print(&json(&AuditVerifyOutput {
                format_version: 1,
                whole: ended.is_ok(),
                head: ended.as_ref().ok().and_then(Option::as_ref),
                witnessed: witnessed.len(),
                broken_at: ended.as_ref().err().map(|broken| broken.seq),
                why: ended.as_ref().err().map(|broken| broken.why.to_string()),
            })?)?;
        }
        let head = ended.map_err(|broken| {
            let hint = "Compare it with an export or a copy that was made earlier: what comes before that place is as it was.";
            Trouble::failed(broken.to_string(), hint)
        })?;
        if self.format == Format::Human {
            print(&match head {
                None => "the audit chain is empty\n".to_owned(),
                Some(head) => {
                    format!("whole: {}, the head is {}:{}\n", counted(links, "link"), head.seq, head.hash)
                }
            })?;
            if self.store.is_some() {
                print(&format!("{} from elsewhere agree\n", counted(witnessed.len(), "head")))?;
            }
            if witnessed.is_empty() {
                print("No head from elsewhere was given: that its end was not cut off is not proven.\n")?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Export {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let catalog = catalog(&self.here, colour)?;
        each(&catalog, 0, |link| Ok(print(&format!("{}\n", link.to_line()))?))?;
        Ok(Exit::Done)
    }
}
