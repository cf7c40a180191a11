//! `seawall promote`: a standby becomes the primary.

mod text;

use std::time::Duration as StdDuration;

use clap::Args;

use super::confirm::confirm;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::repository::Format;
use super::terminal::{Colour, print};
use crate::execute::promote::{self, Onlooker, Plan, PromoteFault, PromoteFaultKind, Promotion, Stand, Wanted};
use crate::execute::restore::FetchCommand;
use crate::execute::restore::settings::push_command;
use crate::site::Site;
use crate::units::Duration;
use crate::world::{clock, host, signals};

/// Make the standby on this host the primary, guarded: what would be lost is shown, the old primary is fenced, and each step is recorded.
///
/// Refused while the old primary answers. The hook `before_promote` fences it and ends with 0 only then; without a hook a person says
/// `--fenced-by-hand`. Interrupted, the same call goes on. There is no leader election: who wants failover without people uses Patroni.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall promote                                                     the primary is lost: see what would be lost, then say yes
  seawall promote --fenced-by-hand 'ann: server room, power cable'    where the policy has no hook that fences
  seawall promote --switchover                                        the primary is well: stop it by the hook, lose nothing
  seawall promote --yes --format json                                 for programs; the steps go to standard error")]
pub struct Promote {
    /// The primary is stopped on purpose, by the hook; this server is promoted only if its log ends with that shutdown.
    #[arg(long)]
    switchover: bool,
    /// Who fenced the old primary, and how; instead of the hook. It goes on record.
    #[arg(long, value_name = "WHO AND HOW", value_parser = words)]
    fenced_by_hand: Option<String>,
    /// Do not ask the stores: what they have beyond this standby is left, and whether the next timeline is free stays unknown.
    #[arg(long)]
    without_stores: bool,
    /// The server on this host [default: `cluster.hosts.<this host>.connection`, else `cluster.connection`].
    #[arg(long, value_name = "CONNINFO")]
    connection: Option<String>,
    /// How long replay, the promotion and the archive are waited for, each.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    wait: Duration,
    /// Do not ask.
    #[arg(long, short = 'y')]
    yes: bool,
    /// How the result is written; as JSON, the plan and the steps go to standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    #[command(flatten)]
    here: Here,
}

pub(super) fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() < 3 { Err("say who fenced it, and how".to_owned()) } else { Ok(text.to_owned()) }
}

impl Promote {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let plan = match promote::look(&site, self.wanted(&site)?, clock::now()).map_err(trouble)? {
            Stand::Plan(plan) => plan,
            Stand::Done(promotion) => {
                self.say("promoted by an earlier call; nothing is left to do");
                self.show(&promotion)?;
                return Ok(Exit::Done);
            }
        };
        self.agree(&plan)?;
        let ending = signals::ending()?;
        let say = |step: &str| self.say(step);
        match promote::carry_out(&site, *plan, Onlooker { say: &say, stop: &ending.asked }) {
            Ok(promotion) => {
                self.show(&promotion)?;
                Ok(Exit::Done)
            }
            Err((fault, promotion)) => self.stopped(fault, promotion.as_deref(), ending.code()),
        }
    }

    fn wanted(&self, site: &Site<'_>) -> Result<Wanted, Trouble> {
        let program = std::env::current_exe()?;
        let policy = std::path::absolute(self.here.path())?;
        let push = FetchCommand { program: program.clone(), policy, state: Some(std::path::absolute(site.state())?) };
        Ok(Wanted {
            connection: self.connection.clone(),
            switchover: self.switchover,
            fenced_by_hand: self.fenced_by_hand.clone(),
            without_stores: self.without_stores,
            store: None,
            patience: StdDuration::from_secs(self.wait.as_secs()),
            who: host::who(),
            archive_command: push_command(&push),
            restore: "seawall".to_owned(),
        })
    }

    fn agree(&self, plan: &Plan) -> Result<(), Trouble> {
        let shown = text::plan(plan);
        match self.format {
            Format::Human => print(&shown)?,
            Format::Json => eprint!("{shown}"),
        }
        // What is begun is only gone on with: the server is the primary already.
        if self.yes || plan.goes_on.is_some() && !plan.seen.in_recovery {
            return Ok(());
        }
        confirm("Say `--yes` when the plan above is what you want.")
    }

    fn say(&self, step: &str) {
        match self.format {
            // That nobody reads it is no reason to stop half-way.
            Format::Human => _ = print(&format!("  {step}\n")),
            Format::Json => eprintln!("{step}"),
        }
    }

    fn show(&self, promotion: &Promotion) -> Result<(), Trouble> {
        match self.format {
            Format::Human => print(&text::promoted(promotion))?,
            Format::Json => print(&super::validate::json(promotion)?)?,
        }
        Ok(())
    }

    /// What stands is said with it: nobody must guess.
    fn stopped(&self, fault: PromoteFault, promotion: Option<&Promotion>, signal: Option<u8>) -> Result<Exit, Trouble> {
        let Some(promotion) = promotion else { return Err(trouble(fault)) };
        if self.format == Format::Json {
            print(&super::validate::json(promotion)?)?;
        }
        let told = PromoteFault { message: format!("{}\n  {}", fault.message, promotion.standing()), ..fault };
        let interrupted = signal.filter(|_| told.kind == PromoteFaultKind::Stopped);
        let Some(signal) = interrupted else { return Err(trouble(told)) };
        super::terminal::complain(&told.message, "");
        Ok(if signal == 143 { Exit::Terminated } else { Exit::Interrupted })
    }
}

fn trouble(fault: PromoteFault) -> Trouble {
    match fault.kind {
        PromoteFaultKind::MayPass => Trouble::try_again(fault.message, fault.hint),
        PromoteFaultKind::Failed | PromoteFaultKind::Stopped => Trouble::failed(fault.message, fault.hint),
    }
}
