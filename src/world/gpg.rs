//! The keyring of whoever runs this, asked through `gpg`.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::ReadFault;

/// A keyring answers in some hundredths of a second. PostgreSQL's archiver waits for it, and gives up after three tries.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
/// What was answered so long ago is asked again: a process that runs for days must see a key that was prolonged.
const FRESH: Duration = Duration::from_secs(60);
/// Some thousand keys.
const MOST_BYTES: u64 = 16 << 20;

/// What was asked for, when, and what came.
type Answers = BTreeMap<Vec<String>, (Stopwatch, Vec<u8>)>;

/// The public keys with these fingerprints, as far as the keyring has them. Who asks again within a minute gets the same answer: one command
/// needs them several times, and the policies of a fleet have the same ones.
pub fn export<'f>(fingerprints: impl Iterator<Item = &'f str>) -> Result<Vec<u8>, ReadFault> {
    static KNOWN: Mutex<Answers> = Mutex::new(BTreeMap::new());
    let wanted: Vec<String> = fingerprints.map(str::to_owned).collect();
    // Held while it is asked: whoever wants the same waits for that answer.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, keys)) = known.get(&wanted).filter(|(asked, _)| asked.elapsed() < FRESH) {
        return Ok(keys.clone());
    }
    let mut gpg = Command::new("gpg");
    // Without a lock, a keyring is read where its folder cannot be written, as in a unit of systemd; who changes one puts a new file in its place.
    gpg.args(["--batch", "--no-tty", "--quiet", "--lock-never", "--export", "--"]).args(&wanted);
    let keys = ask(gpg, PATIENCE)?;
    known.insert(wanted, (Stopwatch::now(), keys.clone()));
    Ok(keys)
}

fn ask(mut gpg: Command, patience: Duration) -> Result<Vec<u8>, ReadFault> {
    let began = Stopwatch::now();
    let started = gpg.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| cannot_start(&error))?;
    let (keys, complaint) = (read(child.stdout.take()), read(child.stderr.take()));
    let ended = wait(&mut child, began, patience).map_err(|error| cannot_start(&error))?.ok_or_else(|| silent(patience))?;
    // Its end closes both, unless something that it left running holds them.
    let rest = |from: Receiver<io::Result<Vec<u8>>>| from.recv_timeout(patience.saturating_sub(began.elapsed()).max(LOOK));
    let keys = rest(keys).map_err(|_| silent(patience))?;
    if let (true, Ok(keys)) = (ended.success(), keys) {
        return Ok(keys);
    }
    let complaint = rest(complaint).ok().and_then(Result::ok).unwrap_or_default();
    let said = String::from_utf8_lossy(&complaint).lines().map(str::trim).collect::<Vec<_>>().join("; ");
    Err(ReadFault::new(
        format!("gpg cannot read its keyring: {said}"),
        "Check that `gpg --list-keys` works for the account that runs this.",
    ))
}

/// Beside its running: a full pipe would hold it up for ever.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<io::Result<Vec<u8>>> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.take(MOST_BYTES).read_to_end(&mut all));
        // Nobody listens any more where the patience was over.
        let _ = tell.send(read.map(|_| all));
    });
    told
}

/// None: it did not end in time, and was ended.
fn wait(child: &mut Child, began: Stopwatch, patience: Duration) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            Some(ended) => return Ok(Some(ended)),
            None if began.elapsed() >= patience => {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(None);
            }
            None => thread::sleep(LOOK),
        }
    }
}

fn silent(patience: Duration) -> ReadFault {
    ReadFault::new(
        format!("gpg has not given the keys within {} s", patience.as_secs()),
        "See what `gpg --list-keys` waits for as the account that runs this. A file with the public keys (`encryption.openpgp.keys`) needs no gpg.",
    )
}

fn cannot_start(error: &io::Error) -> ReadFault {
    match error.kind() {
        io::ErrorKind::NotFound => ReadFault::new("there is no `gpg` program here", "Install GnuPG, or name a file with the public keys."),
        _ => ReadFault::new(format!("gpg cannot be started: {error}"), "Check that `gpg --version` works here."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn an_answer_is_waited_for_and_whole() {
        let much = ask(shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2"), Duration::from_secs(60)).expect("an answer");
        assert_eq!(much.len(), 1_000_000);
        let fault = ask(shell("echo no ring >&2; exit 2"), Duration::from_secs(60)).expect_err("it fails");
        assert_eq!(fault.message, "gpg cannot read its keyring: no ring");
    }

    #[test]
    fn what_does_not_answer_is_ended() {
        let began = Stopwatch::now();
        for script in ["exec sleep 600", "sleep 30 & exit 0"] {
            let fault = ask(shell(script), Duration::from_millis(300)).expect_err("no answer");
            assert!(fault.message.contains("has not given the keys"), "{script}: {}", fault.message);
        }
        assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
    }
}
