//! Who we are and who the server is: passwords of every kind, with and without TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use seawall::postgres::{Connection, Fault, FaultKind};
use secrecy::SecretString;

use super::super::clusters::{Cluster, Options, Version, settings};

const HBA: &str = "\
local all postgres trust
local all plain password
local all scram scram-sha-256
host all postgres 127.0.0.1/32 trust
hostssl all encrypted 127.0.0.1/32 trust
hostnossl all open 127.0.0.1/32 trust
host all plain 127.0.0.1/32 password
host all old 127.0.0.1/32 md5
host all scram 127.0.0.1/32 scram-sha-256
hostssl replication scram 127.0.0.1/32 scram-sha-256
";

/// A server with TLS, and the certificates around it.
struct Guarded {
    cluster: Cluster,
}

impl Guarded {
    fn start(version: Version) -> Guarded {
        let options = Options { hba: Some(HBA.to_owned()), ..Options::default() }.over_tcp();
        let cluster = Cluster::start(version, options);
        cluster.sql("set password_encryption = 'md5'; create role old login password 'right'");
        cluster.sql("set password_encryption = 'scram-sha-256'; create role scram login replication password 'right'");
        cluster.sql("create role plain login password 'right'; create role encrypted login; create role open login");
        let guarded = Guarded { cluster };
        for name in ["ca", "stranger"] {
            guarded.root(name);
        }
        guarded.signed("server", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1");
        for (from, to) in [("server.pem", "server.crt"), ("server.key", "server.key")] {
            guarded.cluster.write(to, &fs::read_to_string(guarded.file(from)).expect("a file"));
        }
        guarded.cluster.add_conf("ssl = on");
        guarded.cluster.restart();
        guarded
    }

    fn file(&self, name: &str) -> PathBuf {
        self.cluster.folder().join(name)
    }

    /// A certificate authority.
    fn root(&self, name: &str) {
        openssl(
            self.cluster.folder(),
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ),
        );
    }

    fn signed(&self, name: &str, by: &str, extension: &str) {
        let folder = self.cluster.folder();
        fs::write(folder.join(format!("{name}.ext")), extension).expect("a file");
        openssl(
            folder,
            &format!("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"),
        );
        openssl(
            folder,
            &format!("x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.pem"),
        );
    }

    fn text(&self, user: &str, more: &str) -> String {
        format!("host=localhost hostaddr=127.0.0.1 port={} dbname=postgres user={user} {more}", self.cluster.port())
    }

    fn connect(&self, user: &str, more: &str) -> Result<Connection, Fault> {
        Connection::connect(&settings(&self.text(user, more)))
    }
}

fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output().expect("openssl");
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_right_password_and_no_other() {
    let server = Guarded::start(Version::V15);
    for (user, more) in [
        ("scram", "sslmode=disable"),
        ("scram", "sslmode=prefer"),
        ("scram", "sslmode=require channel_binding=require"),
        ("scram", "sslmode=require channel_binding=disable"),
        ("scram", "sslmode=require ssl_max_protocol_version=TLSv1.2 channel_binding=require"),
        ("old", "sslmode=disable"),
        ("old", "sslmode=require"),
        ("plain", "sslmode=require"),
    ] {
        let mut connection =
            server.connect(user, &format!("password=right {more}")).unwrap_or_else(|fault| panic!("{user} {more}: {fault}"));
        assert_eq!(connection.query("select current_user::text as me", &[]).expect("a row").one().expect("one").get("me"), Some(user));
        for password in ["wrong", "''"] {
            let fault = server.connect(user, &format!("password={password} {more}")).expect_err("a wrong password");
            assert_eq!(fault.kind, FaultKind::Denied, "{user} {more}: {fault:?}");
            assert!(!fault.is_transient() && !format!("{fault:?}").contains("wrong'"), "{fault:?}");
            let is_explained = fault.hint.contains("the connection string (`cluster.connection`)") || password == "''";
            assert!(is_explained, "{fault:?}");
        }
    }
    let given = settings(&server.text("scram", "")).with_password(SecretString::from("wrong"));
    let fault = Connection::connect(&given).expect_err("a wrong password");
    assert!(fault.hint.contains("came from the policy's `cluster.password`"), "{fault:?}");
    let nowhere = settings(&server.text("scram", "password=right dbname=nowhere"));
    let fault = Connection::connect(&nowhere).expect_err("no such database");
    assert!(fault.hint.contains("`dbname` of the connection string"), "{fault:?}");
    let fault = Connection::connect(&nowhere.with_dbname("elsewhere")).expect_err("no such database");
    assert!(fault.hint.contains("`cluster.databases`"), "{fault:?}");
    // The policy's own password goes before the string's.
    let given = settings(&server.text("scram", "password=wrong")).with_password(SecretString::from("right"));
    Connection::connect(&given).expect("the right password");
    assert!(!format!("{given:?}").contains("right") && !format!("{given:?}").contains("wrong"));
    // Through the socket of the machine too, in clear text even.
    for user in ["scram", "plain"] {
        let text = format!(
            "host={} port={} dbname=postgres user={user} password=right",
            server.cluster.sockets().display(),
            server.cluster.port()
        );
        Connection::connect(&settings(&text)).unwrap_or_else(|fault| panic!("{user}: {fault}"));
    }
}

