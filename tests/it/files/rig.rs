//! A folder with everything that a file system knows, and a job that copies it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use seawall::format::descriptor::Descriptor;

use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Account, Cluster, Options, Version};
use crate::run::rig::Said;

#[derive(Debug)]
pub struct Ground {
    pub rig: Rig,
    as_root: bool,
}

/// Owners, rights, times, links, holes, lists, attributes, and names that spoil what is not careful. As root, in the folder.
pub const EVERYTHING: &str = r#"
    mkdir -p tree/etc/sub tree/empty tree/closed tree/cache tree/many
    cd tree
    echo hello > etc/plain; chmod 640 etc/plain; touch -d '2001-02-03 04:05:06.123456789' etc/plain
    echo old > etc/old; touch -d '1960-01-02 03:04:05.987654321 UTC' etc/old
    echo prog > etc/prog; chown 12345:54321 etc/prog; chmod 6755 etc/prog
    echo large > etc/owner; chown 3000000000:3000000001 etc/owner
    echo postgres > etc/hers; chown postgres:postgres etc/hers; chmod 000 etc/hers
    : > etc/nothing
    echo in > closed/in; chmod 555 closed
    ln -s /etc/hosts etc/absolute; ln -s nowhere etc/dangling; ln -s ../empty etc/folder; chown -h postgres: etc/dangling
    touch -h -d '2002-03-04 05:06:07.5' etc/dangling
    ln etc/plain etc/sub/linked; ln etc/plain zzz-linked
    dd if=/dev/urandom of=big bs=1M count=5 status=none
    truncate -s 64M holes; dd if=/dev/urandom of=holes bs=1M seek=10 count=3 conv=notrunc status=none
    truncate -s 32M hole; truncate -s 100000 small-hole; printf x | dd of=small-hole bs=1 seek=50000 conv=notrunc status=none
    mkfifo -m 620 pipe; chown postgres: pipe
    setfacl -m u:postgres:rw,u:4711:r,g:54321:r etc/plain; setfacl -d -m u:postgres:rwx empty; setfacl -m g:postgres:rwx empty
    setfattr -n user.note -v 'a value' etc/plain; setfattr -n user.odd=100% -v 0x00ff0a3d etc/plain
    setfattr -n user.of-folder -v x empty; setfattr -n trusted.ours -v y etc/old
    echo odd > $'new\nline'; echo odd > $'not \xff\xfe text'; echo odd > ./-rf; echo odd > ' '; echo odd > 'ünï'; echo odd > '%s{}\\"$(x)'
    ln -s $'to \xff' $'link \xfe'
    long=$(printf 'l%.0s' {1..255}); echo long > $long; mkdir -p $long-dir 2>/dev/null || mkdir ${long:0:200}; echo in > ${long:0:200}/$long
    (mkdir deep; cd deep; for i in {1..120}; do mkdir d$i; cd d$i; done; echo bottom > bottom)
    for i in $(seq 1 3000); do echo "number $i" > many/$i; done
    echo gone > etc/a.log; echo gone > cache/x; echo kept > etc/kept.log
    python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('sock')"
    touch -d '2003-04-05 06:07:08.25' empty closed etc/sub etc deep/d1
"#;

/// What `find`, `sha256sum`, `getfattr` and `getfacl` see of a folder.
const SEEN: &str = r#"export LC_ALL=C.UTF-8; find . -mindepth 1 ! -type s -print0 | sort -z > $OUT.names
    find . -mindepth 1 ! -type s -printf '%P\t%y %m %U %G %T@ %n %l\0' | sort -z | cat -v > $OUT
    find . -type f -printf '%P\t%s\0' | sort -z | cat -v >> $OUT
    find . -type f -print0 | sort -z | xargs -0 sha256sum -z | cat -v >> $OUT
    xargs -0 -n 200 getfattr -h -d -m - -e hex --absolute-names < $OUT.names 2>/dev/null | cat -v >> $OUT
    find . -mindepth 1 ! -type l ! -type s -print0 | sort -z | xargs -0 getfacl -p -n | cat -v >> $OUT; rm $OUT.names; cat $OUT; rm $OUT"#;

