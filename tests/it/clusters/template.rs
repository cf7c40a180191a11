//! initdb is slow, copying is not: one template for each kind of cluster, shared by all tests of the build folder.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::{self, Account};
use super::options::Options;
use super::version::Version;

/// Puts a new data directory at `data`, whose parent belongs to the account.
pub(super) fn data_directory(version: Version, options: &Options, data: &Path) {
    if options.own_identity {
        initdb(version, options, data);
        return;
    }
    let template = template(version, options, data);
    copy(&template, data);
    Account::current().own(data);
}

/// Tests run in processes of their own: a lock lets one of them make the template, the rename shows it whole.
fn template(version: Version, options: &Options, data: &Path) -> PathBuf {
    let about = fs::metadata(version.programs().join("postgres")).expect("the server's program");
    let kind = options.initdb().join("").replace(['-', '='], "");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clusters");
    let name = format!("{version}-{kind}-{:x}-{:x}", about.mtime(), about.len());
    fs::create_dir_all(&folder).expect("a folder for templates");
    let lock = File::create(folder.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    let ready = folder.join(&name);
    if !ready.is_dir() {
        // Made where the account may write, and kept where this test may.
        let fresh = data.with_extension("template");
        initdb(version, options, &fresh);
        let part = folder.join(format!("{name}.part"));
        let _ = fs::remove_dir_all(&part);
        copy(&fresh, &part);
        fs::rename(&part, &ready).expect("the template in its place");
        fs::remove_dir_all(&fresh).expect("the original away");
    }
    ready
}

fn copy(from: &Path, to: &Path) {
    account::run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to));
}

fn initdb(version: Version, options: &Options, data: &Path) {
    let mut command = Account::current().command(version.programs().join("initdb"));
    command.arg("-D").arg(data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
    if version >= Version::V18 && !options.checksums {
        command.arg("--no-data-checksums");
    }
    account::run(command.args(options.initdb()));
}
