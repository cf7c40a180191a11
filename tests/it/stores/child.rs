//! Credentials come by the environment, and a test's own environment cannot be changed. So the part of a test that needs
//! other credentials is this program again, with another environment.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use seawall::store::{FaultKind, Place, Settings, Sse, Store};

use super::contract::{self, key, noise};

const WHAT: &str = "SEAWALL_TEST_STORE_WHAT";

/// What a child does with which store.
#[derive(Debug, Clone, Default)]
pub(super) struct Errand {
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Errand {
    pub(super) fn new(what: &str) -> Errand {
        Errand::default().with(WHAT, what)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Errand {
        self.variables.push((name, value.to_string()));
        self
    }

    pub(super) fn run(&self) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "stores::child::errand", "--nocapture", "--test-threads=1"]);
        for (name, _) in std::env::vars().filter(|(name, _)| ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|cloud| name.starts_with(cloud))) {
            command.env_remove(name);
        }
        // No machine's identity is asked for in a test: nobody answers there at once.
        let child =
            command.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9").env("HOME", "/nonexistent").envs(self.variables.iter().cloned());
        let output = child.output().expect("it starts");
        assert!(
            output.status.success(),
            "{:?}\n{}{}",
            self.variables,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn store() -> Store {
    let wanted = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} is set"));
    let (endpoint, prefix) = (variable("STORE_ENDPOINT"), variable("STORE_PREFIX"));
    let bucket = wanted("STORE_BUCKET");
    let place = match wanted("STORE_KIND").as_str() {
        "s3" => Place::S3 {
            bucket,
            prefix,
            region: variable("STORE_REGION"),
            endpoint,
            path_style: true,
            ca: variable("STORE_CA").map(PathBuf::from),
            profile: variable("STORE_PROFILE"),
            storage_class: variable("STORE_CLASS"),
            sse: variable("STORE_SSE").map(|_| Sse::S3),
        },
        "azure" => Place::Azure { account: wanted("STORE_ACCOUNT"), container: bucket, prefix, endpoint, tier: variable("STORE_CLASS") },
        _ => Place::Gcs { bucket, prefix, endpoint, storage_class: variable("STORE_CLASS") },
    };
    let patience = Duration::from_secs(variable("STORE_PATIENCE").map_or(30, |text| text.parse().expect("seconds")));
    Store::open(&Settings { patience, ..Settings::new(place) }).expect("it opens")
}

#[test]
fn errand() {
    let Some(what) = variable(WHAT) else { return };
    let store = store();
    match what.as_str() {
        "contract" => contract::kept_by(&store),
        "no-store" => every_call_says(&store, FaultKind::NoStore),
        "denied" => every_call_says(&store, FaultKind::Denied),
        "config" => every_call_says(&store, FaultKind::Config),
        "transient" => every_call_says(&store, FaultKind::Transient),
        "read-only" => {
            let fault = store.put_new(&key("x"), noise(10, 1)).expect_err("it may not");
            assert_eq!(fault.kind, FaultKind::Denied, "{fault:?}");
            assert!(fault.hint.contains("s3:PutObject"), "{fault:?}");
            assert_eq!(store.head(&key("x")), Ok(None));
        }
        other => panic!("nobody knows what `{other}` is"),
    }
}

fn every_call_says(store: &Store, kind: FaultKind) {
    let key = key("some/object");
    let two = || {
        let mut upload = store.upload(&key)?;
        upload.put(0, noise(upload.piece_size(), 1))?;
        upload.put(1, noise(9, 1))?;
        upload.finish()
    };
    let faults = [
        ("put_new", store.put_new(&key, noise(9, 1)).map(drop)),
        ("replace", store.replace(&key, noise(9, 1))),
        ("upload", two()),
        ("head", store.head(&key).map(drop)),
        ("get", store.get(&key, 9).map(drop)),
        ("get_range", store.get_range(&key, 0..9).map(drop)),
        ("reader", store.reader(&key, 0..9).map(drop)),
        ("list", store.list("").map(drop)),
        ("folders", store.folders("").map(drop)),
        ("delete", store.delete(std::slice::from_ref(&key))),
    ];
    for (call, result) in faults {
        let fault = result.expect_err(call);
        println!("{call}: {fault}\n    {}", fault.hint);
        assert_eq!(fault.kind, kind, "{call}: {fault:?}");
        assert!(fault.message.contains(&store.url()), "{call}: {fault:?}");
        for secret in ["not-the-secret", "seawall-secret-of-the-test", "Eby8vdM02"] {
            assert!(!format!("{fault:?} {store:?}").contains(secret), "{call}: {fault:?}");
        }
    }
}
