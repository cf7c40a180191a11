//! What the measured clusters hold.

/// Half of it like pgbench's accounts, which compress unusually well, half a time series. A statement each, none of which takes long.
pub fn statements(gigabytes: f64) -> Vec<String> {
    let rows = |bytes: f64| (gigabytes / 2.0 * 1e9 / bytes) as u64;
    let mut statements = vec![
        "create table accounts (aid int primary key, bid int, abalance int, filler char(84))".to_owned(),
        "create table series (at timestamptz, device int, temperature float8, humidity float8, tag text)".to_owned(),
    ];
    let mut fill = |rows: u64, insert: &str| {
        let each = rows.div_ceil(10).max(1);
        let begins = (1..=rows).step_by(usize::try_from(each).unwrap_or(usize::MAX));
        statements.extend(begins.map(|from| format!("{insert} from generate_series({from}, {}) g", (from + each - 1).min(rows))));
    };
    fill(rows(150.0), "insert into accounts select g, g / 100000, 0, ''");
    fill(
        rows(120.0),
        "insert into series select '2026-01-01'::timestamptz + g * interval '1 second', g % 500, random() * 100, random(), md5((g % 1000)::text)",
    );
    statements.extend(["create index on series (at)".to_owned(), "checkpoint".to_owned()]);
    statements
}
