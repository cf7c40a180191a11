//! The SQL that takes a change back, for people.
//!
//! It is run whenever somebody likes, hours later and by hand. So it looks itself whether anybody has written to what it would take away, and
//! whether foreign keys hold afterwards, and takes itself back where not.

use super::about::{About, KeyColumn, Kind, into_columns, joined_columns, same_key, same_row, sql};
use super::{references, uniques};
use crate::execute::archive::Time;
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::observe::{family, kin_query};
use crate::plan::words::quoted as shown;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::Connection;

/// Where rows are kept as they were before they were changed or removed; and those that came, as they came.
pub(super) fn kept(schema: &str, about: &About) -> (TableName, TableName) {
    let named = |name: String| TableName { schema: schema.to_owned(), name };
    (named(about.table.name.clone()), named(format!("{}_brought", about.table.name)))
}

/// One table of a change.
pub(super) struct Part<'p> {
    pub about: &'p About,
    pub key: &'p [KeyColumn],
    /// So many rows the table has since; where all that it had were kept.
    pub whole: Option<u64>,
    /// Of a hypertable, what is true of each row `t` that was brought: it lies in one of these spans of time. A statement that says so leaves
    /// all other chunks compressed.
    pub within: Option<Vec<String>>,
    /// What its continuous aggregates must be told again.
    pub told: Option<&'p str>,
    /// The column by which the days of a hold count, and its type.
    pub time: Option<(&'p str, &'p str)>,
}

