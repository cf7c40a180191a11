//! Which words mean something in a call, by what the call is for. A word that would be passed over in silence is refused: whoever wrote it
//! meant something, and with `--yes` nobody reads the plan.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Cluster,
    Database,
    Tiers,
    Export,
    Files,
    Table(Way),
}

/// What becomes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Beside,
    Csv,
    Replace,
    Merge,
}

const ALWAYS: &[&str] =
    &["help", "color", "policy", "state", "host", "identity", "yes", "format", "backup", "store", "thaw", "thaw_speed", "wait"];
const MOMENT: &[&str] = &["to", "to_lsn", "to_xid", "to_name", "immediate", "latest", "exclusive", "timeline"];
const CLUSTER: &[&str] = &[
    "target",
    "tablespace",
    "delta",
    "owner",
    "config_to",
    "as_standby",
    "primary_conninfo",
    "slot",
    "set",
    "start",
    "start_with",
    "extensions_later",
    "workers",
    "at_target",
];
const DATABASE: &[&str] = &[
    "into_database",
    "replace",
    "table",
    "create",
    "end_connections",
    "globals",
    "occupied",
    "snapshot",
    "from_database",
    "job",
    "connection",
    "jobs",
    "schema",
    "section",
    "no_owner",
    "no_privileges",
    "map_role",
    "no_tablespaces",
    "single_transaction",
    "programs",
];
/// The last two are refused by who knows why.
const TIERS: &[&str] = &[
    "tier",
    "into_database",
    "create",
    "globals",
    "from_database",
    "job",
    "connection",
    "jobs",
    "no_owner",
    "no_privileges",
    "map_role",
    "no_tablespaces",
    "programs",
    "plan",
    "directory",
    "workers",
    "replace",
    "occupied",
];
const EXPORT: &[&str] = &["export_to", "table", "from_database", "job"];
const FILES: &[&str] = &["files", "to_root", "in_place", "overwrite", "numeric_owner", "job", "workers"];
const TABLE: &[&str] = &["table", "condition", "plan", "database", "directory", "made_later", "job", "programs", "workers"];
const CHANGES: &[&str] = &["keep_replaced", "no_snapshot", "lock_timeout", "refresh_aggregates", "connection"];

impl Goal {
    fn of(said: &ArgMatches) -> Goal {
        let is_said = |id: &str| said.value_source(id) == Some(ValueSource::CommandLine);
        if is_said("tier") {
            Goal::Tiers
        } else if is_said("into_database") {
            Goal::Database
        } else if is_said("export_to") {
            Goal::Export
        } else if is_said("files") {
            Goal::Files
        } else if !is_said("table") {
            Goal::Cluster
        } else if is_said("csv") {
            Goal::Table(Way::Csv)
        } else if is_said("replace") {
            Goal::Table(Way::Replace)
        } else if is_said("merge") {
            Goal::Table(Way::Merge)
        } else {
            Goal::Table(Way::Beside)
        }
    }

    fn takes(self) -> &'static [&'static [&'static str]] {
        match self {
            Goal::Cluster => &[MOMENT, CLUSTER],
            Goal::Database => &[DATABASE],
            Goal::Tiers => &[MOMENT, TIERS],
            Goal::Export => &[EXPORT],
            Goal::Files => &[FILES],
            Goal::Table(Way::Beside) => &[MOMENT, TABLE, &["into_schema", "name", "with_policies", "connection", "lock_timeout"]],
            Goal::Table(Way::Csv) => &[MOMENT, TABLE, &["csv"]],
            Goal::Table(Way::Replace) => &[MOMENT, TABLE, CHANGES, &["replace"]],
            Goal::Table(Way::Merge) => &[MOMENT, TABLE, CHANGES, &["merge", "key", "delete_others", "show"]],
        }
    }

    fn words(self) -> &'static str {
        match self {
            Goal::Cluster => "`--target`: a whole cluster",
            Goal::Database => "`--into-database`: a dump into a database",
            Goal::Tiers => "`--tier`: a database tier by tier",
            Goal::Export => "`--export-to`: tables of a dump as files",
            Goal::Files => "`--files`",
            Goal::Table(Way::Beside) => "`--table` beside the original",
            Goal::Table(Way::Csv) => "`--table` as `--csv`",
            Goal::Table(Way::Replace) => "`--table` with `--replace`",
            Goal::Table(Way::Merge) => "`--table` with `--merge`",
        }
    }
}

