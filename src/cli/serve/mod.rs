//! `seawall serve`: the report, live, for people and for Prometheus.
//!
//! It reads and never writes. It listens on this host only unless somebody says otherwise, has no secrets to give away, and whatever
//! its clients do (too many, too slow, too long, not HTTP at all) costs a bounded number of connections for a bounded time.

mod answer;
mod board;
mod connections;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::log::{self, LogFormat};
use super::terminal::Colour;
use crate::report::Wanted;
use crate::world::signals;
use answer::Door;
use board::Board;

/// Serve the report as a page that is always of now, and the metrics for Prometheus.
///
/// `/` is the report, `/policy/NAME` that of one policy, `/report.json` the same for programs, `/metrics` what `seawall metrics` writes,
/// `/healthz` says whether all of this can be trusted. Reads the record only. Ends on SIGTERM when what was begun is answered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall serve                                          on http://127.0.0.1:9187
  seawall serve /etc/seawall/policies --listen 127.0.0.1:9200
  curl -s http://127.0.0.1:9187/metrics | promtool check metrics")]
pub struct Serve {
    /// The policy's file, or a directory of policies; the same as `--policy`.
    #[arg(value_name = "POLICY", conflicts_with = "policy")]
    subject: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9187")]
    listen: SocketAddr,
    /// Listen on an address that others can reach too. Nothing is encrypted and nobody is asked who they are: put a proxy before it that
    /// does both.
    #[arg(long)]
    unprotected: bool,
    /// The stretch of time that the page covers: month, quarter, year, or two days as FROM..TO.
    #[arg(long, value_name = "PERIOD", default_value = "month")]
    period: Wanted,
    /// How what happens is told, on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    #[command(flatten)]
    here: Here,
}

impl Serve {
    pub fn run(&self, _colour: Colour) -> Result<Exit, Trouble> {
        log::begin(self.log_format);
        let loopback = self.listen.ip().is_loopback();
        if !loopback && !self.unprotected {
            return Err(Trouble::usage(
                format!("others can reach {}: what is served there is neither encrypted nor protected by a password", self.listen),
                "Listen on 127.0.0.1 and put a proxy before it, or say `--unprotected`.",
            ));
        }
        let ending = signals::ending().map_err(|error| Trouble::failed(format!("signals cannot be listened for: {error}"), ""))?;
        let here = Here { policy: self.subject.clone().or_else(|| self.here.policy.clone()), ..self.here.clone() };
        let board = Arc::new(Board::new(here, self.period));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(8)
            .enable_all()
            .build()
            .map_err(|error| Trouble::failed(format!("nothing can be served: {error}"), ""))?;
        // The last one to let go of it closes catalogs, which waits: that must not happen inside the event loop.
        let door = Door::new(Arc::clone(&board), loopback);
        let listening = runtime.block_on(connections::listen(self.listen)).map_err(|error| {
            Trouble::failed(
                format!("{} cannot be listened on: {error}", self.listen),
                "Name another address with `--listen`, as `127.0.0.1:9200`.",
            )
        })?;
        let address = listening.local_addr().unwrap_or(self.listen);
        tracing::info!("listening on http://{address}");
        if !loopback {
            tracing::warn!("whoever can reach {address} can read this: nothing is encrypted and nobody is asked who they are");
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        runtime.block_on(connections::serve(listening, Arc::new(door), &ending.asked));
        // A page that is being put together for nobody is not waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        drop(board);
        Ok(Exit::Done)
    }
}
