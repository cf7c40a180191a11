use super::*;

#[track_caller]
fn assert_pair(code: u16, main: &str, copy: &str, expected: &[&str]) {
    let body = format!(
        "stores: {{ main: {main}, other: {copy} }}\nwal: {{ store: main, copies: [other], timeout: 60s, keep: 7d }}\nbackups: {{ full: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, copies: [other], keep: {{ last: 7 }} }} }}"
    );
    assert_found(code, &body, expected);
}

fn s3(bucket: &str, more: &str) -> String {
    format!("{{ s3: {{ bucket: {bucket}{more} }} }}")
}

#[test]
fn a_copy_in_the_same_account() {
    let (one, two) = (s3("one", ", account: \"1111\", region: a"), s3("two", ", account: \"1111\", region: b"));
    assert_pair(601, &one, &two, &["warning stores.other.s3.account: the copies share the account of `stores.main` (1111)"]);
    assert_pair(602, &one, &two, &[]);
    let azure = |container: &str| format!("{{ azure: {{ account: backups, container: {container} }} }}");
    assert_pair(
        601,
        &azure("one"),
        &azure("two"),
        &["warning stores.other.azure.account: the copies share the account of `stores.main` (backups)"],
    );
    let gcs = |bucket: &str| format!("{{ gcs: {{ bucket: {bucket}, project: shop }} }}");
    assert_pair(601, &gcs("one"), &gcs("two"), &["warning stores.other.gcs.project: the copies share the project of `stores.main` (shop)"]);
}

#[test]
fn a_copy_in_the_same_region() {
    let (one, two) = (s3("one", ", account: \"1\", region: eu-west-1"), s3("two", ", account: \"2\", region: eu-west-1"));
    assert_pair(602, &one, &two, &["warning stores.other.s3.region: the copies share the region of `stores.main` (eu-west-1)"]);
    assert_pair(601, &one, &two, &[]);
}

#[test]
fn what_is_not_declared_is_not_known() {
    let (one, two) = (s3("one", ", region: a"), s3("two", ", account: \"1\", region: b"));
    assert_pair(
        601,
        &one,
        &two,
        &["note stores.other.s3.account: it cannot be told whether the copies share the account of `stores.main`"],
    );
    assert_pair(602, &one, &two, &[]);
}

#[test]
fn a_copy_in_the_same_bucket_or_on_the_same_server() {
    let (one, two) = (s3("one", ", prefix: a, account: \"1\", region: a"), s3("one", ", prefix: b, account: \"1\", region: a"));
    assert_pair(603, &one, &two, &["warning stores.other.s3.bucket: the copies lie in the same bucket as `stores.main`"]);
    assert_pair(601, &one, &two, &[]);
    let server = ", endpoint: \"https://minio.example.com\"";
    let here = "warning stores.other.s3.endpoint: the copies lie on the same server as `stores.main` (https://minio.example.com)";
    assert_pair(603, &s3("one", server), &s3("two", server), &[here]);
    assert_pair(603, &s3("one", server), &s3("one", ", region: a"), &[]);
    let container = |account: &str| format!("{{ azure: {{ account: {account}, container: backups }} }}");
    assert_pair(603, &container("here"), &container("there"), &[]);
}

#[test]
fn a_copy_under_the_same_key() {
    let key =
        |name: &str, region: &str, key: &str| s3(name, &format!(", account: \"{region}\", region: {region}, sse: {{ kms: \"{key}\" }}"));
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
    assert_pair(
        609,
        &key("one", "a", arn),
        &key("two", "b", arn),
        &["warning stores.other.s3.sse.kms: the copies are encrypted with the same key as `stores.main`"],
    );
    // An alias is another key in each account and region.
    assert_pair(609, &key("one", "a", "alias/backups"), &key("two", "b", "alias/backups"), &[]);
}

#[test]
fn different_clouds_are_apart() {
    let findings = findings(
        "stores: { main: { s3: { bucket: one } }, other: { gcs: { bucket: one } } }\nbackups: { full: { physical: {}, schedule: { at: \"02:00\" }, store: main, copies: [other], keep: { last: 7 } } }",
    );
    assert!(findings.iter().all(|finding| !(601..=609).contains(&finding.code.0)), "{findings:#?}");
}

