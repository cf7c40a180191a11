//! A repository that was written into a bucket, judged by Amazon's own library.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use seawall::units::Lsn;

use crate::cli::{Run, finish, hermetic};
use crate::expire::rig::{Ground, day};
use crate::repository::fixture::SEGMENT;
use crate::servers::moto::Moto;
use crate::servers::s3::{self, S3};

/// On these days the months began, counted from 1 January 2025.
pub const JANUARY: i64 = 0;
pub const FEBRUARY: i64 = 31;
pub const MARCH: i64 = 59;

/// What the tests of this room keep: the newest, and months that move.
pub const MONTHS: &str = "{ last: 1, monthly: { count: 24, storage_class: GLACIER } }";

pub struct Bucket {
    pub ground: Ground,
    pub name: &'static str,
    port: u16,
    who: &'static str,
}

impl Bucket {
    /// Three months, the newest of which never moves: `jan`, `feb`, `mar`.
    pub fn of_months(at: &impl Place, name: &'static str) -> Bucket {
        let mut bucket = Bucket::with(at, name, MONTHS, |ground| {
            for (number, (id, started)) in [("jan", JANUARY), ("feb", FEBRUARY), ("mar", MARCH)].into_iter().enumerate() {
                let segment = number as u64 + 1;
                let lsn = |offset: u64| Lsn(segment * SEGMENT + offset);
                ground.fixture.backup(id, &day(started), lsn(40), lsn(500));
                ground.fixture.segment(1, segment);
            }
        });
        bucket.ground.add("expire: { brake: 100%, grace: 1s }\n");
        bucket
    }

    /// What `write` puts into a directory goes into the bucket as it is; then the policy says that it lies there, and `keep` of the job.
    pub fn with(at: &impl Place, name: &'static str, keep: &str, write: impl FnOnce(&Ground)) -> Bucket {
        let mut ground = Ground::keeping("{ last: 7 }");
        write(&ground);
        let root = ground.fixture.store_path();
        let (port, who) = at.reached();
        let put = format!(
            "root = '{}'\nfor at, _, names in os.walk(root):\n    for name in names:\n        path = os.path.join(at, name)\n        \
             s3.upload_file(path, '{name}', os.path.relpath(path, root))",
            root.display()
        );
        s3::boto3(port, who, &put);
        let store = format!("s3: {{ bucket: {name}, endpoint: \"http://127.0.0.1:{port}\", path_style: true }}");
        ground.change(&format!("local: {{ path: {} }}", root.display()), &store);
        ground.change("keep: { last: 7 }", &format!("keep: {keep}"));
        Bucket { ground, name, port, who }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let fixture = &self.ground.fixture;
        let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), fixture.path());
        command
            .args(words)
            .env("SEAWALL_POLICY", fixture.path().join("policy.yaml"))
            .env("STATE_DIRECTORY", fixture.path().join("state"))
            .env("AWS_ACCESS_KEY_ID", s3::KEY)
            .env("AWS_SECRET_ACCESS_KEY", s3::SECRET);
        command
    }

    pub fn run(&self, words: &[&str]) -> Run {
        finish(&mut self.command(words), b"")
    }

    /// It goes on by itself.
    pub fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    pub fn done(&self, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!(run.code, Some(0), "{words:?}\n{}{}", run.stdout, run.stderr);
        run.stdout
    }

    pub fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(words)).expect("JSON")
    }

    pub fn boto3(&self, lines: &str) -> String {
        s3::boto3(self.port, self.who, lines)
    }

    /// The class of each object of the backups, by `<backup>/<object>`.
    pub fn classes(&self) -> BTreeMap<String, String> {
        let listed = self.boto3(&format!(
            "pages = s3.get_paginator('list_objects_v2').paginate(Bucket='{}', Prefix='{}/data/')\n\
             for page in pages:\n    for o in page.get('Contents', []):\n        print(o['Key'], o.get('StorageClass', 'STANDARD'))",
            self.name, self.ground.fixture.repository
        ));
        let line = |line: &str| {
            let (key, class) = line.split_once(' ').expect("two words");
            (key.splitn(3, '/').nth(2).expect("data/<backup>/<object>").to_owned(), class.to_owned())
        };
        listed.lines().map(line).collect()
    }

    /// The backups of which every part, and nothing else, lies in this class. Each has its parts in one.
    pub fn in_class(&self, wanted: &str) -> Vec<String> {
        let classes = self.classes();
        let mut ids: Vec<String> = classes.keys().map(|name| name.split_once('/').expect("a folder").0.to_owned()).collect();
        ids.dedup();
        for (name, class) in classes.iter().filter(|(name, _)| !name.contains(".tar") || name.contains("config")) {
            assert_eq!(class, "STANDARD", "{name} is needed for planning a restore");
        }
        let is_part = |id: &str, name: &str| name.starts_with(&format!("{id}/part-")) && name.contains(".tar");
        ids.retain(|id| classes.iter().all(|(name, class)| !is_part(id, name) || class == wanted));
        ids
    }

    /// How many versions each object of the backups has, where there are several.
    pub fn versions(&self) -> String {
        self.boto3(&format!(
            "from collections import Counter\n\
             all = s3.list_object_versions(Bucket='{}', Prefix='{}/data/')\n\
             count = Counter(v['Key'] for v in all.get('Versions', []))\n\
             print(' '.join(sorted(k for k, n in count.items() if n > 1)))",
            self.name, self.ground.fixture.repository
        ))
    }

    /// More parts, as a large backup has them.
    pub fn add_parts(&self, id: &str, count: usize) {
        self.boto3(&format!(
            "from concurrent.futures import ThreadPoolExecutor\n\
             at = '{}/data/{id}/'\nbody = os.urandom(200000)\n\
             put = lambda n: s3.put_object(Bucket='{}', Key=at + f'part-{{n:05}}.tar.zst', Body=body)\n\
             list(ThreadPoolExecutor(8).map(put, range(2, {count} + 1)))",
            self.ground.fixture.repository, self.name
        ));
    }
}

/// A server of buckets: its port, and who may do everything there.
pub trait Place {
    fn reached(&self) -> (u16, &'static str);
}

impl Place for S3 {
    fn reached(&self) -> (u16, &'static str) {
        (self.http, "admin")
    }
}

impl Place for Moto {
    fn reached(&self) -> (u16, &'static str) {
        (self.port, "any")
    }
}
