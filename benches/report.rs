//! Reports of a fleet with a year of history, and the metrics that `seawall serve` answers with.
//!
//! `cargo bench --bench report` measures 1,000 policies; `cargo test --bench report` runs it once on five, to see that it still works. There
//! is no peer: nothing else makes such a report.

mod harness;
#[path = "../tests/it/report/year.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod year;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use harness::{Goal, compare};
use seawall::catalog::{Catalog, Where};

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (count, runs) = if full { (1_000, 5) } else { (5, 1) };
    let room = tempfile::tempdir().expect("a folder");
    let (fleet, state) = (room.path().join("fleet"), room.path().join("state"));
    std::fs::create_dir(&fleet).expect("a folder");
    for number in 0..count {
        let name = format!("service-{number:04}");
        std::fs::write(fleet.join(format!("{name}.yaml")), year::policy(&name)).expect("written");
    }
    live(&state, count);
    let size = std::fs::metadata(state.join("catalog.db")).map_or(0, |about| about.len());
    println!("{count} policies with a year of history, {} MB of catalog, {runs} runs, medians\n", size >> 20);

    let one = fleet.join("service-0000.yaml");
    let goal = |millis, memory_mb| Goal { wall: Some(Duration::from_millis(millis)), memory_mb: Some(memory_mb), exit: 0 };
    let out = room.path().join("report.html");
    let report = |policies: &Path, period: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("report").arg(policies).arg("--state").arg(&state).args(["--period", period, "-o"]).arg(&out);
        command
    };
    let mut metrics = Command::new(env!("CARGO_BIN_EXE_seawall"));
    metrics.args(["metrics", "-p"]).arg(&fleet).arg("--state").arg(&state);
    let outcomes = [
        compare("report, one policy, a year", goal(500, 100), &report(&one, "year"), None, runs),
        compare("report, the fleet, a month", goal(3_000, 300), &report(&fleet, "month"), None, runs),
        compare("report, the fleet, a year", goal(3_000, 300), &report(&fleet, "year"), None, runs),
        compare("metrics, the fleet", goal(1_000, 150), &metrics, None, runs),
    ];
    harness::print(&outcomes, full);
    println!("the page of the fleet: {} KB", std::fs::metadata(&out).map_or(0, |about| about.len()) >> 10);
    let served = serve(&fleet, &state, if full { 9 } else { 1 });
    let many = rate(&one, &state, if full { 5_000 } else { 20 });
    println!("serve, /metrics of the fleet, read anew: {} ms (goal: 150 ms)", served.as_millis());
    println!("serve, /metrics of one policy: {many:.0} a second (goal: 1,000)");
    if !full {
        println!("(a trial on {count} policies in a debug build: these figures mean nothing; `cargo bench --bench report` measures)");
    }
    if outcomes.iter().any(|outcome| outcome.ours.is_err()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// One policy lives through the catalog's own doors; what it left is copied for the others, which would take hours that way.
fn live(state: &Path, count: usize) {
    let place = state.join("catalog.db");
    let catalog = Catalog::open(&Where::Sqlite(place.clone())).expect("a catalog");
    year::fill(&catalog, "service-0000", seawall::units::Instant::now(), year::Fate::Well);
    drop(catalog);
    let python = std::env::var_os("SEAWALL_TEST_PYTHON").unwrap_or("python3".into());
    let copied = Command::new(python).arg("-c").arg(COPY).arg(&place).arg(count.to_string()).status().expect("python runs");
    assert!(copied.success());
}

/// The audit chain goes on with links of its own, whose hashes are reckoned as docs/catalog.md says.
const COPY: &str = r#"
import hashlib, json, sqlite3, sys
place, count = sys.argv[1], int(sys.argv[2])
c = sqlite3.connect(place)
c.execute('PRAGMA synchronous = off')
first = 'service-0000'
def columns(table):
    return [row[1] for row in c.execute(f'PRAGMA table_info({table})')]
runs = c.execute('SELECT count(*), max(id) FROM runs').fetchone()[1]
series = c.execute('SELECT max(id) FROM series').fetchone()[0]
for number in range(1, count):
    name = f'service-{number:04d}'
    for table, shifted in [('runs', {'id': runs}), ('jobs', {'last_run': runs, 'running': runs}), ('series', {'id': series}), ('alert_memory', {}),
                           ('drills', {}), ('inventories', {}), ('outbox', {})]:
        chosen = [column for column in columns(table) if not (table == 'outbox' and column == 'number')]
        def value(column):
            if column == 'policy': return f"'{name}'"
            if column in shifted: return f'{column} + {number * shifted[column]}'
            if column == 'id': return f"id || '-{number}'"
            return column
        c.execute(f"INSERT INTO {table} ({', '.join(chosen)}) SELECT {', '.join(map(value, chosen))} FROM {table} WHERE policy = '{first}'")
    c.execute(f"INSERT INTO measurements SELECT series + {number * series}, at, value FROM measurements WHERE series <= {series}")
# A fleet's rows lie as they came, one policy's among those of all others, and not together as they were copied.
c.execute('CREATE TEMP TABLE moved AS SELECT id FROM runs ORDER BY started, policy')
c.execute('CREATE INDEX temp.moved_from ON moved (id)')
for column in ['last_run', 'running']:
    c.execute(f'UPDATE jobs SET {column} = (SELECT moved.rowid FROM moved WHERE moved.id = jobs.{column})')
for table, order in [('runs', 'started, policy'), ('drills', 'ended, policy'), ('measurements', 'at, series')]:
    c.execute(f'CREATE TEMP TABLE ordered AS SELECT * FROM {table} ORDER BY {order}')
    c.execute(f'DELETE FROM {table}')
    if table == 'runs':
        c.execute('UPDATE ordered SET id = rowid')
    c.execute(f'INSERT INTO {table} SELECT * FROM ordered ORDER BY rowid')
    c.execute('DROP TABLE ordered')
links = c.execute("SELECT at, host, who, digest, git_commit, what, kind, details FROM audit ORDER BY seq").fetchall()
seq, previous = c.execute('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1').fetchone()
for number in range(1, count):
    rows = []
    for at, host, who, digest, commit, what, kind, details in links:
        seq += 1
        seconds, micros = divmod(at, 1000000)
        import datetime
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S') + f'.{micros:06d}Z'
        link = dict(at=moment, policy=f'service-{number:04d}', host=host, who=who, digest=digest, commit=commit, what=what, kind=kind,
                    details=details, seq=seq, previous=previous, version=1)
        text = json.dumps(link, sort_keys=True, separators=(',', ':'), ensure_ascii=False)
        mark = hashlib.sha256(text.encode()).hexdigest()
        rows.append((seq, at, link['policy'], host, who, digest, commit, what, kind, details, previous, mark))
        previous = mark
    c.executemany('INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?,?,?,?)', rows)
c.commit()
c.execute('VACUUM')
"#;

struct Server(Child, SocketAddr);

impl Server {
    fn of(policies: &Path, state: &Path) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.arg("serve").arg(policies).arg("--state").arg(state).args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address =
            lines.by_ref().map_while(Result::ok).find_map(|line| line.split("http://").nth(1).and_then(|rest| rest.trim().parse().ok()));
        std::thread::spawn(move || lines.for_each(drop));
        Server(child, address.expect("it says where it listens"))
    }

    fn ask(&self) -> Duration {
        let began = Instant::now();
        let mut stream = TcpStream::connect(self.1).expect("connected");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("asked");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("answered");
        assert!(said.starts_with(b"HTTP/1.1 200"));
        began.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a scrape takes when nothing is at hand but the policies themselves.
fn serve(policies: &Path, state: &Path, times: usize) -> Duration {
    let server = Server::of(policies, state);
    server.ask();
    let mut all: Vec<Duration> = (0..times)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(1_100));
            server.ask()
        })
        .collect();
    all.sort_unstable();
    all[all.len() / 2]
}

fn rate(policy: &Path, state: &Path, times: usize) -> f64 {
    let server = Server::of(policy, state);
    server.ask();
    let began = Instant::now();
    for _ in 0..times {
        server.ask();
    }
    times as f64 / began.elapsed().as_secs_f64()
}
