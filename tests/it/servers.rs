//! Servers for tests: the real programs, on free ports of this machine, gone when their test is.

pub(crate) mod alertmanager;
pub(crate) mod azure;
pub(crate) mod gcs;
pub(crate) mod live;
pub(crate) mod moto;
pub(crate) mod pglite;
pub(crate) mod post_office;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod s3;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use crate::clusters::free_ports;

const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// A program that was started by a test. It ends with the test, also when the test is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it keeps its things; removed after it.
    pub(crate) directory: tempfile::TempDir,
}

impl Server {
    fn start(program: &Path, arguments: &[String], environment: &[(&str, &str)], directory: tempfile::TempDir) -> Server {
        let log = File::create(directory.path().join("server.log")).expect("a log");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Server { child, directory }
    }

    /// Asks until the answer is good, or tells what the server said.
    fn wait_until(&mut self, what: &str, mut good: impl FnMut() -> bool) {
        let since = Instant::now();
        while !good() {
            let ended = self.child.try_wait().expect("its state is known");
            if ended.is_some() || since.elapsed() > STARTS_WITHIN {
                let log = std::fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default();
                panic!("{what} is not ready ({ended:?}); it said:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A server without a file of its own: a program in the PATH.
#[derive(Debug)]
pub(crate) struct Program(#[expect(dead_code, reason = "it lives as long as this")] Server);

impl Program {
    pub(crate) fn start(name: &str, arguments: &[String], directory: tempfile::TempDir, ready: impl FnMut() -> bool) -> Program {
        let mut server = Server::start(Path::new(name), arguments, &[], directory);
        server.wait_until(name, ready);
        Program(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request in clear text, and the status of its answer. None when nobody answers.
fn request(port: u16, head: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// The folder with the programs of the Python environment that `tests/run` makes.
fn python_bin() -> PathBuf {
    let python = std::env::var("SEAWALL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import sys; print(sys.prefix)"]).output();
    let output = found.unwrap_or_else(|error| {
        panic!("`{python}` does not start ({error}): set SEAWALL_TEST_PYTHON to a Python with tests/requirements.txt")
    });
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("bin")
}

/// What a piece of Python prints, given that on its standard input.
pub(crate) fn python(code: &str, input: &str) -> String {
    let mut child = Command::new(python_bin().join("python"))
        .args(["-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "Python failed on\n{code}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn must_exist(path: PathBuf, how: &str) -> PathBuf {
    assert!(path.exists(), "{} is not there: {how}", path.display());
    path
}

/// An authority, a certificate of it for 127.0.0.1, and another authority.
fn certificates(at: &Path) {
    let openssl = |arguments: &[&str]| {
        let run = Command::new("openssl").args(arguments).current_dir(at).output().expect("openssl starts");
        assert!(run.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    };
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    for (name, subject) in [("ca", "/CN=Authority of the test"), ("other", "/CN=Another authority")] {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        openssl(&[&["req", "-x509"], &curve[..], &["-keyout", &key, "-out", &pem, "-subj", subject]].concat());
    }
    let request = ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1"];
    openssl(&[&["req", "-new"], &curve[..4], &["-nodes"], &request[..]].concat());
    fs::write(at.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("written");
    openssl(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
        "-out",
        "server.pem",
    ]);
}
