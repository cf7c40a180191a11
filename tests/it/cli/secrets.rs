//! A secret that stands in a policy by mistake is never printed.

use super::Room;

const SECRET: &str = "hunter2-Tr0ub4dor";

#[test]
fn a_secret_appears_in_no_form_of_output() {
    let samples = [
        ("plain", format!("cluster: {{ connection: x, password: {SECRET} }}\n")),
        ("quoted", format!("cluster:\n  password: \"{SECRET}\"\n")),
        ("in a list", format!("cluster:\n  password: [{SECRET}]\n")),
        ("in a map", format!("cluster:\n  password: {{ value: {SECRET} }}\n")),
        ("in a map, deeper", format!("cluster:\n  password:\n    value: {SECRET}\n")),
        ("in a reference misspelt", format!("cluster:\n  password: {{ enf: {SECRET} }}\n")),
        ("in a block", format!("cluster:\n  password: |\n    {SECRET}\n    more\n")),
        ("on the next line", format!("cluster:\n  password:\n    {SECRET}\n")),
        ("twice", format!("cluster:\n  password: {SECRET}\n  password: {SECRET}\n")),
        ("in the wrong place", format!("password: {SECRET}\n")),
        ("in a misspelt section", format!("smpt: {{ host: x, password: {SECRET} }}\n")),
        ("beside another mistake", format!("smtp: {{ password: {SECRET}, prot: 25 }}\n")),
        ("where YAML breaks", format!("smtp:\n  password: \"{SECRET}\n  host: x\n")),
        ("where YAML breaks, beside it", format!("smtp: {{ password: {SECRET}, host: ]\n")),
        ("in a connection", format!("cluster: {{ connection: \"host=db password={SECRET}\", foo: 1 }}\n")),
        ("in an address", format!("cluster: {{ connection: \"postgresql://me:{SECRET}@db/app\", foo: 1 }}\n")),
        ("in a hook", format!("receivers: {{ ops: {{ slack: {{ webhook: \"https://hooks.example.com/{SECRET}\" }} }} }}\n")),
        ("in the URL of a hook", format!("receivers: {{ ops: {{ webhook: {{ url: \"https://example.com/{SECRET}\", x: 1 }} }} }}\n")),
        ("as a routing key", format!("receivers: {{ pager: {{ pagerduty: {{ routing_key: {SECRET} }} }} }}\n")),
        ("and in another value", format!("description: {SECRET}\ncluster: {{ password: {SECRET} }}\ntimezone: {SECRET}\n")),
        ("in a name that is not declared", format!("cluster: {{ password: {SECRET} }}\nwal: {{ store: {SECRET}, keep: 30d }}\n")),
    ];
    for (name, text) in samples {
        let room = Room::new().with("a.yaml", format!("version: 1\npolicy: a-one\n{text}"));
        for arguments in [
            &["validate", "a.yaml"][..],
            &["--color", "always", "validate", "a.yaml"],
            &["validate", "--format", "json", "a.yaml"],
            &["validate", "--format", "github", "a.yaml"],
            &["policy", "show", "a.yaml"],
            &["policy", "show", "--format", "json", "a.yaml"],
        ] {
            let run = room.run(arguments);
            assert_eq!(run.code, Some(1), "{name}: {run:?}");
            assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET), "{name} {arguments:?}:\n{}", run.stdout);
        }
    }
}

#[test]
fn a_private_key_is_not_printed_either() {
    let key = "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSQQQQQQ";
    let room = Room::new().with("a.yaml", format!("version: 1\npolicy: a-one\nencryption: {{ age: {{ recipients: [{key}] }} }}\n"));
    for format in ["human", "json", "github"] {
        let run = room.run(&["validate", "--format", format, "a.yaml"]);
        assert!(!run.stdout.contains(key) && run.stdout.contains("SW0214"), "{}", run.stdout);
    }
}
