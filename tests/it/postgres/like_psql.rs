//! Whatever psql makes of a connection string and the environment, we make of it too.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use seawall::postgres::conninfo::{Outside, SeenFile};
use seawall::postgres::{Connection, Settings};

use super::super::clusters::{Cluster, Options, Version};

const ASK: &str = "select current_user, current_database(), current_setting('application_name'), current_setting('work_mem')";

/// (connection string, environment); `{S}` is the socket directory, `{P}` the port, `{H}` a home with a service and a password file.
const CASES: &[(&str, &[(&str, &str)])] = &[
    ("host={S} port={P} user=postgres dbname=postgres application_name=me", &[]),
    ("host = {S} port ={P} user= postgres dbname='postgres' application_name='a b'", &[]),
    ("user=app application_name=me", &[("PGHOST", "{S}"), ("PGPORT", "{P}"), ("PGPASSWORD", "app's")]),
    ("application_name=me", &[("PGHOST", "{S}"), ("PGPORT", "{P}"), ("PGUSER", "app"), ("PGDATABASE", "postgres")]),
    ("postgresql://postgres@127.0.0.1:{P}/postgres?application_name=me%20too", &[]),
    ("postgresql://app:app%27s@127.0.0.1:{P}/app?application_name=me", &[]),
    ("postgres://app@localhost:{P}?application_name=me&hostaddr=127.0.0.1", &[]),
    ("postgresql:///postgres?host={S}&port={P}&user=postgres&options=-c%20work_mem%3D7MB&application_name=me", &[]),
    ("user=postgres dbname=postgres options='-c work_mem=9MB' application_name=me", &[("PGHOST", "{S}"), ("PGPORT", "{P}")]),
    ("service=ours application_name=me", &[]),
    ("service=ours dbname=postgres application_name=me", &[("PGUSER", "postgres")]),
    ("application_name=me", &[("PGSERVICE", "ours")]),
    ("service=ours application_name=me", &[("PGSERVICEFILE", "{H}/other.conf")]),
    ("service=ours", &[("PGSERVICEFILE", "{H}/nowhere.conf")]),
    ("service=nobodys", &[]),
    ("service=broken", &[]),
    ("host={S} port={P} user=app application_name=me", &[("PGPASSFILE", "{H}/open.pgpass")]),
    ("host={S} port={P} user=app application_name=me passfile={H}/.pgpass", &[("PGPASSFILE", "{H}/open.pgpass")]),
    ("host={S} port={P} user=app password=wrong", &[]),
    ("host=/nowhere,{S} port=1,{P} user=postgres dbname=postgres application_name=me", &[]),
    ("host={S},{S} port={P} user=postgres dbname=postgres application_name=me", &[]),
    ("host={S},{S},{S} port={P},{P} user=postgres", &[]),
    ("host={S} port={P} user=postgres nonsense=1", &[]),
    ("host={S} port={P} user=postgres dbname", &[]),
    ("host={S} port={P} user='postgres", &[]),
    ("host={S} port=0 user=postgres", &[]),
    ("host={S} port=65536 user=postgres", &[]),
    ("host={S} port={P} user=postgres sslmode=never", &[]),
    ("host={S} port={P} user=postgres dbname=postgres sslmode=require application_name=me", &[]),
    ("host=127.0.0.1 port={P} user=postgres dbname=postgres sslmode=require", &[]),
    ("host=127.0.0.1 port={P} user=postgres dbname=postgres sslmode=verify-full", &[]),
    ("host={S} port={P} user=postgres dbname=postgres connect_timeout=x", &[]),
    ("host={S} port={P} user=postgres dbname=postgres target_session_attrs=standby", &[]),
    ("host={S} port={P} user=postgres dbname=postgres target_session_attrs=primary application_name=me", &[]),
    ("host={S} port={P} user=postgres dbname=postgres target_session_attrs=best", &[]),
    ("hostaddr=localhost port={P} user=postgres dbname=postgres", &[]),
    ("host={S} port={P} user=nobody", &[]),
];

#[test]
fn the_same_session_or_none() {
    let hba = "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let cluster = Cluster::start(Version::V15, Options { hba: Some(hba.to_owned()), ..Options::default() }.over_tcp());
    cluster.sql("create role app login password 'app''s'");
    cluster.sql("create database app owner app");
    let home = cluster.folder().join("home");
    fs::create_dir(&home).expect("a home");
    let fill = |text: &str| {
        text.replace("{S}", &cluster.sockets().display().to_string())
            .replace("{P}", &cluster.port().to_string())
            .replace("{H}", &home.display().to_string())
    };
    let put = |name: &str, text: &str, mode: u32| {
        fs::write(home.join(name), fill(text)).expect("a file");
        fs::set_permissions(home.join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    put(".pg_service.conf", "# services\n[ours]\nhost={S}\nport={P}\nuser=app\nuser=postgres\n[broken]\nnonsense\n", 0o644);
    put("other.conf", "[ours]\nhost={S}\nport={P}\nuser=postgres\ndbname=postgres\n", 0o644);
    put(".pgpass", "elsewhere:*:*:*:wrong\n*:{P}:*:app:app's\n", 0o600);
    put("open.pgpass", "*:{P}:*:app:app's\n", 0o644);
    cluster.account().own(&home);

    for (text, environment) in CASES {
        let environment: Vec<(&str, String)> = environment.iter().map(|(name, value)| (*name, fill(value))).collect();
        let text = fill(text);
        let theirs = psql(&cluster, &home, &text, &environment);
        let ours = ours(&home, &text, &environment);
        assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{text} {environment:?}\nours: {ours:?}\ntheirs: {theirs:?}");
    }
}

fn psql(cluster: &Cluster, home: &std::path::Path, text: &str, environment: &[(&str, String)]) -> Result<String, String> {
    // Through `env`: changing the account may tidy the variables.
    let mut command = cluster.account().command("env");
    command.arg(format!("HOME={}", home.display()));
    command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
    let output = command.arg(Version::V15.programs().join("psql")).args(["-XAtw", "-c", ASK, "-d", text]).output().expect("psql");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn ours(home: &std::path::Path, text: &str, environment: &[(&str, String)]) -> Result<String, String> {
    let file = |path: &std::path::Path| {
        let text = fs::read_to_string(path).ok()?;
        Some(SeenFile { text, mode: fs::metadata(path).ok()?.permissions().mode(), is_plain: true })
    };
    let outside = Outside {
        env: &|name| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        home: Some(home.to_owned()),
        user: Some("postgres".to_owned()),
        file: &file,
        exists: &|path| path.exists(),
    };
    let said = |fault: seawall::postgres::Fault| fault.to_string();
    let settings = Settings::resolve(text, &outside).map_err(said)?;
    let mut connection = Connection::connect(&settings).map_err(said)?;
    let rows = connection.run(ASK).map_err(said)?;
    let values = rows[0].one().map_err(said)?.values().iter().flatten().cloned().collect::<Vec<_>>();
    Ok(values.join("|"))
}