/// Of all tables in one transaction: what leads from one to the other may hold only when all are as they were.
pub(super) fn undo(connection: &mut Connection, schema: &str, parts: &[Part<'_>]) -> Result<String, TableFault> {
    let mut all = vec!["begin".to_owned(), "set local row_security = off".to_owned()];
    if parts.iter().any(|part| part.about.kind == Kind::Hypertable) {
        // As many rows may come out of compressed chunks as it takes.
        all.push("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0".to_owned());
    }
    all.push(format!("lock table {} in exclusive mode", joined_columns(parts.iter().map(|part| part.about.name()))));
    for part in parts {
        let message = format!("rows of {} were written since, and would be lost", part.about.name());
        let hint = format!("What was there before is in the schema {}: take over from there what is wanted.", quoted(schema));
        all.push(raise(&part.written_since(schema), &message, &hint));
    }
    // No hold comes from here on, as far as this role may see to that.
    all.push(format!("do {}", literal(NONE_COMES_NOW)));
    for part in parts {
        let kin = kin_query(connection, &format!("{}::regclass", literal(&part.about.name())))?;
        all.push(format!("do {}", literal(&part.must_not_be_held(schema, &kin))));
    }
    all.push("set local session_replication_role = replica".to_owned());
    for part in parts {
        all.extend(part.back(schema));
    }
    let abouts: Vec<&About> = parts.iter().map(|part| part.about).collect();
    let nothing = "Nothing was changed.";
    for (name, broken) in references::broken(connection, &abouts)? {
        all.push(raise(&format!("exists ({broken})"), &format!("the foreign key {} would not hold any more", shown(name)), nothing));
    }
    for about in abouts {
        for one in uniques::unique(connection, about)? {
            let message = format!("the constraint {} of {} would not hold any more", shown(&one.name), one.table);
            all.push(raise(&format!("exists (select {})", one.broken()), &message, nothing));
        }
    }
    all.extend(parts.iter().filter_map(|part| part.told).map(str::to_owned));
    all.push("commit;".to_owned());
    Ok(all.join("; "))
}

/// The lock is the last one, and not waited for, so that nobody waits in a circle.
const NONE_COMES_NOW: &str = "begin \
    if coalesce(has_table_privilege(to_regclass('seawall.hold'), 'update, delete, truncate'), false) then \
    lock table seawall.hold in share mode nowait; end if; end";

fn raise(unwanted: &str, message: &str, hint: &str) -> String {
    let (message, hint) = (literal(message), literal(hint));
    let body = format!("begin if {unwanted} then raise exception using message = {message}, hint = {hint}; end if; end");
    format!("do {}", literal(&body))
}

impl Part<'_> {
    fn names(&self, schema: &str) -> (String, String, String) {
        let (rows, brought) = kept(schema, self.about);
        (self.about.name(), sql(&rows), sql(&brought))
    }

    /// True where a row is neither one that was kept nor one that was brought, or one that was brought is gone.
    fn written_since(&self, schema: &str) -> String {
        let (name, rows, brought) = self.names(schema);
        let columns: Vec<_> = self.about.stored().collect();
        let of = |one: &str, other: &str| (same_key(self.key, one, other), same_row(&columns, one, other));
        match self.whole {
            Some(count) if self.key.is_empty() => {
                let text = |of: &str| {
                    format!("row({})::text", joined_columns(columns.iter().map(|column| format!("{of}.{}", quoted(&column.name)))))
                };
                let (now, then) = (text("t"), text("b"));
                format!(
                    "(select count(*) from {name}) <> {count} or exists (select {now} from {name} t except all select {then} from {brought} b)"
                )
            }
            whole => {
                let ((key_b, row_b), (key_k, row_k)) = (of("t", "b"), of("t", "k"));
                let gone = format!("exists (select from {brought} b where not exists (select from {name} t where {key_b} and {row_b}))");
                let new = match whole {
                    Some(count) => format!(
                        "(select count(*) from {name}) <> {count} or exists (select from {name} t \
                         where not exists (select from {brought} b where {key_b} and {row_b}) \
                         and not exists (select from {rows} k where {key_k} and {row_k}))"
                    ),
                    // Columns that somebody named for a key need not be one any more.
                    None => format!(
                        "exists (select from {rows} k join {name} t on {key_k} where not exists (select from {brought} b where {key_b})) \
                         or (select count(*) from {name} t join {brought} b on {key_b}) <> (select count(*) from {brought})"
                    ),
                };
                format!("{gone} or {new}")
            }
        }
    }

    /// Stops where a hold stands, by then, on a row that would be taken away. What the holds are is not known before, so it is asked when it is run,
    /// by the rules that hold here (`held`): what a hold names may be the table, a part of it, or a view over it.
    fn must_not_be_held(&self, schema: &str, kin: &str) -> String {
        let (name, _, brought) = self.names(schema);
        let from = match self.key.is_empty() {
            true => format!("{name} t"),
            false => format!("{name} t join {brought} b on {}", same_key(self.key, "t", "b")),
        };
        let rows = literal(&format!("select count(*) from (select t.tableoid as seawall_part, t.* from {from}) t where "));
        let part = family("%L::regclass").replace('\'', "''");
        let hint = literal(&format!(
            "Nothing was changed. What was there before is in the schema {}: take over from there what is not held.",
            quoted(schema)
        ));
        format!(
            "declare h record; k record; w text; n bigint; z text := current_setting('timezone'); p text[]; begin \
             if to_regclass('seawall.hold') is null then return; end if; \
             for h in select policy, name, of_table, condition, rows_from, rows_to, zone, reason from seawall.hold \
             where until is null or (clock_timestamp() at time zone zone)::date < until order by policy, name loop \
             begin p := parse_ident(h.of_table); exception when others then p := string_to_array(lower(h.of_table), '.'); end; \
             select * into k from ({kin}) kin where kin.name = p[cardinality(p)] \
             and (cardinality(p) < 2 or kin.schema = p[cardinality(p) - 1]) \
             order by case kin.kind when 'whole' then 1 when 'part' then 2 else 3 end limit 1; \
             continue when not found; w := 'true'; \
             if k.kind = 'part' then w := w || format(' and seawall_part in ({part})', format('%I.%I', k.schema, k.name)); end if; \
             if k.kind <> 'view' then {days} \
             if h.condition is not null then w := w || ' and (' || h.condition || chr(10) || ')'; end if; end if; \
             perform set_config('timezone', h.zone, true); \
             execute {rows} || '(' || w || ') is not false' into n; \
             perform set_config('timezone', z, true); \
             if n > 0 then raise exception using message = format('%s of the rows of %s that would be taken back are under the hold `%s` of the \
             policy `%s` (%s)', n, {table}, h.name, h.policy, h.reason), hint = {hint}; end if; \
             end loop; end",
            days = self.days(),
            table = literal(&name),
        )
    }

    /// The days that a hold names, where they count, added to what is asked.
    fn days(&self) -> String {
        let Some((column, time)) = self.time.and_then(|(column, r#type)| Some((column, Time::of(r#type)?))) else { return String::new() };
        // Written once with what stands for a day and for a zone, which `format` fills in.
        let column = quoted(column).replace('%', "%%");
        let one = |from: Option<&str>, to: Option<&str>, of: &str| {
            let text: String = time.days(&column, (from, to), "%2$L").concat().replace("'%1$L'", "%1$L").replace("'%2$L'", "%2$L");
            format!(
                "if h.{of} is not null then w := w || ' and ' || format({}, to_char(h.{of}, 'YYYY-MM-DD'), h.zone); end if;",
                literal(&text)
            )
        };
        format!("{} {}", one(Some("%1$L"), None, "rows_from"), one(None, Some("%1$L"), "rows_to"))
    }

    fn back(&self, schema: &str) -> Vec<String> {
        let ((name, rows, brought), columns) = (self.names(schema), self.about.stored_list());
        let insert = format!("insert into {} overriding system value select {columns} from {rows} k", into_columns(&name, &columns));
        if self.key.is_empty() {
            return vec![format!("delete from {name}"), insert];
        }
        let delete = format!("delete from {name} t using {brought} b where {}", same_key(self.key, "t", "b"));
        let mut back = match &self.within {
            Some(spans) => spans.iter().map(|within| format!("{delete} and {within}")).collect(),
            None => vec![delete],
        };
        back.push(format!("{insert} where not exists (select from {name} t where {})", same_key(self.key, "t", "k")));
        back
    }
}

pub(super) fn key_list(key: &[KeyColumn], of: &str) -> String {
    joined_columns(key.iter().map(|column| format!("{of}.{}", quoted(&column.name))))
}