#[test]
fn backups_without_a_second_copy() {
    let full = "full: { physical: {}, schedule: { at: \"02:00\" }, store: main, keep: { last: 7 } }";
    let dump = "dump: { logical: {}, schedule: { at: \"04:00\" }, store: main, keep: { last: 7 } }";
    assert_with_main(
        604,
        &format!("backups: {{ {full}, {dump} }}"),
        &["warning backups.full: there is no second copy beside the one in `stores.main`"],
    );
    assert_with_main(
        604,
        &format!("backups: {{ {dump} }}"),
        &["warning backups.dump: there is no second copy beside the one in `stores.main`"],
    );
    let two = "stores: { main: { s3: { bucket: one-backups } }, other: { gcs: { bucket: two-backups } } }\n";
    let copied = "full: { physical: {}, schedule: { at: \"02:00\" }, store: main, copies: [other], keep: { last: 7 } }";
    assert_found(604, &format!("{two}backups: {{ {copied}, {dump} }}"), &[]);
    assert_found(
        604,
        &format!("{two}wal: {{ store: main, timeout: 60s, keep: 7d }}\nbackups: {{ {copied} }}"),
        &["warning wal: there is no second copy of the log beside the one in `stores.main`"],
    );
    let replicated = "stores: { main: { azure: { account: shop, container: backups }, replicated: { to: westeurope } } }\nwal: { store: main, timeout: 60s, keep: 7d }\n";
    assert_found(604, &format!("{replicated}backups: {{ {full} }}"), &[]);
}

#[test]
fn backups_that_go_with_the_server() {
    let jobs = |stores: &str, copies: &str| {
        format!(
            "stores: {{ {stores} }}\nbackups: {{ full: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, store: main, {copies} keep: {{ last: 7 }} }} }}"
        )
    };
    let main = "main: { local: { path: /srv/backups } }";
    let only = "warning stores.main: every backup lies in a local directory, and goes with the server if it does";
    assert_found(605, &jobs(main, ""), &[only]);
    assert_found(604, &jobs(main, ""), &[]);
    let both = "warning stores: every backup lies in local directories, and goes with the server if it does";
    assert_found(605, &jobs(&format!("{main}, other: {{ local: {{ path: /mnt/backups }} }}"), "copies: [other],"), &[both]);
    assert_found(605, &jobs(&format!("{main}, other: {{ gcs: {{ bucket: backups }} }}"), "copies: [other],"), &[]);
    assert_found(605, &jobs("main: { local: { path: /mnt/nas }, replicated: { to: the other site } }", ""), &[]);
}

fn encrypted(encryption: &str, hosts: &str, rest: &str) -> Vec<String> {
    let text = format!(
        "version: 1\npolicy: tested\ncluster: {{ connection: service=tested, databases: [shop], hosts: {{ {hosts} }} }}\nencryption: {encryption}\n{rest}"
    );
    let findings = prove(&policy_of(&text), None, now());
    findings.iter().filter(|finding| [607, 608, 802].contains(&finding.code.0)).map(line).collect()
}

const KEY: &str = "recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]";

#[test]
fn a_host_that_can_read_its_own_old_backups() {
    let age = format!("{{ age: {{ {KEY}, identity: {{ file: /etc/identity.txt }} }} }}");
    let expected = ["note encryption.age.identity: the host that writes the backups can also read all old ones"];
    let body = |host: &str| {
        format!(
            "{MAIN}backups: {{ full: {{ physical: {{}}, keep: {{ last: 3 }} }} }}\ndrills: {{ d: {{ restore: {{ latest: full }}{host} }} }}"
        )
    };
    assert_eq!(encrypted(&age, "", &body("")), expected);
    let hosts = "db: { role: primary }, lab: { role: staging }";
    assert_eq!(encrypted(&age, hosts, &body("")), expected);
    assert_eq!(encrypted(&age, hosts, &body(", host: lab")), [""; 0]);
}

