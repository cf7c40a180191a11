//! Files as they were at a revision, asked of the `git` program.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::files::is_yaml;
use super::words::ReadFault;

/// One revision of the repository that this runs in. Its paths start at the top of the repository.
#[derive(Debug)]
pub struct Revision {
    /// The commit that the revision names, in full.
    commit: String,
    /// The directory this runs in, seen from the top of the repository.
    prefix: String,
    /// One process answers all questions: a fleet has a thousand files.
    reader: Mutex<Option<Reader>>,
}

/// The commit that these files are of, with `-dirty` behind it where one of them is not as it was committed. Nothing where they are in no
/// repository, or where git is missing or may not look into it. One call of git.
pub fn commit_of(files: &[PathBuf]) -> Option<String> {
    let files: Vec<PathBuf> = files.iter().map(|file| file.canonicalize()).collect::<io::Result<_>>().ok()?;
    let directory = files.first()?.parent()?;
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(["--no-optional-locks", "--literal-pathspecs", "status", "--porcelain=v2", "--branch"]);
    command.args(["--untracked-files=all", "--ignored", "--"]).args(&files).stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    let commit = said.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    // `(initial)`: nothing was committed yet.
    let is_commit = commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let changed = said.lines().any(|line| !line.starts_with('#'));
    is_commit.then(|| format!("{commit}{}", if changed { "-dirty" } else { "" }))
}

#[derive(Debug)]
struct Reader {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Revision {
    /// Finds the commit that a revision names.
    pub fn open(revision: &str) -> Result<Revision, ReadFault> {
        if revision.is_empty() || revision.starts_with('-') {
            let hint = "Write a branch, a tag or a commit, for example `git:main:policies`.";
            return Err(ReadFault::new("this is not the name of a revision", hint));
        }
        let prefix = git(&["rev-parse", "--show-prefix"])?.map_err(|_| {
            ReadFault::new("this directory is not in a git repository", "Run it inside the repository that holds the policies.")
        })?;
        let wanted = format!("{revision}^{{commit}}");
        let commit = git(&["rev-parse", "--verify", "--quiet", &wanted])?.map_err(|_| {
            ReadFault::new(
                "git knows no such revision",
                "Check the name with `git branch --all`; in CI, fetch it first (a shallow clone does not have it).",
            )
        })?;
        Ok(Revision { commit: line(&commit), prefix: line(&prefix), reader: Mutex::new(None) })
    }

    /// The path from the top of the repository: as git has it, `./` and `../` start from the directory this runs in.
    pub fn from_top(&self, path: &str) -> PathBuf {
        let relative = path == "." || path == ".." || path.starts_with("./") || path.starts_with("../");
        let mut top = PathBuf::new();
        let whole = if relative { Path::new(&self.prefix).join(path) } else { PathBuf::from(path) };
        for part in whole.components() {
            match part {
                std::path::Component::Normal(name) => top.push(name),
                std::path::Component::ParentDir => drop(top.pop()),
                _ => {}
            }
        }
        top
    }

    /// The bytes of one file.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, ReadFault> {
        let name = path.to_string_lossy();
        if name.contains(['\n', '\0']) {
            return Err(ReadFault::new("there is no such file at this revision", "Check the path."));
        }
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() {
            *reader = Some(Reader::start()?);
        }
        let Some(open) = reader.as_mut() else { return Err(ReadFault::new("git does not answer", "Run it again.")) };
        let answer = open.ask(&format!("{}:{name}", self.commit), limit);
        match answer {
            Ok(Answer::Bytes(bytes)) => Ok(bytes),
            Ok(Answer::Other(fault)) => Err(fault),
            // What git still has to say is not worth reading: the next question is put to a fresh one.
            Ok(Answer::TooLarge) => {
                *reader = None;
                Err(ReadFault::too_large(limit))
            }
            Err(error) => {
                *reader = None;
                Err(ReadFault::new(format!("git does not answer: {error}"), "Run `git fsck` to see whether the repository is in order."))
            }
        }
    }