#[test]
fn a_password_is_not_shouted_across_the_network() {
    let server = Guarded::start(Version::V15);
    let fault = server.connect("plain", "password=right sslmode=disable").expect_err("clear text");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains("clear text"), "{fault}");
    for (user, more) in
        [("old", "sslmode=require"), ("plain", "sslmode=require"), ("scram", "sslmode=disable"), ("postgres", "sslmode=require")]
    {
        let fault = server.connect(user, &format!("password=right channel_binding=require {more}")).expect_err("nothing is bound");
        assert!(fault.kind == FaultKind::Denied && fault.message.contains("channel binding"), "{user}: {fault:?}");
    }
}

#[test]
fn who_the_server_is() {
    let server = Guarded::start(Version::V15);
    let with = |mode: &str, root: &str| format!("password=right sslmode={mode} sslrootcert={}", server.file(root).display());
    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(server.connect("scram", &with(mode, "ca.pem")).unwrap_or_else(|fault| panic!("{mode}: {fault}")).is_encrypted());
        let fault = server.connect("scram", &with(mode, "stranger.pem")).expect_err("a wrong root");
        assert!(fault.kind == FaultKind::Denied && fault.message.contains("not signed by a root"), "{mode}: {fault:?}");
    }
    // The server's own certificate is a root as good as any.
    server.connect("scram", &with("verify-full", "server.pem")).expect("its own certificate");
    let elsewhere = |mode: &str| server.text("scram", &with(mode, "ca.pem")).replace("host=localhost", "host=db.example");
    let fault = Connection::connect(&settings(&elsewhere("verify-full"))).expect_err("a wrong name");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("another name"), "{fault:?}");
    Connection::connect(&settings(&elsewhere("verify-ca"))).expect("the name does not count");
    let replication = Connection::replicate(&settings(&server.text("scram", &with("verify-full", "ca.pem")))).expect("replication");
    assert!(replication.is_encrypted());
    let fault = server.connect("scram", &with("verify-full", "nowhere.pem")).expect_err("no such file");
    assert_eq!(fault.kind, FaultKind::Config, "{fault:?}");
}

#[test]
fn encrypted_if_it_must_be_and_open_if_it_may() {
    let server = Guarded::start(Version::V15);
    for (user, mode, encrypted) in [
        ("encrypted", "disable", None),
        ("encrypted", "allow", Some(true)),
        ("encrypted", "prefer", Some(true)),
        ("encrypted", "require", Some(true)),
        ("open", "disable", Some(false)),
        ("open", "allow", Some(false)),
        ("open", "prefer", Some(false)),
        ("open", "require", None),
        ("postgres", "allow", Some(false)),
        ("postgres", "prefer", Some(true)),
    ] {
        match server.connect(user, &format!("sslmode={mode}")) {
            Ok(connection) => assert_eq!(Some(connection.is_encrypted()), encrypted, "{user} {mode}"),
            Err(fault) => assert!(encrypted.is_none() && fault.kind == FaultKind::Denied, "{user} {mode}: {fault:?}"),
        }
    }
    // A server without TLS.
    let bare = Cluster::start(Version::V18, Options::default().over_tcp());
    let text = |mode: &str| format!("host=127.0.0.1 port={} user=postgres sslmode={mode}", bare.port());
    assert!(!Connection::connect(&settings(&text("prefer"))).expect("open").is_encrypted());
    let fault = Connection::connect(&settings(&text("require"))).expect_err("no TLS there");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("does not speak TLS"), "{fault:?}");
}

