//! How fast and with how much memory; by hand: `cargo test --release --test it measure -- --ignored --nocapture`.

use std::io::Read;
use std::time::Instant;

use seawall::store::{Key, Store};

use super::child::Errand;
use super::contract::{key, noise};
use super::local;
use crate::servers::s3;

const SIZE: usize = 1 << 30;

fn upload(store: &Store, key: &Key) -> (f64, f64) {
    let mut upload = store.upload(key).expect("begun");
    let piece = noise(upload.piece_size(0), 1);
    let since = Instant::now();
    for index in 0..SIZE / piece.len() {
        upload.put(index as u32, piece.clone()).expect("put");
    }
    let put = since.elapsed().as_secs_f64();
    upload.finish().expect("finished");
    (put, since.elapsed().as_secs_f64())
}

/// Most memory this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

/// Seconds of processor time that this process has used.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

pub(super) fn speed_of(store: &Store) {
    let rate = |seconds: f64| SIZE as f64 / seconds / 1e6;
    for round in 0..3 {
        let key = key(&format!("measure/{round}"));
        let began = processor();
        let (put, all) = upload(store, &key);
        let used = processor();
        let since = Instant::now();
        let mut reader = store.reader(&key, 0..SIZE as u64).expect("a stream");
        let mut buffer = vec![0; 1 << 20];
        while reader.read(&mut buffer).expect("read") > 0 {}
        let read = since.elapsed().as_secs_f64();
        let line = format!(
            "{}: up {:.0} MB/s ({put:.2} s, and {:.2} s to finish; {:.2} s of processor), down {:.0} MB/s ({:.2} s of processor), peak {} MiB",
            store.url(),
            rate(all),
            all - put,
            used - began,
            rate(read),
            processor() - used,
            peak()
        );
        println!("{line}");
        store.delete(&[key]).expect("deleted");
    }
}

#[test]
#[ignore = "a measurement"]
fn measure_local() {
    let directory = tempfile::tempdir_in(std::env::var_os("SEAWALL_MEASURE_IN").unwrap_or_else(|| "/var/tmp".into())).expect("a directory");
    let store = local(directory.path());
    speed_of(&store);
    let names = 200_000;
    std::fs::create_dir(directory.path().join("many")).expect("made");
    for number in 0..names {
        std::fs::File::create(directory.path().join(format!("many/{number:08}"))).expect("made");
    }
    let (since, before) = (Instant::now(), peak());
    let mut count = 0;
    let listed = store.list_each("many", &mut |_| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    });
    listed.expect("listed");
    println!("{count} names listed in {:.2} s, peak from {before} to {} MiB", since.elapsed().as_secs_f64(), peak());
}

#[test]
#[ignore = "a measurement"]
fn measure_s3() {
    let server = s3::S3::start();
    let errand = Errand::new("measure")
        .with("STORE_KIND", "s3")
        .with("STORE_BUCKET", "bucket")
        .with("STORE_ENDPOINT", format!("http://127.0.0.1:{}", server.http))
        .with("AWS_SHARED_CREDENTIALS_FILE", server.credentials_file().display())
        .with("STORE_PROFILE", "seawall");
    print!("{}", errand.run());
}
