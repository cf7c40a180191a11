use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::*;

/// What a text comes to with this environment and these files (path, mode, text).
fn resolve(text: &str, env: &[(&str, &str)], files: &[(&str, u32, &str)]) -> Result<Settings, super::super::Fault> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let file = |path: &Path| {
        let (_, mode, text) = files.iter().find(|(name, ..)| Path::new(name) == path)?;
        Some(SeenFile { text: (*text).to_owned(), mode: *mode, is_plain: true })
    };
    Settings::resolve(
        text,
        &Outside {
            env: &|name| env.get(name).map(|value| (*value).to_owned()),
            home: Some(PathBuf::from("/h")),
            user: Some("runs".to_owned()),
            file: &file,
            exists: &|path| path == Path::new("/tmp") || files.iter().any(|(name, ..)| Path::new(name) == path),
        },
    )
}

fn said(text: &str, env: &[(&str, &str)]) -> String {
    match resolve(text, env, &[]) {
        Err(fault) => format!("error: {fault}"),
        Ok(settings) => {
            let targets: Vec<String> = settings.targets.iter().map(ToString::to_string).collect();
            format!("{} {}@{}", targets.join(" "), settings.user, settings.dbname)
        }
    }
}

#[test]
fn hosts_ports_and_defaults() {
    for (text, env, expected) in [
        ("", &[][..], "/tmp/.s.PGSQL.5432 runs@runs"),
        ("user=me", &[], "/tmp/.s.PGSQL.5432 me@me"),
        ("host=db", &[("PGHOST", "other"), ("PGPORT", "6000")], "db:6000 runs@runs"),
        ("", &[("PGHOST", "a,b"), ("PGPORT", "1,2"), ("PGUSER", "u"), ("PGDATABASE", "d")], "a:1 b:2 u@d"),
        ("host=", &[("PGHOST", "a")], "/tmp/.s.PGSQL.5432 runs@runs"),
        ("host=a,,/run/pg,@x port=,2,3,4", &[], "a:5432 /tmp/.s.PGSQL.2 /run/pg/.s.PGSQL.3 @x/.s.PGSQL.4 runs@runs"),
        ("postgresql://[::1],10.0.0.1:7/d", &[], "[::1]:5432 10.0.0.1:7 runs@d"),
        ("hostaddr=10.0.0.1,::1 host=a,b port=9", &[], "a:9 b:9 runs@runs"),
        ("hostaddr=10.0.0.1", &[], "10.0.0.1:5432 runs@runs"),
        ("host=a,b port=1,2,3", &[], "error: host and port do not match: 3 ports for 2 hosts"),
        ("host=a,b hostaddr=10.0.0.1", &[], "error: host and hostaddr do not match: 2 hosts and 1 addresses"),
        ("hostaddr=db", &[], "error: hostaddr `db` is no IP address"),
        ("port=0", &[], "error: port 1 of the connection string is none"),
        ("port=5432x", &[], "error: port 1 of the connection string is none"),
        ("sslcrl=/x", &[], "error: `sslcrl` is not understood here"),
        ("", &[("PGREQUIREPEER", "postgres")], "error: `requirepeer` is not understood here"),
        ("gssencmode=require", &[], "error: `gssencmode=require` cannot be met"),
        ("connect_timeout=soon", &[], "error: connect_timeout `soon` is no whole number"),
        ("target_session_attrs=best", &[], "error: target_session_attrs cannot be `best`"),
    ] {
        assert_eq!(said(text, env), expected, "{text} {env:?}");
    }
}

#[test]
fn how_safe_the_channel_is() {
    let mode = |text: &str, files| resolve(text, &[], files).map(|settings| (settings.tls.mode, settings.tls.roots));
    let root = [("/h/.postgresql/root.crt", 0o644, "")];
    assert_eq!(mode("", &[]), Ok((SslMode::Prefer, Roots::None)));
    assert_eq!(mode("", &root), Ok((SslMode::Prefer, Roots::File("/h/.postgresql/root.crt".into()))));
    assert_eq!(mode("sslrootcert=system", &[]), Ok((SslMode::VerifyFull, Roots::System)));
    assert_eq!(mode("sslmode=verify-ca sslrootcert=/ca", &[]), Ok((SslMode::VerifyCa, Roots::File("/ca".into()))));
    for text in ["sslmode=verify-full", "sslmode=verify-ca", "sslmode=verify-ca sslrootcert=system", "sslmode=on", "sslnegotiation=direct"]
    {
        assert_eq!(mode(text, &[]).expect_err(text).kind, super::super::FaultKind::Config, "{text}");
    }
    let versions = resolve("ssl_min_protocol_version=TLSv1.3", &[], &[]).expect("settings").tls;
    assert_eq!((versions.at_least, versions.at_most), (TlsVersion::V1_3, TlsVersion::V1_3));
}

