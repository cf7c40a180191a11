//! A copy of files: `seawall backup` of one, against `tar | zstd -T2`, in turn; and against that at level 1, which is ours, and with `age` behind
//! it, which is all that ours does.
//!
//! `cargo bench --bench files` copies about a gigabyte in large and small files, or `SEAWALL_BENCH_FILES` small ones; `cargo test --bench files` a few.

mod clusters;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use clusters::{Cluster, Options, Version};

/// Of the peer's wall time.
const GOAL: f64 = 1.0;

#[derive(Debug, Clone, Copy)]
struct Figures {
    wall: f64,
    cpu: f64,
    memory_mb: f64,
    kept_mb: f64,
}

fn main() -> ExitCode {
    let full = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::var("SEAWALL_BENCH_FILES").ok().and_then(|text| text.parse().ok());
    let (files, megabytes, runs) = if full { (asked.unwrap_or(60_000_u64), 400, 3) } else { (200, 4, 1) };
    let cluster = Cluster::start(Version::V15, Options::default());
    let shell = |text: &str| {
        let text = text.replace("SEAWALL", env!("CARGO_BIN_EXE_seawall"));
        let mut command = cluster.account().command("bash");
        let done = command.args(["-c", &format!("cd {} && {text}", cluster.folder().display())]).status();
        assert!(done.is_ok_and(|status| status.success()), "{text}");
    };
    let kept = || {
        let all = [cluster.folder().join("peer"), cluster.folder().join("store")].map(|at| bytes(&at));
        all.iter().sum::<u64>() as f64 / 1e6
    };
    let measure = |command: &str| {
        let _ = Command::new("sync").status();
        shell(&format!("/usr/bin/time -o time -f '%e %U %S %M' bash -c \"{command}\" > said 2>&1 || {{ cat said; exit 1; }}"));
        let text = fs::read_to_string(cluster.folder().join("time")).expect("Debian's package `time`");
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        Figures { wall: numbers[0], cpu: numbers[1] + numbers[2], memory_mb: numbers[3] / 1024.0, kept_mb: kept() }
    };
    // What compresses well, what does not, and what is small.
    shell(&format!(
        "mkdir store state tree && head -c {megabytes}M /dev/urandom > tree/random && yes 'a line of some log, as there are many' | \
         head -c {megabytes}M > tree/text && age-keygen -o identity.txt 2> recipient && python3 -c \"\nimport os\nfor n in range({files}):\n  \
         if n % 500 == 0: os.makedirs(f'tree/{{n // 500}}')\n  open(f'tree/{{n // 500}}/{{n}}', 'w').write('setting = value %d; ' % n * 100)\n\""
    ));
    let said = fs::read_to_string(cluster.folder().join("recipient")).expect("what it said");
    let recipient = said.trim().rsplit(' ').next().expect("a key");
    let (folder, conninfo) = (cluster.folder().display().to_string(), cluster.conninfo());
    let policy = format!(
        "version: 1\npolicy: bench\nowner: you@example.com\nreview_by: 2099-06-30\n\
         cluster: {{ connection: \"{conninfo}\", databases: [postgres] }}\nobjectives: {{ rpo: 24h, rto: 1h }}\n\
         stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }} }}\n\
         encryption: {{ age: {{ recipients: [{recipient}] }} }}\n\
         backups: {{ system: {{ files: {{ paths: [{folder}/tree] }}, schedule: {{ at: \"03:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB, \
         read_back: sizes }} }}\n"
    );
    fs::write(cluster.folder().join("policy.yaml"), policy).expect("a policy");
    cluster.account().own(cluster.folder());
    println!("{files} small files of 2 kB and 2 of {megabytes} MB, {runs} runs in turn, medians\n");
    let ours = "SEAWALL backup system --policy policy.yaml --state state".to_owned();
    let peer = |rest: &str| format!("set -o pipefail; tar -C tree -cf - . | zstd -T2 {rest} > peer; sync peer");
    let commands = [ours, peer("-q"), peer("-1 -q"), peer(&format!("-1 -q | age -r {recipient}"))];
    let mut all: [Vec<Figures>; 4] = Default::default();
    for _ in 0..runs {
        for (at, command) in commands.iter().enumerate() {
            shell("rm -rf peer store/*/data store/*/backups");
            all[at].push(measure(command));
        }
    }
    let [ours, plain, fast, encrypted] = all.map(|figures| median(&figures));
    let names = ["seawall (level 1, encrypted, hashed, signed)", "tar | zstd -T2", "tar | zstd -T2 -1", "tar | zstd -T2 -1 | age"];
    for (name, each) in names.into_iter().zip([ours, plain, fast, encrypted]) {
        let Figures { wall, cpu, memory_mb, kept_mb } = each;
        println!("{name:44} {wall:7.2} s  {cpu:7.2} s CPU  {memory_mb:5.0} MB for the largest process  {kept_mb:7.1} MB kept");
    }
    let ratio = ours.wall / plain.wall;
    println!(
        "\nwall {ratio:.2} of `tar | zstd -T2` (goal {GOAL}); {:.2} of that at level 1, {:.2} of that with `age`",
        ours.wall / fast.wall,
        ours.wall / encrypted.wall
    );
    if full && ratio > GOAL { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn median(figures: &[Figures]) -> Figures {
    let of = |one: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = figures.iter().map(one).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Figures { wall: of(|one| one.wall), cpu: of(|one| one.cpu), memory_mb: of(|one| one.memory_mb), kept_mb: of(|one| one.kept_mb) }
}

/// Of a file, or of all below a folder.
fn bytes(at: &Path) -> u64 {
    let Ok(about) = fs::symlink_metadata(at) else { return 0 };
    if !about.is_dir() {
        return about.len();
    }
    fs::read_dir(at).expect("a folder").map(|entry| bytes(&entry.expect("an entry").path())).sum()
}