#[test]
fn a_drill_that_cannot_open_anything() {
    let age = format!("{{ age: {{ {KEY} }} }}");
    let body = "backups: { full: { physical: {}, keep: { last: 3 } } }\ndrills: { d: { restore: { latest: full } } }";
    let expected = ["warning encryption.age: `drills.d` has to open backups, and it is not said which identity does"];
    assert_eq!(encrypted(&age, "", &format!("{MAIN}{body}")), expected);
    let deep = "backups: { full: { physical: {}, keep: { last: 3 } } }\nverify: { w: { schedule: { at: \"06:00\" }, deep: true } }";
    let expected = ["warning encryption.age: `verify.w` has to open backups, and it is not said which identity does"];
    assert_eq!(encrypted(&age, "", &format!("{MAIN}{deep}")), expected);
    let engine = "backups: { full: { engine: { pgbackrest: { stanza: shop } } } }\ndrills: { d: { restore: { latest: full } } }";
    assert_eq!(encrypted(&age, "", engine), [""; 0]);
}

#[test]
fn what_leaves_the_host_in_clear() {
    let none = "{ none: { because: a demonstration } }";
    let body = "backups: { full: { physical: {}, keep: { last: 3 } } }";
    let expected = ["warning encryption.none: whoever can read `stores.main` can read the database"];
    assert_eq!(encrypted(none, "", &format!("{MAIN}{body}")), expected);
    assert_eq!(encrypted(none, "", &format!("stores: {{ main: {{ local: {{ path: /srv/backups }} }} }}\n{body}")), [""; 0]);
}

#[test]
fn a_copy_of_tiers_that_are_not_kept_there() {
    let assert_copy = |keep: &str, copy: &str, expected: &[&str]| {
        let stores = format!("stores: {{ main: {}, other: {} }}\n", s3("one", ""), s3("two", ""));
        let job = "physical: {}, schedule: { at: \"02:00\" }, store: main";
        assert_found(511, &format!("{stores}backups: {{ full: {{ {job}{keep}, copies: {{ other: {{ {copy} }} }} }} }}"), expected);
    };
    let nothing = "error backups.full.copies.other.only: `other` keeps no `monthly` backups: nothing is ever copied";
    assert_copy(", keep: { daily: 30, monthly: 12 }", "only: monthly, keep: { daily: 30 }", &[nothing]);
    assert_copy(", keep: { daily: 30 }", "only: monthly", &[nothing]);
    assert_copy("", "only: monthly", &[nothing]);
    assert_copy(", keep: { daily: 30, monthly: 12 }", "only: monthly", &[]);
    assert_copy(", keep: { daily: 30 }", "only: monthly, keep: { monthly: 12 }", &[]);
    assert_copy(
        ", keep: { daily: 30 }",
        "only: [monthly, daily]",
        &["error backups.full.copies.other.only[0]: `other` keeps no `monthly` backups: none is copied for it"],
    );
}

#[test]
fn a_database_that_no_job_backs_up() {
    let with = |backups: &str| {
        let head = HEAD.replace("databases: [shop]", "databases: [shop, blog]");
        let found = prove(&policy_of(&format!("{head}{MAIN}backups: {{ {backups} }}\n")), None, now());
        found.iter().filter(|finding| finding.code.0 == 606).map(line).collect::<Vec<_>>()
    };
    let job = |name: &str, what: &str| format!("{name}: {{ {what}, schedule: {{ at: \"02:00\" }}, keep: {{ last: 3 }} }}");
    let (shop, full) = (job("shop", "logical: { databases: [shop] }"), "full: { physical: {}, keep: { last: 3 } }");
    let lost = ["warning cluster.databases[1]: no scheduled job backs up the database `blog`"];
    // Tables without rows are no database, nor are rows without tables.
    for sections in ["pre-data, post-data", "data"] {
        let blog = job("blog", &format!("logical: {{ databases: [blog], sections: [{sections}] }}"));
        assert_eq!(with(&format!("{shop}, {blog}")), lost);
    }
    assert_eq!(with(&shop), lost);
    assert_eq!(with(&format!("{shop}, {full}")), lost, "nobody knows when that one runs");
    assert_eq!(with(&format!("{shop}, {}", job("files", "files: { paths: [/etc/shop] }"))), lost);
    let sound = [
        job("all", "logical: {}"),
        job("full", "physical: {}"),
        full.to_owned(),
        format!("{shop}, {}", job("posts", "tables: { database: blog, tables: [posts] }")),
        format!("{shop}, theirs: {{ provider: {{ aiven: {{ project: p, service: s, token: {{ env: T }} }}, newest_within: 26h }} }}"),
    ];
    for sound in sound {
        assert_eq!(with(&sound), Vec::<String>::new(), "{sound}");
    }
}