#[test]
fn passwords_by_their_order() {
    let file = [("/h/.pgpass", 0o100_600, "localhost:5432:d:u:socket\ndb:*:replication:u:stream\ndb:*:d:u:file\n")];
    let plain = |settings: &Settings| {
        let first = &settings.targets[0];
        let secret = settings.password.as_ref().or(first.password.as_ref());
        secret.map(|secret| secret.expose_secret().to_owned())
    };
    let of = |text: &str, env: &[(&str, &str)]| plain(&resolve(text, env, &file).expect("settings"));
    assert_eq!(of("user=u dbname=d host=db password=said", &[("PGPASSWORD", "env")]).as_deref(), Some("said"));
    assert_eq!(of("user=u dbname=d host=db", &[("PGPASSWORD", "env")]).as_deref(), Some("env"));
    assert_eq!(of("user=u dbname=d host=db", &[]).as_deref(), Some("file"));
    assert_eq!(of("user=u dbname=d", &[]).as_deref(), Some("socket"));
    assert_eq!(of("user=u dbname=other host=db", &[]), None);
    assert_eq!(of("user=u dbname=d host=db passfile=/nowhere", &[]), None);
    let settings = resolve("user=u dbname=d host=db", &[], &file).expect("settings");
    let stream = settings.targets[0].replication_password.as_ref().expect("a password");
    assert_eq!(stream.expose_secret(), "stream");
}

#[test]
fn an_open_password_file_warns_and_gives_nothing() {
    let settings = resolve("user=u", &[], &[("/h/.pgpass", 0o100_644, "*:*:*:*:secret\n")]).expect("settings");
    assert!(settings.targets[0].password.is_none());
    assert!(matches!(settings.warnings.as_slice(), [one] if one.contains("chmod 0600")), "{:?}", settings.warnings);
}

#[test]
fn services_go_before_the_environment_and_after_the_text() {
    let files = [
        ("/h/.pg_service.conf", 0o644, "[s]\nhost=own\nport=1\n"),
        ("/etc/postgresql-common/pg_service.conf", 0o644, "[s]\nhost=system\n[t]\nhost=system\n"),
        ("/sys/pg_service.conf", 0o644, "[t]\nhost=named\n"),
    ];
    let of = |text: &str, env: &[(&str, &str)]| match resolve(text, env, &files) {
        Ok(settings) => settings.targets[0].to_string(),
        Err(fault) => fault.message,
    };
    assert_eq!(of("service=s", &[("PGHOST", "env")]), "own:1");
    assert_eq!(of("service=s host=text", &[]), "text:1");
    assert_eq!(of("", &[("PGSERVICE", "t")]), "system:5432");
    assert_eq!(of("service=t", &[("PGSYSCONFDIR", "/sys")]), "named:5432");
    assert_eq!(of("service=u", &[]), "there is no service `u`");
    assert_eq!(of("service=s", &[("PGSERVICEFILE", "/nowhere")]), "the service file `/nowhere` cannot be read");
}

#[test]
fn nothing_shows_a_password() {
    let settings = resolve("user=u password=hunter2 host=db", &[], &[]).expect("settings");
    assert!(!format!("{settings:?}").contains("hunter2"));
    for text in [
        "password=hunter2 hunter2",
        "password='hunter2",
        "postgresql://u:hunter2%zz@h",
        "postgresql://u:hunter2@h:port",
        "postgresql://u:hunter2/x@h",
        "user=u password=a hunter2=b",
    ] {
        let fault = resolve(text, &[], &[]).expect_err(text);
        assert!(!format!("{fault:?}").contains("hunter2"), "{text}: {fault:?}");
    }
}

#[test]
fn who_names_the_database_is_known() {
    let files = [("/h/.pg_service.conf", 0o644, "[s]\nhost=own\ndbname=d\n[bare]\nhost=own\n")];
    for (text, env, names, dbname) in [
        ("host=db dbname=rescue", &[][..], true, "rescue"),
        ("postgresql://db/rescue", &[], true, "rescue"),
        ("service=s", &[], true, "d"),
        ("service=bare dbname=rescue", &[], true, "rescue"),
        ("host=db", &[("PGDATABASE", "e")], false, "e"),
        ("host=db", &[("PGSERVICE", "s")], false, "d"),
        ("service=bare", &[], false, "runs"),
        ("host=db dbname=", &[], false, "runs"),
    ] {
        let settings = resolve(text, env, &files).expect("settings");
        assert_eq!((settings.names_database, settings.dbname.as_str()), (names, dbname), "{text} {env:?}");
    }
}
