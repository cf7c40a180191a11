//! What an archive says of the rows that moved into it: an *extent*, the rows of one table in one stretch of time, exported at one moment.
//! Its descriptor is put last. That it was read back whole is said by a second object, signed by whoever read it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::descriptor::{By, FORMAT, SealedText};
use super::seal::{Identities, Recipients, SealError};
use crate::inventory::SystemIdentifier;
use crate::units::{BackupId, Instant};

/// One with some thousand columns.
pub const MAX_BYTES: usize = 4 << 20;

/// What an extent says of itself to everybody who can read the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub format: u32,
    pub id: BackupId,
    pub exported: Instant,
    pub by: By,
    pub system_identifier: SystemIdentifier,
    /// `server_version_num`.
    pub version: u32,
    pub rows: u64,
    /// Bytes of the rows as CSV.
    pub size: u64,
    pub stored_size: u64,
    pub objects: Vec<Stored>,
    /// [`Contents`] as JSON, encrypted with age (armoured) to the recovery recipients and to the host's own key.
    pub private: String,
}

/// One object of an extent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Below `archive/<extent>/`.
    pub name: String,
    pub form: Form,
    pub size: u64,
    /// Of the object as it lies in the store, in hexadecimal.
    pub sha256: String,
    /// Of a Parquet file before encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// With a header; what `COPY … FROM … (FORMAT csv, HEADER)` reads.
    Csv,
    Parquet,
}

/// What only those may read who can read the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The job's path in the policy.
    pub job: String,
    pub database: String,
    pub schema: String,
    pub table: String,
    /// The table's own in that database: renamed, it is the same one still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<u32>,
    /// The column with the time.
    pub column: String,
    /// The first moment, and the one after the last, as text in that column's type.
    pub from: String,
    pub to: String,
    /// Which rows of that stretch: a condition in SQL that leaves out what is under a hold.
    pub condition: String,
    /// What of it is read in a time zone of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zoned: Vec<Zoned>,
    pub columns: Vec<Column>,
    /// Of the rows, whatever their order: see [`super::rows::Tally`].
    pub sum: String,
    /// Settings of the session that wrote them as text.
    pub settings: BTreeMap<String, String>,
    /// The version of TimescaleDB, where the table was a hypertable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timescaledb: Option<String>,
}

/// A part of a condition that the session's own time zone does not read: a function of the session calls it by a name that no other part has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zoned {
    pub function: String,
    pub zone: String,
    pub condition: String,
}

impl Zoned {
    /// `digest`: of all that makes it what it is, in hexadecimal.
    pub fn new(zone: String, condition: String, digest: &str) -> Zoned {
        Zoned { function: format!("seawall_held_{}", digest.get(..32).unwrap_or(digest)), zone, condition }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    pub name: String,
    /// As `format_type` writes it.
    pub r#type: String,
    pub not_null: bool,
}

/// Somebody with an identity has read every row of an extent out of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    pub format: u32,
    pub id: BackupId,
    /// SHA-256 of the descriptor that was compared with.
    pub descriptor: String,
    pub rows: u64,
    pub at: Instant,
    pub host: String,
}

/// The table does not have the rows any more. A copy of what the database itself has on record, for those who cannot ask it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub format: u32,
    pub id: BackupId,
    pub at: Instant,
    pub host: String,
}

/// The rows are about to leave their table. Put before they do, and there for as long as the extent is: whatever becomes of a database and of its
/// record, nobody takes the extent for one whose rows never left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    pub format: u32,
    pub id: BackupId,
    pub at: Instant,
    pub host: String,
    /// Which record it is going to be written into: that of one database in one cluster. One that was made anew is another.
    pub record: String,
}

/// Somebody has requested the rows from an archive class. Where that brings them out for good, they are not put back before this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awake {
    pub format: u32,
    pub id: BackupId,
    pub until: Instant,
    pub host: String,
}

impl Extent {
    pub fn contents(&self, identities: &Identities) -> std::io::Result<Contents> {
        SealedText::open(&self.private, identities)
    }
}

impl Contents {
    pub fn seal(&self, recipients: Option<&Recipients>) -> Result<String, SealError> {
        SealedText::seal(self, recipients)
    }

    /// A row of this one's table can be in both.
    pub fn overlaps(&self, other: &Contents) -> bool {
        self.is_of_table(other) && self.stretch().overlaps(other.stretch())
    }

    /// Every row of the other one's stretch of time that their table has is in this one's. Of a moment that cannot be read here nobody can say that.
    pub fn covers(&self, other: &Contents) -> bool {
        let moments = [&self.from, &self.to, &other.from, &other.to].map(|text| moment(text));
        let [Some(from), Some(to), Some(other_from), Some(other_to)] = moments else { return false };
        self.is_of_table(other) && from <= other_from && other_to <= to
    }

