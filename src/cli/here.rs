//! The one policy that a command puts to work on this host.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use clap::Args;

use super::diagnostics;
use super::exit::Trouble;
use super::terminal::{Colour, Terminal, tame};
use crate::policy::document::{Document, ReadFault};
use crate::policy::finding::sorted;
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::policy::yaml::MAX_BYTES;
use crate::site::{Site, SiteFault};
use crate::units::Name;
use crate::world::{clock, files, host};

/// Where the policy is looked for when nobody says.
const USUAL: &str = "/etc/seawall/policy.yaml";

/// Which policy, and where on this host. Some commands take a folder of policies too.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where")]
pub struct Here {
    /// The policy's file [default: $SEAWALL_POLICY, then /etc/seawall/policy.yaml].
    ///
    /// `run --due`, `watch`, `status`, `checklist`, `check`, `metrics`, `report` and `serve` also take a folder: all policies below it.
    #[arg(long, short = 'p', value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Where this host keeps its keys and markers [default: $STATE_DIRECTORY, then /var/lib/seawall or below the home directory].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// This host's name in the policy [default: the host's own].
    #[arg(long, value_name = "NAME")]
    pub host: Option<Name>,
}

impl Here {
    /// The policy's file.
    pub fn path(&self) -> PathBuf {
        let given = self.policy.clone().or_else(|| std::env::var_os("SEAWALL_POLICY").map(PathBuf::from));
        given.unwrap_or_else(|| PathBuf::from(USUAL))
    }

    /// Reads the policy. Only what is wrong with its form or its meaning stops it here: a backup is taken also where an objective
    /// cannot be kept, and `validate` is the place to hear of that.
    pub fn read(&self, colour: Colour) -> Result<Policy, Trouble> {
        self.read_with_files(colour).map(|(policy, _)| policy)
    }

    /// The same, and every file that it was made from.
    pub fn read_with_files(&self, colour: Colour) -> Result<(Policy, Vec<PathBuf>), Trouble> {
        self.read_if_complete(Some(colour))?.ok_or_else(|| {
            let hint = "Name a policy that extends it.";
            Trouble::failed(
                format!("`{}` is no policy of its own: it is there for others to extend", tame(&self.path().to_string_lossy())),
                hint,
            )
        })
    }

    /// The same; nothing where the file is only there for others to extend. What is wrong is shown where somebody says in which colours.
    pub fn read_if_complete(&self, shown: Option<Colour>) -> Result<Option<(Policy, Vec<PathBuf>)>, Trouble> {
        let path = self.path();
        let read = RefCell::new(Vec::new());
        let name = path.to_string_lossy().into_owned();
        let document = Document::load(&name, &path, &|path| {
            read.borrow_mut().push(path.to_owned());
            files::read(path, MAX_BYTES).map_err(|fault| ReadFault { message: fault.message, hint: fault.hint, too_large: fault.too_large })
        });
        let today = clock::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let resolved = resolve(&document, today);
        match resolved.policy {
            Some(policy) if document.is_sound() => Ok(Some((policy, read.into_inner()))),
            _ if document.is_abstract && document.is_sound() => Ok(None),
            _ => {
                let mut findings = document.findings.clone();
                findings.extend(resolved.findings);
                findings.retain(|finding| finding.is_blocking());
                findings.iter_mut().for_each(|finding| document.locate(finding));
                if let Some(colour) = shown {
                    eprint!("{}", diagnostics::render(&sorted(findings), Terminal::of_stderr(colour)));
                }
                let hint = "Name it with `--policy FILE`; `seawall validate FILE` says all that is wrong with it.";
                Err(Trouble::failed(format!("the policy `{}` cannot be used", tame(&name)), hint))
            }
        }
    }

    /// Where this host keeps what it must not forget.
    pub fn state(&self) -> PathBuf {
        self.state.as_deref().map_or_else(host::state_directory, Path::to_owned)
    }

    pub fn site<'p>(&self, policy: &'p Policy) -> Site<'p> {
        Site::new(policy, self.state.as_deref(), self.host.as_ref()).of_file(self.path())
    }
}

impl From<SiteFault> for Trouble {
    fn from(fault: SiteFault) -> Self {
        Trouble::failed(fault.message, fault.hint)
    }
}
