//! Other ways to the same objects: over the replication protocol, from a standby; and who may not.

use std::fs;

use super::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, Version};

#[test]
fn over_the_replication_protocol_the_same_objects_come_out() {
    for version in [Version::V13, Version::V15, Version::V18] {
        let rig = Rig::new(version, &Policy { no_files: true, physical: "workers: 2".into(), ..Policy::default() });
        rig.cluster.tablespace("elsewhere");
        rig.cluster.sql(
            "create table here as select g, repeat(md5(g::text), 20) from generate_series(1, 30000) g;
             create table there tablespace elsewhere as select g, md5(g::text) from generate_series(1, 20000) g",
        );
        let backup = rig.backup(&[]);
        rig.cluster.sql("insert into there values (0, 'later')");
        rig.archive_all();
        let copy = rig.restore(&backup);
        assert_eq!(copy.sql("select count(*) from here union all select count(*) from there"), "30000\n20001", "{version}");
        let parts = rig.objects("data").len();
        assert!(parts >= 3, "{parts}");
    }
}

#[test]
fn from_a_standby_the_switch_is_asked_of_the_primary() {
    let primary = Rig::new(Version::V15, &Policy::default());
    primary.cluster.sql("create table t as select g from generate_series(1, 10000) g");
    let standby = Cluster::standby_of(&primary.cluster, Options::default());
    standby.wait_until("exists (select from pg_class where relname = 't')");
    let own = standby.conninfo();
    let data = standby.data();
    let text = fs::read_to_string(primary.path("policy.yaml")).expect("the policy");
    let text = text
        .replace(&primary.cluster.data().display().to_string(), &data.display().to_string())
        .replace("hosts: {  }", &format!("hosts: {{ db-1: {{ role: standby, backups: true, connection: \"{own}\" }} }}"))
        .replace("physical: {  }", "physical: { from: standby }");
    fs::write(primary.path("policy.yaml"), text).expect("the policy");
    let backup = primary.backup(&[]);
    assert!(primary.descriptor(&backup).cluster.standby);
    primary.cluster.sql("insert into t values (0)");
    primary.archive_all();
    let copy = primary.restore(&backup);
    assert_eq!(copy.sql("select count(*) from t"), "10001");
}

#[test]
fn another_server_s_files_are_not_taken_for_its_own() {
    let rig = Rig::new(Version::V15, &Policy::default());
    let other = Cluster::start(Version::V15, Options::default());
    let text = fs::read_to_string(rig.path("policy.yaml")).expect("the policy");
    let text = text.replace(&rig.cluster.data().display().to_string(), &other.data().display().to_string());
    fs::write(rig.path("policy.yaml"), text).expect("the policy");
    let said = rig.refused(&[]);
    assert!(said.contains("is not the data directory of the server that answers"), "{said}");
}

#[test]
fn a_host_that_the_policy_does_not_accept_writes_nothing() {
    let rig = Rig::new(Version::V15, &Policy::default());
    rig.backup(&[]);
    let stranger = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Lq2x9c2qvRA7Ki1u8Ue1hCvQzI7Qn6wz9qf2u6c1X";
    let text = fs::read_to_string(rig.path("policy.yaml")).expect("the policy");
    let text = text.replace("encryption: { age:", &format!("encryption: {{ writers: {{ db-9: \"{stranger}\" }}, age:"));
    fs::write(rig.path("policy.yaml"), text).expect("the policy");
    let said = rig.refused(&[]);
    assert!(said.contains("is not among `encryption.writers`") && said.contains("db-1: ssh-ed25519"), "{said}");
    assert_eq!(rig.objects("backups").len(), 2);
}

#[test]
fn without_an_archiver_there_is_no_use_in_beginning() {
    let rig = Rig::over(Cluster::start(Version::V15, Options::default()), &Policy::default());
    let said = rig.refused(&[]);
    assert!(said.contains("`archive_mode` is off"), "{said}");
}
