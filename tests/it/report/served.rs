//! The page served live, asked over real sockets by curl and by whoever does not keep to the rules.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Rig;
use super::year::{self, Fate};
use crate::servers::live::Live;

/// A server that ends with the test.
struct Server(Live);

impl Server {
    fn of(rig: &Rig) -> Server {
        Server(Live::start(rig.room.command(), "policies"))
    }

    fn curl(&self, words: &[&str], path: &str) -> (String, String) {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--max-time", "20"])
            .args(words)
            .arg(format!("http://{}{path}", self.0.address))
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        (head.to_ascii_lowercase(), body.to_owned())
    }

    fn status(&self, words: &[&str], path: &str) -> u16 {
        let (head, _) = self.curl(words, path);
        head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {head:?}"))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.0.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        stream
    }

    fn signal(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }
}

fn fleet() -> Rig {
    let rig = Rig::new("anna").with("berta");
    for (name, fate) in [("anna", Fate::Well), ("berta", Fate::Ill)] {
        year::fill_days(&rig.catalog(), name, rig.now, fate, 16);
    }
    rig
}

#[test]
fn people_and_prometheus_are_answered() {
    let rig = fleet();
    let server = Server::of(&rig);
    let (head, body) = server.curl(&[], "/");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/html; charset=utf-8"), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'; style-src 'sha256-") && head.contains("frame-ancestors 'none'"),
        "{head}"
    );
    for header in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "cache-control: no-store", "x-frame-options: deny"] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert!(body.contains("href=\"/policy/berta\"") && body.find("berta") < body.find(">anna"), "the worst comes first");
    let (head, body) = server.curl(&[], "/policy/anna");
    assert!(head.starts_with("http/1.1 200") && body.contains("Recoverability of anna") && !body.contains("berta"), "{head}");
    let (_, body) = server.curl(&[], "/report.json");
    crate::cli::follows("report", &body);
    // What stands in the file that node_exporter reads, but for the moment.
    let (head, metrics) = server.curl(&[], "/metrics");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let written = rig.room.run(&["metrics", "-p", "policies", "--state", "state"]).stdout;
    let timeless =
        |text: &str| -> Vec<String> { text.lines().filter(|line| !line.contains("timestamp_seconds ")).map(str::to_owned).collect() };
    assert_eq!(timeless(&metrics), timeless(&written));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    promtool.stdin.take().expect("a pipe").write_all(metrics.as_bytes()).expect("written");
    let said = promtool.wait_with_output().expect("it ends");
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    let (head, body) = server.curl(&[], "/healthz");
    assert!(head.starts_with("http/1.1 200") && body.starts_with("ok\n"), "{head} {body}");
    // HEAD says the same, without it.
    let (head, body) = server.curl(&["--head"], "/");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: ") && body.is_empty(), "{head}");
}

#[test]
fn nothing_else_is_answered() {
    let rig = fleet();
    let server = Server::of(&rig);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"] {
        assert!(matches!(server.status(&["--request", method], "/"), 405 | 400), "{method}");
    }
    assert!(server.curl(&["--request", "DELETE"], "/").0.contains("allow: get, head"));
    assert_eq!(server.status(&["--request", "GET", "--data", "x=1"], "/"), 400);
    for path in ["/x", "/policy/", "/policy/nobody", "/policy/../../etc/passwd", "/policy/%2e%2e%2fetc", "/metrics/", "//", "/favicon.ico"]
    {
        assert_eq!(server.status(&["--path-as-is"], path), 404, "{path}");
    }
    // A name that somebody else controls and that points here for a moment.
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example:9187"] {
        assert!(matches!(server.status(&["--header", &format!("Host: {host}")], "/report.json"), 421 | 400), "{host}");
    }
    assert_eq!(server.status(&["--header", "Host: localhost:1"], "/healthz"), 200);
    // An address that others can reach is taken only from those who say that they know.
    let refused = rig.room.run(&["serve", "policies", "--state", "state", "--listen", "0.0.0.0:0"]);
    assert!(
        refused.code == Some(64) && refused.stderr.contains("neither encrypted") && refused.stderr.contains("--unprotected"),
        "{}",
        refused.stderr
    );
}

#[test]
fn who_does_not_keep_to_the_rules_costs_little() {
    let rig = fleet();
    let server = Server::of(&rig);
    // More than may be open at once, each with half a request.
    let half: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = server.connect();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(server.status(&[], "/healthz"), 200, "as soon as the slow ones are put out");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    for mut stream in half.into_iter().take(3) {
        let mut rest = Vec::new();
        // Closed, whatever was said before.
        assert!(stream.read_to_end(&mut rest).is_ok() || rest.is_empty());
    }
    let mut stream = server.connect();
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10)).as_bytes());
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    let mut stream = server.connect();
    let _ = stream.write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n");
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    assert_eq!(server.status(&[], "/healthz"), 200);
}

#[test]
fn it_ends_in_order_and_sees_what_changes() {
    let rig = fleet();
    let mut server = Server::of(&rig);
    assert_eq!(server.status(&[], "/policy/anna"), 200);
    // Somebody mends or breaks a policy: the next look but a few seconds shows it.
    let rig = rig.with_text("clara", &year::policy("clara"));
    let until = Instant::now() + Duration::from_secs(60);
    while server.status(&[], "/policy/clara") != 200 {
        assert!(Instant::now() < until, "the new policy is never seen");
        std::thread::sleep(Duration::from_millis(500));
    }
    // The record is gone: that is said, and the server stays.
    std::fs::rename(rig.place(), rig.room.path().join("away.db")).expect("renamed");
    std::thread::sleep(Duration::from_millis(1_200));
    let (head, body) = server.curl(&[], "/healthz");
    assert!(head.starts_with("http/1.1 503") && body.starts_with("not ok\n"), "{head} {body}");
    std::fs::rename(rig.room.path().join("away.db"), rig.place()).expect("renamed");
    let mut idle = server.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
    let mut some = [0; 16];
    idle.read_exact(&mut some).expect("answered");
    server.signal();
    let began = Instant::now();
    let ended = server.0.child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0), "an orderly end is no failure");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}