    /// What cannot be read here may be any moment.
    pub fn stretch(&self) -> Stretch {
        let (from, to) = (moment(&self.from), moment(&self.to));
        Stretch { from: from.unwrap_or(Moment::BeforeAll), to: to.unwrap_or(Moment::AfterAll) }
    }

    /// No moment of it is in none of these.
    pub fn is_covered_by<'c>(&self, others: impl Iterator<Item = &'c Contents>) -> bool {
        let Stretch { from, to } = self.stretch();
        let mut stretches: Vec<Stretch> = others.map(Contents::stretch).collect();
        stretches.sort_unstable();
        let reach = |reached: Moment, next: &Stretch| if next.from <= reached { reached.max(next.to) } else { reached };
        stretches.iter().fold(from, reach) >= to
    }

    /// No hold is known that left rows out of this one and none out of the other one.
    pub fn leaves_out_no_more_than(&self, other: &Contents) -> bool {
        self.left_out().is_empty() || self.left_out() == other.left_out()
    }

    /// What is behind the stretch of time in the condition.
    fn left_out(&self) -> &str {
        self.condition.split_once(" and (").map_or("", |(_, holds)| holds)
    }

    /// A table that was made anew under the same name is another one. Where that was not noted, nobody can tell.
    fn is_of_table(&self, other: &Contents) -> bool {
        let is_other = self.oid.is_some() && other.oid.is_some() && self.oid != other.oid;
        !is_other && (&self.database, &self.schema, &self.table) == (&other.database, &other.schema, &other.table)
    }

    /// `"public"."orders"`: for people.
    pub fn table_name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

/// From one moment to another one, which is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    from: Moment,
    to: Moment,
}

impl Stretch {
    pub fn overlaps(self, other: Stretch) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// As a server compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// `-infinity`.
    BeforeAll,
    /// So many microseconds after one that is the same for all.
    At(i128),
    /// `infinity`.
    AfterAll,
}

/// After so many years the calendar begins anew: their days in nanoseconds.
const ROUND: (i64, i128) = (400, 146_097 * 24 * 3600 * 1_000_000_000);

/// As the server writes it under the settings of an extent, or as Seawall does. A server has years that are none here, before Christ and after 9999.
fn moment(text: &str) -> Option<Moment> {
    match text {
        "-infinity" => return Some(Moment::BeforeAll),
        "infinity" => return Some(Moment::AfterAll),
        _ => {}
    }
    let (text, is_before_christ) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let (year, rest) = text.split_once('-')?;
    let year: i64 = year.parse().ok()?;
    // Before the first year is the first one before Christ.
    let year = if is_before_christ { 1 - year } else { year };
    let known = format!("{}-{rest}", 2000 + year.rem_euclid(ROUND.0));
    let wall = || known.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp());
    let at = known.parse::<Instant>().ok().or_else(wall)?;
    let since = at.as_nanosecond() + i128::from(year.div_euclid(ROUND.0)) * ROUND.1;
    // As the server reads what Seawall has written more finely.
    Some(Moment::At((since + 500).div_euclid(1000)))
}

/// What was whole so long ago is looked at again before rows leave their table on its word.
const READ_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

