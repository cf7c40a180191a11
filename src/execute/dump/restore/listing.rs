//! What lies in a dump, line by line, as `pg_restore` lists it.

use std::io::{Read, Write as _};
use std::process::Stdio;

use crate::execute::dump::child::Halt;
use crate::execute::dump::encoding::UTF8;
use crate::execute::dump::programs::Programs;
use crate::execute::restore::RestoreFault;
use crate::pipeline::PipelineFault;

/// Of what lies in an archive before its rows, and of the list that is made of it.
const LARGEST: usize = 256 << 20;

/// What `pg_restore` finds in the head of an archive of a database with this encoding. It reads no further. Of a list that is given back to it
/// it reads the numbers alone.
pub(in crate::execute) fn list(
    clients: &Programs,
    source: &mut dyn Read,
    (key, encoding): (&str, &str),
    halt: &Halt<'_>,
) -> Result<String, RestoreFault> {
    let mut command = clients.command("pg_restore", ["--list"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let cannot = |error: std::io::Error| RestoreFault::new(format!("pg_restore cannot be run: {error}"), "");
    let mut child = command.spawn().map_err(cannot)?;
    let (mut to, from) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
    let listened = std::thread::spawn(move || {
        let mut text = Vec::new();
        from.take(LARGEST as u64).read_to_end(&mut text).map(|_| text)
    });
    let mut buffer = vec![0; 1 << 20];
    let fed = loop {
        if let Err(fault) = halt.check() {
            break Err(RestoreFault::new(fault.to_string(), ""));
        }
        match source.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(got) if to.write_all(&buffer[..got]).is_err() => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(PipelineFault::of_stream(key, &error).into()),
        }
    };
    drop(to);
    let text = listened.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(cannot)?;
    let ended = child.wait().map_err(cannot)?;
    fed?;
    if !ended.success() {
        return Err(RestoreFault::new("pg_restore cannot read the dump", "`seawall verify` says whether it is whole."));
    }
    if encoding != UTF8 {
        return Ok(as_listed(&text));
    }
    String::from_utf8(text)
        .map_err(|_| RestoreFault::new("the dump has names that are no UTF-8", "Restore all of it with `--into-database`."))
}

/// Names that are not in UTF-8, byte by byte.
pub(in crate::execute) fn as_listed(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// By which a line is told from all others.
pub(in crate::execute) fn number(line: &str) -> Option<i64> {
    line.split_once(';')?.0.parse().ok()
}

/// What a line is about, behind its numbers: `3021; 2606 16402 FK CONSTRAINT public orders orders_customer_fkey postgres`.
pub(in crate::execute) fn entry(line: &str) -> Option<&str> {
    if line.starts_with(';') { None } else { line.splitn(4, ' ').nth(3) }
}

/// It makes this schema. Behind its name stands the owner's, and either may have spaces: another schema whose name begins like it may be meant.
pub(in crate::execute) fn is_schema(entry: &str, name: &str) -> bool {
    let name = name.replace(['\n', '\r'], " ");
    entry.strip_prefix("SCHEMA - ").and_then(|rest| rest.strip_prefix(name.as_str())).is_some_and(|rest| rest.starts_with(' '))
}
