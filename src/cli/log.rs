//! What happens, told while it happens, on standard error: lines for people, JSON for collectors, levels for the journal.

use std::fmt::{self, Write as _};

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::copying::Above;
use super::terminal::tame;

/// How what happens is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line each.
    Human,
    /// A JSON object each.
    Json,
}

/// From here on it is told.
pub fn begin(format: LogFormat) {
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::INFO).with_writer(|| Above);
    // Said already: a command is begun once. Only tests would do it again.
    let _ = match format {
        LogFormat::Json => tracing::subscriber::set_global_default(
            subscriber.json().flatten_event(true).with_current_span(true).with_span_list(false).with_target(false).finish(),
        ),
        LogFormat::Human => {
            let levels = is_journal();
            tracing::subscriber::set_global_default(subscriber.event_format(Lines { levels }).finish().with(Names))
        }
    };
}

/// Standard error goes to the journal, which takes a level at the beginning of a line.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(about) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream.split_once(':').is_some_and(|(device, inode)| device == about.st_dev.to_string() && inode == about.st_ino.to_string())
}

struct Lines {
    levels: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if self.levels {
            let priority = if level == Level::ERROR {
                3
            } else if level == Level::WARN {
                4
            } else {
                6
            };
            write!(writer, "<{priority}>")?;
        }
        let mut said = Said::default();
        event.record(&mut said);
        if let Some(span) = context.lookup_current() {
            let extensions = span.extensions();
            if let Some(job) = extensions.get::<JobName>() {
                write!(writer, "{}: ", tame(&job.0))?;
            }
        }
        if level == Level::WARN {
            writer.write_str("warning: ")?;
        } else if level == Level::ERROR {
            writer.write_str("error: ")?;
        }
        writeln!(writer, "{}", tame(&said.message))?;
        if !said.hint.is_empty() {
            writeln!(writer, "  hint: {}", tame(&said.hint))?;
        }
        Ok(())
    }
}

/// Keeps the name of a job with its span, for the lines that are told in it.
struct Names;

struct JobName(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Names {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut job = Job(None);
        attributes.record(&mut job);
        if let (Some(span), Some(name)) = (context.span(id), job.0) {
            span.extensions_mut().insert(JobName(name));
        }
    }
}

struct Job(Option<String>);

impl Visit for Job {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "job" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[derive(Default)]
struct Said {
    message: String,
    hint: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "hint" {
            value.clone_into(&mut self.hint);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        }
    }
}
