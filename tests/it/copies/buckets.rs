use std::process::Stdio;

use super::{Pair, tree};
use crate::servers::s3::S3;

const LARGE: usize = 300 << 20;

fn bucket(s3: &S3, name: &str) -> String {
    format!("s3: {{ bucket: {name}, endpoint: \"http://127.0.0.1:{}\", path_style: true }}", s3.http)
}

/// Into a bucket, out of it again with the names of the stores exchanged, and all is as it was.
#[test]
fn through_a_bucket_and_back_it_is_the_same() {
    let mut s3 = S3::start();
    s3.make_bucket("second");
    let mut pair = Pair::new("[off]");
    let off = format!("local: {{ path: {} }}", pair.path("off").display());
    pair.ground.change(&off, &bucket(&s3, "second"));
    pair.backups(0..3);
    let before = pair.main();
    let done = pair.copy();
    assert_eq!(done["backups"].as_array().map(Vec::len), Some(3), "{done}");
    assert_eq!(pair.copy()["bytes"], 0);
    // A descriptor is lost, and so is an object of the log: put again, and nothing else.
    let lost = |what: &str| {
        s3.administer(&format!(
            "keys = [o['Key'] for o in s3.list_objects_v2(Bucket='second')['Contents'] if '{what}' in o['Key']]\n\
             [s3.delete_object(Bucket='second', Key=k) for k in keys]\nprint(len(keys))"
        ))
    };
    assert_eq!((lost("-b1.json"), lost("000000000001.zst")), ("2".to_owned(), "1".to_owned()));
    let again = pair.copy();
    assert_eq!(again["backups"][0]["id"], "b1", "{again}");
    // The original is lost; the copy becomes the original, and a new directory its copy.
    std::fs::remove_dir_all(pair.path("store")).expect("lost");
    let main = format!("local: {{ path: {} }}", pair.path("store").display());
    pair.ground.change(&bucket(&s3, "second"), &format!("local: {{ path: {} }}", pair.path("new").display()));
    pair.ground.change(&main, &bucket(&s3, "second"));
    let done = pair.copy();
    assert_eq!(done["complete"], true, "{done}");
    assert_eq!(tree(&pair.path("new")), before);
}

/// However large an object is, some pieces of it are in memory.
#[test]
fn a_large_object_takes_little_memory() {
    let s3 = S3::start();
    for to_bucket in [false, true] {
        let mut pair = Pair::new("[off]");
        if to_bucket {
            let off = format!("local: {{ path: {} }}", pair.path("off").display());
            pair.ground.change(&off, &bucket(&s3, "bucket"));
        }
        large(&pair);
        let mut child = pair.command(&["copy"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut peak = 0;
        while child.try_wait().expect("its state").is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
            let now = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() >> 10;
            peak = peak.max(now);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("to a bucket: {to_bucket}, peak {peak} MiB");
        // What of the program itself was read counts too: in a debug build some 60 MiB of it, and 30 to 70 are the copy's.
        assert!(peak > 0 && peak < 170, "{peak} MiB of {} MiB", LARGE >> 20);
    }
}

/// A backup with three parts of that size, which are not what a tar is: nobody opens them.
fn large(pair: &Pair) {
    use seawall::format::descriptor::{Object, ObjectKind};
    use std::io::Write as _;
    let folder = pair.path("store").join(pair.ground.fixture.repository.as_str()).join("data/b0");
    std::fs::create_dir_all(&folder).expect("made");
    pair.ground.fixture.segment(1, 1);
    let mut objects = Vec::new();
    for number in 2..5u8 {
        let name = format!("part-{number:05}.tar.zst");
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut file = std::fs::File::create(folder.join(&name)).expect("a file");
        let size = LARGE / 3;
        let block: Vec<u8> = (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ number).collect();
        for _ in 0..size >> 20 {
            file.write_all(&block).expect("written");
            digest.update(&block);
        }
        let sha256 = crate::repository::fixture::hex(digest.finish().as_ref());
        objects.push(Object { name, is: ObjectKind::Part, size: size as u64, sha256, plain_size: size as u64 });
    }
    pair.ground.backup_with("b0", &crate::expire::rig::day(0), 1, |descriptor| {
        descriptor.stored_size += objects.iter().map(|object| object.size).sum::<u64>();
        descriptor.objects.extend(objects);
    });
}
