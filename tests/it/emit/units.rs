//! The units themselves.

use std::process::Command;

use super::super::cli::{Room, golden_at, sound};
use super::{emit, everywhere, names, units};

/// Without what every edit of a policy's comments changes.
pub(super) fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once("policy sha256:") {
        Some((before, digest)) => {
            assert_eq!(digest.trim_end_matches('.').len(), 64, "{line}");
            format!("{before}policy sha256:DIGEST.\n")
        }
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn files_read_as_they_did() {
    for (policy, host) in everywhere() {
        for what in ["systemd", "cron"] {
            let run = emit(what, policy, host, &[]);
            assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{policy} on {host:?}");
            assert_eq!(run.stdout, emit(what, policy, host, &[]).stdout, "{policy} on {host:?} twice");
            golden_at(&format!("tests/emit/{policy}/{}.{what}", host.unwrap_or("any-host")), &steady(&run.stdout));
        }
    }
}

#[test]
fn systemd_takes_every_unit_without_a_word() {
    for (policy, host) in everywhere() {
        let room = units(policy, host, &["--program", "/usr/bin/true"]);
        let paths: Vec<_> = names(room.path()).iter().map(|name| room.path().join(name)).collect();
        assert!(paths.len() >= 2, "{policy} on {host:?}");
        let output =
            Command::new("systemd-analyze").env("LC_ALL", "C").args(["verify", "--man=no"]).args(&paths).output().expect("systemd-analyze");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{policy} on {host:?}: {said}");
    }
}

#[test]
fn every_service_is_hardened() {
    for (policy, host) in everywhere() {
        let room = units(policy, host, &["--program", "/usr/bin/true"]);
        let services: Vec<_> = names(room.path()).into_iter().filter(|name| name.ends_with(".service")).collect();
        for name in services {
            let text = std::fs::read_to_string(room.path().join(&name)).expect("a unit");
            // It would take the shared memory of the running server away.
            assert!(!text.lines().any(|line| line.starts_with("RemoveIPC=")), "{name}");
            let output = Command::new("systemd-analyze")
                .env("LC_ALL", "C")
                .args(["security", "--offline=true", "--no-pager", "--threshold=20"])
                .arg(room.path().join(&name))
                .output()
                .expect("systemd-analyze");
            let said = String::from_utf8_lossy(&output.stdout);
            let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_default();
            assert!(output.status.success() && overall.contains("OK"), "{policy} on {host:?}, {name}: {overall}\n{said}");
        }
    }
}

/// The lines of a unit that begin with a setting.
fn settings(text: &str, name: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned).collect()
}

#[test]
fn a_job_gets_the_secrets_that_it_needs_and_no_others() {
    let room = units("pricing-agent", Some("pricing-db-1"), &[]);
    let of = |job: &str| {
        let text = std::fs::read_to_string(room.path().join(format!("seawall-pricing-agent-{job}.service"))).expect("a unit");
        settings(&text, "LoadCredential").into_iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("backups.nightly"), ["pricing-agent-password"]);
    assert_eq!(of("watch"), ["heartbeat-url", "pagerduty-routing-key", "pricing-agent-password", "smtp-password"]);
    let staging = units("document-management", Some("docs-staging-1"), &[]);
    let text = std::fs::read_to_string(staging.path().join("seawall-document-management-drills.weekly.service")).expect("a unit");
    assert_eq!(settings(&text, "LoadCredential"), ["pgp-passphrase:/etc/seawall/credentials/pgp-passphrase"]);
}

#[test]
fn timers_are_where_a_job_may_have_to_run() {
    let timers = |policy: &str, host: &str| -> Vec<String> {
        let room = units(policy, Some(host), &[]);
        let prefix = format!("seawall-{policy}-");
        names(room.path()).iter().filter_map(|name| Some(name.strip_suffix(".timer")?.strip_prefix(&prefix)?.to_owned())).collect()
    };
    // Either may be the primary one day.
    assert_eq!(timers("pricing-agent", "pricing-db-1"), timers("pricing-agent", "pricing-db-2"));
    assert!(timers("pricing-agent", "pricing-db-2").contains(&"backups.nightly".to_owned()));
    assert_eq!(
        timers("pricing-agent", "pricing-staging-1"),
        ["archive-verify", "drills.monthly", "drills.quarterly", "drills.yearly", "watch"]
    );
    // `from: standby` may be any server, what names none is where `backups: true` is.
    assert_eq!(
        timers("document-management", "docs-db-1"),
        ["backups.daily-incremental", "backups.monthly-dump", "backups.weekly-full", "watch"]
    );
    assert!(timers("document-management", "docs-db-2").contains(&"reports.compliance".to_owned()));
}

