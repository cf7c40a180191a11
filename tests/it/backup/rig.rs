//! A cluster with a policy, a store and an archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use seawall::format::descriptor::Descriptor;
use seawall::format::layout::Repository;
use seawall::inventory::SystemIdentifier;

use crate::clusters::{Cluster, Options, Version};

/// Once a day, as far from now as can be: whatever the hour, nothing comes due while a test lasts.
pub fn daily() -> &'static str {
    static AT: OnceLock<String> = OnceLock::new();
    AT.get_or_init(|| from_now(12).strftime("at: \"%H:%M\"").to_string())
}

/// The same once a week.
pub fn weekly() -> &'static str {
    static AT: OnceLock<String> = OnceLock::new();
    AT.get_or_init(|| from_now(84).strftime("on: %A, at: \"%H:%M\"").to_string().to_lowercase())
}

fn from_now(hours: i64) -> jiff::Zoned {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).saturating_add(jiff::Span::new().hours(hours))
}

/// What a test changes of the policy.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// In the braces of `physical`.
    pub physical: String,
    /// More lines of the job.
    pub job: String,
    /// Over the replication protocol.
    pub no_files: bool,
    /// In `cluster.hosts`.
    pub hosts: String,
}

#[derive(Debug)]
pub struct Rig {
    pub cluster: Cluster,
    repository: Repository,
}

impl Rig {
    pub fn new(version: Version, policy: &Policy) -> Rig {
        Rig::with(version, Options::default(), policy)
    }

    pub fn with(version: Version, options: Options, policy: &Policy) -> Rig {
        let cluster = Cluster::start(version, options.archiving("exec ../archive %p"));
        let rig = Rig::over(cluster, policy);
        rig.archive_into_store();
        rig
    }

    /// A rig over a cluster that is there.
    pub fn over(cluster: Cluster, policy: &Policy) -> Rig {
        let system = cluster.sql("select system_identifier from pg_control_system()").parse().expect("a number");
        let rig = Rig { cluster, repository: Repository::first("try", SystemIdentifier(system)) };
        for folder in ["store", "state"] {
            fs::create_dir(rig.path(folder)).expect("a folder");
        }
        rig.shell("age-keygen -o identity.txt 2>/dev/null");
        rig.write_policy(policy);
        rig
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.cluster.folder().join(name)
    }

    /// The policy with other words in it, each of which must be there.
    pub fn change(&self, replacements: &[(&str, &str)]) {
        let mut text = fs::read_to_string(self.path("policy.yaml")).expect("the policy");
        for (from, to) in replacements {
            assert!(text.contains(from), "{from} is not in {text}");
            text = text.replace(from, to);
        }
        fs::write(self.path("policy.yaml"), text).expect("the policy");
    }

    pub fn write_policy(&self, policy: &Policy) {
        let folder = self.cluster.folder().display();
        let identity = fs::read_to_string(self.path("identity.txt")).expect("an identity");
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a public key");
        let files = if policy.no_files { String::new() } else { format!("data_directory: {folder}/data, ") };
        let text = format!(
            "version: 1\npolicy: try\nowner: you@example.com\nreview_by: 2099-06-30\n\
             cluster: {{ connection: \"{}\", {files}databases: [postgres], hosts: {{ {} }} }}\n\
             objectives: {{ rpo: 5m, rto: 1h }}\n\
             stores: {{ disk: {{ local: {{ path: {folder}/store, other_device: false }} }} }}\n\
             encryption: {{ age: {{ recipients: [{recipient}], identity: {{ file: {folder}/identity.txt }} }} }}\n\
             wal: {{ store: disk, timeout: 60s, keep: 7d }}\n\
             backups: {{ nightly: {{ physical: {{ {} }}, schedule: {{ {} }}, keep: {{ daily: 7 }}, takes: 1m {} }} }}\n",
            self.cluster.conninfo(),
            policy.hosts,
            policy.physical,
            daily(),
            policy.job,
        );
        fs::write(self.path("policy.yaml"), text).expect("a policy");
        self.cluster.account().own(self.cluster.folder());
    }

    /// Archives as a policy's owner would; a script, so that a test can break it.
    pub fn archive_into_store(&self) {
        let folder = self.cluster.folder().display();
        let text = format!(
            "#!/bin/sh\nexec {} wal push $1 --policy {folder}/policy.yaml --state {folder}/state --host db-1\n",
            env!("CARGO_BIN_EXE_seawall")
        );
        fs::write(self.path("archive"), text).expect("a script");
        self.shell_as_root("chmod 755 archive");
        self.cluster.account().own(self.cluster.folder());
    }

    fn system(&self) -> String {
        self.cluster.sql("select system_identifier from pg_control_system()")
    }