impl Ground {
    /// `files` stands in the job's braces; TREE in it is the folder. As root, everything has a store of its own.
    pub fn new(as_root: bool, files: &str) -> Ground {
        let rig = Rig::over(Cluster::start(Version::V15, Options::default()), &Policy::default());
        let ground = Ground { rig, as_root };
        let text = fs::read_to_string(ground.file("policy.yaml")).expect("the policy");
        let files = files.replace("TREE", &ground.file("tree").display().to_string());
        let job = format!(
            "backups: {{ system: {{ files: {{ {files} }}, schedule: {{ at: \"05:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }}, "
        );
        fs::write(ground.file("policy.yaml"), text.replace("backups: { ", &job)).expect("the policy");
        if as_root {
            ground.change("/store,", "/root-store,");
            ground.rig.shell_as_root("mkdir root-store root-state; chmod 755 .");
        }
        ground
    }

    /// The folder with everything in it.
    pub fn everything() -> Ground {
        let ground = Ground::new(true, "paths: [TREE], exclude: [\"*.log\", \"!kept.log\", cache/], globals: true");
        ground.rig.shell_as_root(EVERYTHING);
        ground
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.rig.path(name)
    }

    pub fn change(&self, from: &str, to: &str) {
        let path = self.file("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy");
        assert!(text.contains(from), "{from}: {text}");
        fs::write(path, text.replace(from, to)).expect("the policy");
    }

    fn names(&self) -> (&'static str, &'static str) {
        if self.as_root { ("root-store", "root-state") } else { ("store", "state") }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        self.command_as(if self.as_root { Account::Own } else { Account::current() }, words)
    }

    pub fn command_as(&self, account: Account, words: &[&str]) -> Command {
        let mut command = account.command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--policy").arg(self.file("policy.yaml")).arg("--state").arg(self.file(self.names().1));
        command.args(["--host", "db-1"]);
        command
    }

    pub fn say(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("seawall"))
    }

    #[track_caller]
    pub fn backup(&self) -> Copied {
        let said = self.say(&["backup", "system", "--format", "json"]).ends_with_code(0);
        self.copied(&said)
    }

    pub fn copied(&self, said: &Said) -> Copied {
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out));
        let path = self.file(self.names().0).join(json["descriptor"].as_str().expect("a key"));
        let descriptor = Descriptor::from_json(&fs::read(path).expect("the descriptor")).expect("it can be read");
        Copied { descriptor, said: said.err.clone() }
    }

    /// The folder of its objects.
    pub fn folder(&self, copied: &Copied) -> PathBuf {
        let output = shell(&self.rig, &format!("ls -d {}/*/data/{}", self.names().0, copied.descriptor.id));
        self.file(output.trim())
    }

    pub fn notes(&self, copied: &Copied) -> serde_json::Value {
        let place = self.folder(copied);
        let text = shell(&self.rig, &format!("age -d -i identity.txt {}/notes.json.zst.age | zstd -dc", place.display()));
        serde_json::from_str(&text).expect("JSON")
    }

    /// What other people's programs see of a folder.
    pub fn seen(&self, folder: &Path) -> String {
        let out = self.file("seen");
        let script = format!("cd '{}' && OUT='{}' && {SEEN}", folder.display(), out.display());
        shell(&self.rig, &script)
    }

    /// The folder below another root.
    pub fn below(&self, root: &str) -> PathBuf {
        self.file(root).join(self.file("tree").strip_prefix("/").expect("absolute"))
    }
}

#[derive(Debug)]
pub struct Copied {
    pub descriptor: Descriptor,
    pub said: String,
}

/// As ourselves, in the cluster's folder; what it prints.
pub fn shell(rig: &Rig, text: &str) -> String {
    let script = format!("cd '{}' && set -e -o pipefail && {text}", rig.cluster.folder().display());
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Line by line, so that a failure shows what differs.
#[track_caller]
pub fn same(left: &str, right: &str) {
    let (left, right): (Vec<&str>, Vec<&str>) = (left.split("^@").collect(), right.split("^@").collect());
    for (one, other) in left.iter().zip(&right) {
        assert_eq!(one, other);
    }
    assert_eq!(left.len(), right.len());
}