#[test]
fn archived_rows_are_read_back_where_the_identity_is() {
    let shop = include_str!("shop.yaml");
    let archived = shop.to_owned() + "archive: { old: { table: orders, column: placed_at, after: 5y, store: main } }\n";
    let with_verifier = archived.replace("staging: { role: staging }", "staging: { role: staging }, eye: { role: verifier }");
    let calls = |text: &str, what: &str, host: &str| {
        let room = Room::new().with("p.yaml", text);
        let run = room.run(&["emit", what, "--policy", "p.yaml", "--policy-there", "/etc/seawall/policy.yaml", "--host", host]);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout.contains("seawall archive verify --policy /etc/seawall/policy.yaml")
    };
    for what in ["systemd", "cron"] {
        for (text, host, expected) in [
            (shop, "staging", false),
            (&archived, "staging", true),
            (&archived, "db-1", false),
            (&with_verifier, "staging", false),
            (&with_verifier, "eye", true),
        ] {
            assert_eq!(calls(text, what, host), expected, "{what} on {host}");
        }
    }
    // The identity, and no way to the original.
    let with_credential = with_verifier.replace("{ file: /etc/seawall/identity.txt }", "{ credential: identity }");
    let with_password = with_credential.replace("databases: [app]", "databases: [app]\n  password: { credential: shop-password }");
    let room = Room::new().with("p.yaml", with_password);
    std::fs::create_dir(room.path().join("units")).expect("a directory");
    let run = room.run(&["emit", "systemd", "--policy", "p.yaml", "--policy-there", "/p.yaml", "--host", "eye", "--out", "units"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let unit = std::fs::read_to_string(room.path().join("units/seawall-shop-archive-verify.service")).expect("a unit");
    assert_eq!(settings(&unit, "LoadCredential"), ["identity:/etc/seawall/credentials/identity"]);
    assert_eq!(settings(&unit, "User"), ["seawall"]);
}

#[test]
fn nothing_in_a_policy_becomes_a_setting() {
    let hostile = |from: &str, to: &str| {
        let text = sound("shop").replace(from, to);
        assert_ne!(text, sound("shop"));
        let room = Room::new().with("p.yaml", text);
        let run = room.run(&["emit", "systemd", "--policy", "p.yaml"]);
        (run.code, run.stdout, run.stderr)
    };
    let (code, _, said) = hostile("/srv/backups/shop", "\"/srv/x\\nExecStartPre=/bin/sh\"");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stores.main.local.path"), "{said}");
    let (code, text, said) = hostile("/srv/backups/shop", "\"/srv/a b%h\\\"c$d\"");
    assert_eq!(code, Some(0), "{said}");
    assert!(text.contains(r#"ReadWritePaths="-/srv/a b%%h\"c$d""#), "{text}");
    let (code, text, _) = hostile("databases: [app] }", "databases: [app], password: { credential: a/b } }");
    assert_eq!((code, text.as_str()), (Some(1), ""));
}

/// What a unit's settings take out of its sight, of what may be data.
fn hidden(unit: &str) -> Vec<&'static str> {
    let is = |name: &str, value: &str| settings(unit, name) == [value];
    let mut hidden = Vec::new();
    for (hides, places) in [
        (is("PrivateTmp", "yes"), &["/tmp", "/var/tmp"][..]),
        (is("ProtectHome", "yes"), &["/home", "/root", "/run/user"]),
        (is("ProtectKernelModules", "yes"), &["/lib/modules", "/usr/lib/modules"]),
    ] {
        hidden.extend(places.iter().filter(|_| hides));
    }
    for other in ["InaccessiblePaths", "TemporaryFileSystem", "BindPaths", "RootDirectory", "PrivateMounts", "ExecPaths", "NoExecPaths"] {
        assert_eq!(settings(unit, other), Vec::<String>::new(), "this list does not know it");
    }
    hidden
}

#[test]
fn a_keyring_in_the_account_s_home_can_be_read() {
    let unit = |keys: &str| {
        let openpgp = format!("{{ openpgp: {{ recipients: [0123456789ABCDEF0123456789ABCDEF01234567]{keys} }} }}");
        let text = sound("shop").replace("{ none: { because: a sample for tests } }", &openpgp);
        let room = Room::new().with("p.yaml", text);
        std::fs::create_dir(room.path().join("units")).expect("a directory");
        let run = room.run(&["emit", "systemd", "--policy", "p.yaml", "--policy-there", "/etc/seawall/policy.yaml", "--out", "units"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        std::fs::read_to_string(room.path().join("units/seawall-shop-backups.nightly.service")).expect("a unit")
    };
    let of_keyring = unit("");
    assert_eq!(settings(&of_keyring, "ProtectHome"), ["read-only"], "{of_keyring}");
    assert!(of_keyring.contains("`encryption.openpgp.keys`"), "{of_keyring}");
    assert_eq!(settings(&unit(", keys: /etc/seawall/recipients.asc"), "ProtectHome"), ["yes"]);
    assert_eq!(settings(&unit(", keys: /home/dba/recipients.asc"), "ProtectHome"), ["read-only"]);
}

#[test]
fn a_unit_hides_nothing_of_what_its_job_copies() {
    let unit = |job: &str, name: &str| {
        let from = "  nightly: { physical: {}";
        let text = sound("shop").replace(from, &format!("  {name}: {{ {job} }}\n  nightly: {{ physical: {{}}"));
        assert_ne!(text, sound("shop"));
        let room = Room::new().with("p.yaml", text);
        std::fs::create_dir(room.path().join("units")).expect("a directory");
        let there = "/etc/seawall/policy.yaml";
        let run = room.run(&["emit", "systemd", "--policy", "p.yaml", "--policy-there", there, "--out", "units"]);
        assert_eq!(run.code, Some(0), "{job}: {run:?}");
        std::fs::read_to_string(room.path().join(format!("units/seawall-shop-backups.{name}.service"))).expect("a unit")
    };
    let of_files = |path: &str| {
        let job = format!("files: {{ paths: [{path}] }}, schedule: {{ at: \"05:00\" }}, keep: {{ daily: 7 }}");
        unit(&job, "system")
    };
    let every = ["/tmp", "/var/tmp", "/home", "/root", "/run/user", "/lib/modules", "/usr/lib/modules"];
    for (path, seen) in [
        ("/", &every[..]),
        ("//", &every),
        ("/srv/..", &every),
        ("/var", &["/var/tmp"]),
        ("/var/", &["/var/tmp"]),
        ("/var/tmp/app", &["/var/tmp"]),
        ("/tmp", &["/tmp"]),
        ("/srv/../tmp/x", &["/tmp"]),
        ("/home/app", &["/home"]),
        ("/root", &["/root"]),
        ("/run", &["/run/user"]),
        ("/run/user/1000", &["/run/user"]),
        ("/usr", &["/usr/lib/modules"]),
        ("/usr/lib", &["/usr/lib/modules"]),
        ("/lib/modules/6.1", &["/lib/modules"]),
        ("/etc/postgresql", &[]),
        ("/srv/tmp", &[]),
        ("/tmpfiles", &[]),
        ("/homework", &[]),
        ("/var/lib/app", &[]),
        ("/usr/share/app", &[]),
    ] {
        let unit = of_files(path);
        let hidden = hidden(&unit);
        assert!(seen.iter().all(|place| !hidden.contains(place)), "{path}: {hidden:?} are hidden from\n{unit}");
        // And no more is seen than has to be.
        let of = |places: &[&str]| places.iter().any(|place| seen.contains(place)) != places.iter().any(|place| hidden.contains(place));
        assert!(of(&every[..2]) && of(&every[2..5]) && of(&every[5..]), "{path}: {hidden:?}");
        // What is seen cannot be written, but for what is meant for it.
        assert_eq!(settings(&unit, "ProtectSystem"), ["strict"]);
        let written = settings(&unit, "ReadWritePaths");
        assert!(written.iter().all(|path| ["-/srv/backups/shop", "/tmp /var/tmp"].contains(&path.as_str())), "{path}: {written:?}");
        let home = settings(&unit, "ProtectHome");
        assert!(home == ["yes"] || home == ["read-only"], "{home:?}");
    }
}