/// The first word that means nothing in this call, if there is one.
pub(in crate::cli) fn meaningless(command: &Command, said: &ArgMatches) -> Option<String> {
    let goal = Goal::of(said);
    let is_said = |id: &str| said.value_source(id) == Some(ValueSource::CommandLine);
    let takes = |id: &str| ALWAYS.contains(&id) || goal.takes().iter().any(|words| words.contains(&id));
    let name = |id: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_id() == id);
        argument.and_then(|argument| argument.get_long()).unwrap_or(id).to_owned()
    };
    if let Some(argument) =
        command.get_arguments().find(|argument| is_said(argument.get_id().as_str()) && !takes(argument.get_id().as_str()))
    {
        return Some(format!("`--{}` means nothing with {}", name(argument.get_id().as_str()), goal.words()));
    }
    let stops = |ids: &[&str]| ids.iter().any(|id| is_said(id));
    if is_said("exclusive") && !stops(&["to", "to_lsn", "to_xid"]) {
        return Some("`--exclusive` means nothing without `--to`, `--to-lsn` or `--to-xid`: nothing else has a before".to_owned());
    }
    for (word, needs) in [("primary_conninfo", "as_standby"), ("slot", "as_standby"), ("snapshot", "occupied")] {
        if is_said(word) && !is_said(needs) {
            return Some(format!("`--{}` means nothing without `--{}`", name(word), name(needs)));
        }
    }
    if is_said("end_connections") && !stops(&["replace", "snapshot"]) {
        return Some("`--end-connections` means nothing without `--replace` or `--snapshot`".to_owned());
    }
    if is_said("as_standby") && is_said("at_target") {
        return Some("`--at-target` means nothing with `--as-standby`: a standby has no target".to_owned());
    }
    let is_promoted = said.get_raw("at_target").and_then(|mut values| values.next()).is_none_or(|value| value == "promote");
    if !is_promoted && !stops(&["to", "to_lsn", "to_xid", "to_name", "immediate"]) {
        return Some(
            "`--at-target` means nothing at the end of the log: a server that has replayed all of it can only be promoted".to_owned(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::cli::restore::Restore;

    fn command() -> Command {
        Restore::augment_args(Command::new("restore"))
    }

    #[test]
    fn every_word_means_something_somewhere() {
        let goals = [Goal::Cluster, Goal::Database, Goal::Tiers, Goal::Export, Goal::Files].into_iter();
        let ways = [Way::Beside, Way::Csv, Way::Replace, Way::Merge].into_iter().map(Goal::Table);
        let all: Vec<&str> = goals.chain(ways).flat_map(|goal| goal.takes().concat()).chain(ALWAYS.iter().copied()).collect();
        let command = command();
        for argument in command.get_arguments() {
            assert!(all.contains(&argument.get_id().as_str()), "{} belongs nowhere", argument.get_id());
        }
        for word in all.iter().filter(|word| !["help", "color"].contains(word)) {
            assert!(command.get_arguments().any(|argument| argument.get_id() == word), "{word} is no word any more");
        }
    }

    /// None where clap itself refuses it.
    fn says(line: &str) -> Option<Option<String>> {
        let words = std::iter::once("restore").chain(line.split_ascii_whitespace());
        let said = command().try_get_matches_from(words).ok()?;
        Restore::from_arg_matches(&said).ok()?;
        Some(meaningless(&command(), &said))
    }

    #[test]
    fn what_would_be_passed_over_is_refused() {
        for line in [
            "--files a --to-root / --in-place --overwrite --where x --plan --yes",
            "--files a --to-root /r --database d --no-snapshot",
            "--table t --replace --delete-others --key id",
            "--table t --csv - --lock-timeout 1s",
            "--table t --csv - --connection service=x",
            "--table t --plan --create --globals",
            "--table t --to-root /r",
            "--into-database d --table t --keep-replaced s",
            "--into-database d --thaw 3 --slot x",
            "--export-to d --schema x --no-owner",
            "--target d --replace",
            "--target d --job nightly",
            "--target d --connection service=x",
            "--target d --programs /p",
            "--target d --create",
            "--target d --jobs 3",
            "--target d --overwrite",
            "--target d --exclusive",
            "--target d --to-name n --exclusive",
            "--target d --latest --at-target pause",
            "--target d --at-target shutdown",
            "--table t --immediate --backup b --exclusive",
            "--target d --to-name n --primary-conninfo service=x --slot s",
            "--into-database d --occupied --end-connections",
            "--into-database d --create --snapshot",
            "--into-database d --create --tier t --snapshot",
            "--into-database d --create --tier t --schema s",
            "--into-database d --create --tier t --single-transaction",
            "--into-database d --create --tier t --at-target pause",
            "--into-database d --create --to 2026-11-21",
            "--into-database d --create --plan",
            "--into-database d --create --directory /d",
            "--target d --plan",
            "--target d --directory /d",
            "--target d --tier t",
            "--into-database d --create --end-connections",
            "--target d --as-standby --at-target promote",
        ] {
            assert!(says(line).is_none_or(|said| said.is_some()), "{line}");
        }
        assert_eq!(says("--target d --latest --at-target pause").flatten().map(|said| said.contains("end of the log")), Some(true));
    }

    #[test]
    fn what_belongs_together_is_taken() {
        for line in [
            "--target d --to 2026-11-21 --exclusive --timeline 2 --at-target pause --workers 3 --start -y",
            "--target d --immediate --at-target pause",
            "--target d --as-standby --primary-conninfo service=x --slot s",
            "--into-database d --create --jobs 2 --globals --job j --connection service=x --programs /p",
            "--into-database d --replace --end-connections",
            "--into-database d --occupied --snapshot --end-connections",
            "--into-database d --create --map-role a=b --map-role \"c=d\"=e",
            "--into-database d --create --tier a --tier b --jobs 2 --globals --map-role a=b --no-owner --connection service=x --job j",
            "--into-database d --create --tier a --to 2026-11-21 --exclusive --timeline 2 --plan --directory /d --workers 2",
            "--into-database d --create --tier a --latest --backup b --store s",
            "--export-to d --job j --table t",
            "--files --to-root /r --job j",
            "--files a b --to-root / --in-place --overwrite --numeric-owner --backup b",
            "--table t --to 2026-11-21 --where x --merge --key a,b --delete-others --show 3 --plan --lock-timeout 1s",
            "--table t --replace --no-snapshot --connection service=x --refresh-aggregates",
            "--table t --csv - --where x --job j --programs /p --directory d --made-later",
            "--table t --into-schema s --as n --connection service=x",
        ] {
            assert_eq!(says(line), Some(None), "{line}");
        }
    }
}
