use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};

/// Writes what is known of `service-0000`: `count` good backups, one each hour up to 20 November 2026.
pub fn write_inventory(file: &Path, count: usize) -> io::Result<()> {
    let newest = Timestamp::from_second(1_795_132_800).map_err(io::Error::other)?;
    let mut backups = String::new();
    for number in 0..count {
        let started = newest - SignedDuration::from_hours((count - number) as i64);
        let stopped = started + SignedDuration::from_mins(20);
        let comma = if number == 0 { "" } else { "," };
        let _ = writeln!(
            backups,
            r#"{comma}{{"id":"b{number:06}","job":"nightly","kind":"full","state":"complete","started":"{started}","stopped":"{stopped}"}}"#
        );
    }
    let text = format!(
        r#"{{"format_version":1,"observed_at":"{newest}","clusters":{{"service-0000":{{
"system_identifier":{{"known":"7301234567890123456"}},"postgres_version":{{"known":"16.4"}},"cluster_size":{{"known":"50GB"}},
"measured":{{"unknown":{{"reason":"no catalog"}}}},"holds":{{"known":[]}},
"stores":{{"main":{{"known":{{"backups":[{backups}],"wal":[],"used":{{"known":"10TB"}}}}}},
"offsite":{{"unknown":{{"reason":"not asked"}}}}}}}}}}}}"#
    );
    fs::write(file, text)
}
