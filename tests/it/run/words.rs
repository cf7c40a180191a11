//! What a run says while it runs, in the forms that others read.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::rig::Run;
use crate::backup::rig::Policy;

#[test]
fn a_collector_reads_an_object_a_line() {
    let run = Run::new("", "");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.rig.shell("mv store gone");
    let said = run.say(&["run", "nightly", "--log-format", "json"]);
    let lines: Vec<Value> =
        said.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let fault = lines.iter().find(|line| line["level"] == "ERROR").unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(fault["message"].as_str().is_some_and(|message| message.starts_with("backups.nightly: ")), "{fault}");
    assert!(fault["hint"].as_str().is_some_and(|hint| !hint.is_empty()) && fault["timestamp"].is_string(), "{fault}");
    // What is said within a job names it.
    assert!(lines.iter().any(|line| line["span"]["job"] == "backups.nightly" && line["span"]["policy"] == "try"), "{lines:#?}");
}

/// How far it is, too.
#[test]
fn a_collector_reads_how_far_it_is() {
    let run = Run::with(&Policy { physical: "read_limit: 1MB/s".into(), ..Policy::default() }, "");
    let mut child =
        run.command(&["run", "nightly", "--log-format", "json"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("seawall");
    let lines = BufReader::new(child.stderr.take().expect("its words")).lines().map_while(Result::ok);
    let objects = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let mut objects = objects.skip_while(|object| !object["message"].as_str().is_some_and(|message| message.contains(" % ")));
    let told = objects.next().expect("how far it is");
    run.signal_to("run nightly --log-format json", "TERM");
    objects.for_each(drop);
    assert_eq!(child.wait().expect("its end").code(), Some(143));
    assert_eq!(told["level"], "INFO", "{told}");
}

#[test]
fn the_journal_gets_the_level_of_each_line() {
    let run = Run::new("", "");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.rig.shell("mv store gone");
    let path = run.file("journal");
    let say = |stream: &dyn Fn(&File) -> String| {
        let file = File::create(&path).expect("a file");
        let stream = stream(&file);
        let ended = run.command(&["run", "nightly"]).env("JOURNAL_STREAM", stream).stdout(Stdio::null()).stderr(file).status();
        assert!(!ended.expect("seawall").success());
        std::fs::read_to_string(&path).expect("its words")
    };
    let levels = |text: &str| text.lines().filter(|line| line.starts_with('<')).map(|line| line[..3].to_owned()).collect::<Vec<_>>();
    let about = |file: &File| file.metadata().expect("a file");
    let told = say(&|file| format!("{}:{}", about(file).dev(), about(file).ino()));
    assert!(told.contains("<3>error: backups.nightly: ") && told.contains("<6>backups.nightly: "), "{told}");
    assert!(levels(&told).iter().all(|level| ["<3>", "<4>", "<6>"].contains(&level.as_str())), "{told}");
    // The variable of another stream says nothing of this one.
    let told = say(&|file| format!("{}:{}", about(file).dev(), about(file).ino() + 1));
    assert_eq!(levels(&told), [""; 0], "{told}");
}

#[test]
fn systemd_is_told_how_far_it_is() {
    let run = Run::with(&Policy { physical: "read_limit: 1MB/s".into(), ..Policy::default() }, "");
    let path = run.file("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    run.rig.shell_as_root("chmod 777 notify");
    socket.set_read_timeout(Some(Duration::from_secs(120))).expect("patience");
    let mut command = run.command(&["run", "nightly"]);
    let mut child = command.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).expect("a word");
    let told = String::from_utf8_lossy(&bytes[..length]).into_owned();
    run.signal("TERM");
    assert_eq!(child.wait().expect("its end").code(), Some(143));
    assert!(told.starts_with("STATUS=") && told.contains(" of "), "{told}");
}