#[test]
fn a_certificate_of_version_1_encrypts_but_proves_nothing() {
    let server = Guarded::start(Version::V15);
    let folder = server.cluster.folder();
    openssl(folder, "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout v1.key -out v1.csr");
    openssl(folder, "x509 -req -in v1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out v1.pem");
    for (from, to) in [("v1.pem", "server.crt"), ("v1.key", "server.key")] {
        server.cluster.write(to, &fs::read_to_string(server.file(from)).expect("a file"));
    }
    server.cluster.restart();
    assert!(server.connect("scram", "password=right sslmode=require").expect("encrypted").is_encrypted());
    server.connect("scram", "password=right sslmode=require channel_binding=require").expect_err("nothing to bind to");
    let fault = server.connect("scram", &format!("password=right sslmode=verify-full sslrootcert={}", server.file("ca.pem").display()));
    assert_eq!(fault.expect_err("it proves nothing").kind, FaultKind::Denied);
}

#[test]
fn a_client_certificate() {
    let server = Guarded::start(Version::V15);
    server.root("people");
    server.signed("scram", "people", "keyUsage=digitalSignature");
    server.cluster.write("people.crt", &fs::read_to_string(server.file("people.pem")).expect("a file"));
    server.cluster.write("pg_hba.conf", "local all postgres trust\nhostssl all scram 127.0.0.1/32 cert\n");
    server.cluster.add_conf("ssl_ca_file = 'people.crt'");
    server.cluster.restart();
    let certificate = format!("sslcert={} sslkey={}", server.file("scram.pem").display(), server.file("scram.key").display());
    server.connect("scram", &format!("sslmode=require {certificate}")).expect("it is who it says");
    for none in ["", "sslcertmode=disable"] {
        let fault = server.connect(
            "scram",
            &format!("sslmode=require {}", if none.is_empty() { none.to_owned() } else { format!("{none} {certificate}") }),
        );
        assert_eq!(fault.expect_err("no certificate").kind, FaultKind::Denied);
    }
    fs::set_permissions(server.file("scram.key"), fs::Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(server.connect("scram", &certificate).expect_err("an open key").kind, FaultKind::Config);
}

#[test]
fn tls_from_the_first_byte() {
    let server = Guarded::start(Version::V17);
    let direct = "password=right sslnegotiation=direct sslmode=verify-full channel_binding=require";
    let text = format!("{direct} sslrootcert={}", server.file("ca.pem").display());
    assert!(server.connect("scram", &text).expect("17 can do it").is_encrypted());
    assert!(server.connect("scram", &text.replace("sslnegotiation=direct", "")).expect("and the other way").is_encrypted());
}

#[test]
fn a_stop_request_is_encrypted_too() {
    let server = Guarded::start(Version::V15);
    let mut connection = server.connect("scram", "password=right sslmode=require").expect("a session");
    let cancel = connection.cancel_handle().expect("a key");
    std::thread::scope(|scope| {
        let server = &server;
        let stopper = scope.spawn(move || {
            let asleep = "exists (select from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)')";
            server.cluster.wait_until(asleep);
            cancel.send()
        });
        assert_eq!(connection.query("select pg_sleep(60)", &[]).expect_err("stopped").code(), Some("57014"));
        stopper.join().expect("a thread").expect("it is sent");
    });
}

#[test]
fn a_full_server_refuses_and_may_not_tomorrow() {
    let cluster = Cluster::start(
        Version::V15,
        Options::default().with("max_connections = 5\nsuperuser_reserved_connections = 0\nmax_wal_senders = 2"),
    );
    let mut held = Vec::new();
    let fault = loop {
        match Connection::connect(&cluster.settings()) {
            Ok(connection) if held.len() < 10 => held.push(connection),
            Ok(_) => panic!("it is never full"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.kind, FaultKind::Refused, "{fault:?}");
    assert!(fault.is_transient());
}