    /// Is there a directory of this name?
    pub fn is_directory(&self, path: &Path) -> Result<bool, ReadFault> {
        if path.as_os_str().is_empty() {
            return Ok(true);
        }
        let object = format!("{}:{}", self.commit, path.to_string_lossy());
        Ok(git(&["cat-file", "-t", &object])?.is_ok_and(|kind| line(&kind) == "tree"))
    }

    /// All `*.yaml` and `*.yml` below a directory, hidden ones left out, in the order of their names.
    pub fn search(&self, directory: &Path) -> Result<Vec<PathBuf>, ReadFault> {
        let below = directory.to_string_lossy();
        let mut arguments = vec!["--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", "--name-only", &self.commit];
        if !below.is_empty() {
            arguments.extend(["--", &below]);
        }
        let listed = git(&arguments)?.map_err(|said| ReadFault::new(format!("git cannot list it: {}", line(&said)), "Check the path."))?;
        let mut files: Vec<PathBuf> = String::from_utf8_lossy(&listed)
            .split('\0')
            .map(PathBuf::from)
            .filter(|path| is_yaml(path) && !is_hidden(path.strip_prefix(directory).unwrap_or(path)))
            .collect();
        files.sort();
        Ok(files)
    }
}

enum Answer {
    Bytes(Vec<u8>),
    TooLarge,
    Other(ReadFault),
}

impl Reader {
    fn start() -> Result<Reader, ReadFault> {
        let mut child = Command::new("git")
            .args(["cat-file", "--batch", "--follow-symlinks"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| no_git(&error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Reader { child, questions, answers: BufReader::new(answers) }),
            _ => Err(ReadFault::new("git does not answer", "Run it again.")),
        }
    }

    fn ask(&mut self, object: &str, limit: usize) -> io::Result<Answer> {
        writeln!(self.questions, "{object}")?;
        self.questions.flush()?;
        let mut header = String::new();
        if self.answers.read_line(&mut header)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = header.trim_end();
        let other = |message: &str, hint: &str| Ok(Answer::Other(ReadFault::new(message, hint)));
        // Said of links that lead nowhere: a word, a length, and on the next line the text of that length.
        for (word, message) in [
            ("dangling ", "it is a symbolic link to a file that is not there at this revision"),
            ("loop ", "its symbolic links go in a circle"),
            ("symlink ", "it is a symbolic link that leaves the repository"),
            ("notdir ", "a part of the path is a file, not a directory"),
        ] {
            if let Some(length) = header.strip_prefix(word).and_then(|length| length.parse::<u64>().ok()) {
                io::copy(&mut (&mut self.answers).take(length + 1), &mut io::sink())?;
                return other(message, "Mend it, or give the file itself.");
            }
        }
        if header.ends_with(" missing") || header.ends_with(" ambiguous") {
            return other("there is no such file at this revision", "Check the path: it starts at the top of the repository.");
        }
        let mut words = header.rsplit(' ');
        let size: usize = words.next().and_then(|size| size.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let kind = words.next().unwrap_or_default().to_owned();
        if size > limit {
            return Ok(Answer::TooLarge);
        }
        let mut bytes = vec![0; size + 1];
        self.answers.read_exact(&mut bytes)?;
        bytes.pop();
        match kind.as_str() {
            "blob" => Ok(Answer::Bytes(bytes)),
            "tree" => {
                other("it is a directory, not a file", "Give a file; a directory is searched when it is given as an argument itself.")
            }
            _ => other("it is not a file", "Check the path."),
        }
    }
}

/// What git prints, or what it complains of.
fn git(arguments: &[&str]) -> Result<Result<Vec<u8>, Vec<u8>>, ReadFault> {
    let output = Command::new("git").args(arguments).stdin(Stdio::null()).output().map_err(|error| no_git(&error))?;
    Ok(if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) })
}

fn no_git(error: &io::Error) -> ReadFault {
    match error.kind() {
        io::ErrorKind::NotFound => ReadFault::new("there is no `git` program here", "Install git, or give files and directories."),
        _ => ReadFault::new(format!("git cannot be started: {error}"), "Check that `git --version` works here."),
    }
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned()
}

fn is_hidden(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
}