impl ReadBack {
    /// Not long ago; one from the future is by a clock that is wrong.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.at).abs() <= READ_AGAIN_AFTER
    }

    pub fn new(extent: &Extent, descriptor: String, at: Instant, host: String) -> ReadBack {
        ReadBack { format: FORMAT, id: extent.id.clone(), descriptor, rows: extent.rows, at, host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(table: &str, from: &str, to: &str) -> Contents {
        Contents {
            job: String::new(),
            database: "shop".into(),
            schema: "public".into(),
            table: table.into(),
            oid: None,
            column: "at".into(),
            from: from.into(),
            to: to.into(),
            condition: String::new(),
            zoned: Vec::new(),
            columns: Vec::new(),
            sum: String::new(),
            settings: BTreeMap::new(),
            timescaledb: None,
        }
    }

    #[test]
    fn stretches_of_time_overlap_however_they_are_written() {
        let year = contents("orders", "2019-01-01 00:00:00+00", "2020-01-01T00:00:00Z");
        for (from, to, expected) in [
            ("2019-12-31 23:59:59.5+00", "2021-01-01 00:00:00+00", true),
            ("2020-01-01 00:00:00+00", "2021-01-01 00:00:00+00", false),
            ("2018-01-01 00:00:00+00", "2019-01-01T00:00:00.000001Z", true),
            ("2018-01-01", "2019-01-02", true),
            ("2018-01-01 00:00:00", "2019-01-01 00:00:00", false),
            ("-infinity", "2021-01-01 00:00:00+00", true),
            ("-infinity", "2019-01-01 00:00:00+00", false),
            ("2019-12-31", "infinity", true),
            ("10000-01-01 00:00:00+00", "infinity", false),
            ("0044-03-15 12:00:00+00 BC", "2019-01-02 00:00:00+00", true),
            ("4713-01-01 BC", "0001-12-31 BC", false),
            // What nobody can read may be any moment.
            ("once", "2019-01-02", true),
            ("2018-01-01", "some day", true),
            ("2018-01-01", "2018-01-02", false),
        ] {
            let other = contents("orders", from, to);
            assert_eq!((year.overlaps(&other), other.overlaps(&year)), (expected, expected), "{from} {to}");
        }
        assert!(!year.overlaps(&contents("letters", "2019-01-01", "2020-01-01")));
        let of = |oid: Option<u32>| Contents { oid, ..year.clone() };
        assert!(of(Some(1)).overlaps(&of(Some(1))) && of(Some(1)).overlaps(&of(None)) && !of(Some(1)).overlaps(&of(Some(2))));
    }

    #[test]
    fn a_stretch_is_covered_without_a_gap() {
        let year = contents("orders", "2019-01-01 00:00:00+00", "2020-01-01T00:00:00Z");
        let covered = |by: &[(&str, &str)]| {
            let by: Vec<Contents> = by.iter().map(|(from, to)| contents("orders", from, to)).collect();
            year.is_covered_by(by.iter())
        };
        assert!(covered(&[("2019-01-01", "2020-01-01")]));
        assert!(covered(&[("2019-06-01", "2020-01-01"), ("2019-01-01", "2019-06-01")]));
        assert!(covered(&[("-infinity", "2019-07-01"), ("2019-06-01", "infinity")]));
        assert!(!covered(&[]));
        assert!(!covered(&[("2019-01-02", "2020-01-01")]));
        assert!(!covered(&[("2019-01-01", "2019-12-31")]));
        assert!(!covered(&[("2019-01-01", "2019-06-01"), ("2019-06-02", "2020-01-01")]));
    }

    #[test]
    fn a_hold_that_has_ended_makes_numbers_say_less() {
        let stretch = "at >= 'a'::timestamptz and at < 'b'::timestamptz";
        let with = |holds: &str| Contents { condition: format!("{stretch}{holds}"), ..contents("orders", "2019-01-01", "2020-01-01") };
        let (none, one, two) = (with(""), with(" and ((customer = 3\n)) is false"), with(" and ((customer = 4\n)) is false"));
        assert!(none.leaves_out_no_more_than(&none) && none.leaves_out_no_more_than(&one) && one.leaves_out_no_more_than(&one));
        assert!(!one.leaves_out_no_more_than(&none) && !one.leaves_out_no_more_than(&two));
    }

    #[test]
    fn moments_are_in_the_order_of_the_server() {
        // As PostgreSQL 16 sorts and writes them.
        let sorted = [
            "-infinity",
            "4713-01-01 00:00:00+00 BC",
            "0401-02-28 00:00:00+00 BC",
            "0044-03-15 11:59:59.999999+00 BC",
            "0044-03-15 12:00:00+00 BC",
            "0001-02-29 00:00:00+00 BC",
            "0001-12-31 23:59:59.999999+00 BC",
            "0001-01-01 00:00:00+00",
            "0400-02-29 00:00:00+00",
            "1969-12-31 23:59:59.999999+00",
            "1970-01-01 00:00:00+00",
            "2019-12-31T23:59:59.5Z",
            "9999-12-31 23:59:59.999999+00",
            "10000-01-01 00:00:00+00",
            "294276-12-31 23:59:59.999999+00",
            "infinity",
        ];
        let moments = sorted.map(|text| moment(text).unwrap_or_else(|| panic!("{text}")));
        assert!(moments.windows(2).all(|two| two[0] < two[1]), "{moments:?}");
        assert_eq!(moment("0044-03-15 BC"), moment("0044-03-15 00:00:00 BC"));
        assert_eq!(moment("2024-11-23T07:01:08.859025034Z"), moment("2024-11-23 07:01:08.859025+00"));
        for none in ["", "now", "-", "2019", "2019-02-29", "0044-03-15 AD"] {
            assert_eq!(moment(none), None, "{none}");
        }
    }

    #[test]
    fn one_covers_another_where_all_of_it_is_known_to_be_inside() {
        let all = contents("orders", "-infinity", "2020-01-01");
        for (from, to, expected) in [
            ("-infinity", "2020-01-01 00:00:00+00", true),
            ("0044-03-15 BC", "2019-01-01", true),
            ("2019-01-01", "2020-01-01 00:00:00.000001+00", false),
            ("once", "2019-01-01", false),
        ] {
            assert_eq!(all.covers(&contents("orders", from, to)), expected, "{from} {to}");
        }
        assert!(!contents("orders", "once", "some day").covers(&all));
        assert!(!all.covers(&contents("letters", "2019-01-01", "2019-02-01")));
    }
}