    fn in_folder(&self, mut command: Command, text: &str) -> Output {
        let folder = self.cluster.folder().display();
        let output = command.args(["-c", &format!("cd {folder} && set -e && {text}")]).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}: {}\n{said}", output.status);
        output
    }

    /// As the server's account, in the cluster's folder.
    pub fn shell(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.in_folder(self.cluster.account().command("bash"), text).stdout).trim().to_owned()
    }

    pub fn shell_as_root(&self, text: &str) {
        self.in_folder(Command::new("bash"), text);
    }

    fn seawall(&self, more: &[&str]) -> Command {
        self.seawall_of("db-1", "state", more)
    }

    /// As another host would do it.
    pub fn seawall_of(&self, host: &str, state: &str, more: &[&str]) -> Command {
        let mut command = self.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(["backup", "nightly", "--format", "json", "--policy"]).arg(self.path("policy.yaml"));
        command.arg("--state").arg(self.path(state)).args(["--host", host]).args(more);
        command
    }

    /// Another command than `backup`.
    pub fn seawall_to(&self, words: &[&str]) -> Output {
        let mut command = self.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--policy").arg(self.path("policy.yaml")).arg("--state").arg(self.path("state"));
        command.output().expect("seawall")
    }

    pub fn backup(&self, more: &[&str]) -> Backup {
        let output = self.try_backup(more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Backup(serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    pub fn try_backup(&self, more: &[&str]) -> Output {
        self.seawall(more).output().expect("seawall")
    }

    /// Why there is none.
    pub fn refused(&self, more: &[&str]) -> String {
        let output = self.try_backup(more);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub fn begin_backup(&self) -> Child {
        self.seawall(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall")
    }

    /// All objects, by their names below the repository.
    pub fn objects(&self, folder: &str) -> Vec<String> {
        let from = self.path("store").join(self.repository.as_str()).join(folder);
        let mut all = Vec::new();
        collect(&from, &mut all);
        all.sort();
        all
    }

    /// What a broken-off backup may leave: parts with their indexes, which the next run goes on with.
    pub fn has_only_whole_parts(&self) -> bool {
        let objects = self.objects("data");
        let count = |kind: &str| objects.iter().filter(|name| name.contains(kind)).count();
        count(".tar") == count(".index") && count(".tar") + count(".index") == objects.len()
    }

    pub fn descriptor(&self, backup: &Backup) -> Descriptor {
        let path = self.path("store").join(backup.text("descriptor"));
        Descriptor::from_json(&fs::read(path).expect("the descriptor")).expect("it can be read")
    }

    /// Brings a backup back as the documentation says, and lets PostgreSQL's own program look at it.
    pub fn restore(&self, backup: &Backup) -> Cluster {
        let options = Options::default().with("archive_mode = off").with("hot_standby = on");
        let copy = Cluster::prepare(self.cluster.version(), options);
        let (data, here) = (copy.data(), format!("store/{}/data/{}", self.repository, backup.text("id")));
        let data = data.display();
        self.shell_as_root(&format!("mkdir -m 700 {data}"));
        copy.account().own(copy.folder());
        self.shell(&format!(
            "for part in {here}/part-*.tar.zst.age; do age -d -i identity.txt $part | zstd -dc | tar -xp -C {data}; done; \
             age -d -i identity.txt {here}/backup_manifest.zst.age | zstd -dc > {data}/backup_manifest"
        ));
        // From 17 on it looks into pg_control too, and the only one for 17 here is that of 18, which does not know it.
        if copy.version() != Version::V17 {
            let verified = copy.program("pg_verifybackup").args(["-n"]).arg(copy.data()).output().expect("pg_verifybackup");
            let said = String::from_utf8_lossy(&verified.stderr);
            assert!(verified.status.success(), "{said}{}", String::from_utf8_lossy(&verified.stdout));
        }
        self.shell(&format!(
            "cd {data}/pg_tblspc; for oid in *; do [ -d $oid ] || continue; mv $oid ../../ts-$oid; ln -s {0}/ts-$oid $oid; \
             echo $oid {0}/ts-$oid >> ../map; done; cd ..; [ ! -e map ] || mv map tablespace_map; rm -f standby.signal; touch recovery.signal",
            copy.folder().display()
        ));
        copy.configure();
        let log = self.path("store").join(self.repository.as_str()).join("wal").join(self.system());
        copy.add_conf(&format!(
            "restore_command = 'f=$(find {} -name %f.zst.age | grep .) && age -d -i {} $f | zstd -dc > %p'",
            log.display(),
            self.path("identity.txt").display()
        ));
        copy.resume();
        copy.wait_until("not pg_is_in_recovery()");
        copy
    }

    /// All that was written until now is in the archive.
    pub fn archive_all(&self) {
        let last = self.cluster.sql("select pg_walfile_name(pg_current_wal_insert_lsn()) from pg_switch_wal()");
        self.cluster.wait_until(&format!(
            "(select last_archived_wal >= '{last}' or not pg_walfile_name(pg_current_wal_insert_lsn()) > '{last}' from pg_stat_archiver)"
        ));
    }
}

fn collect(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, into),
            path => into.push(path.file_name().expect("a name").to_string_lossy().into_owned()),
        }
    }
}

/// What `--format json` said.
#[derive(Debug)]
pub struct Backup(pub serde_json::Value);

impl Backup {
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.0))
    }
}
