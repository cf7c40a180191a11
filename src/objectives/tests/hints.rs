//! Who does what a hint says, word by word, is rid of the finding.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A policy with one backup, in what hints change of it.
#[derive(Debug, Clone)]
struct Text {
    rpo: Duration,
    rto: Duration,
    every: Duration,
    /// None: dumps alone.
    timeout: Option<Duration>,
    /// Of objectives.assume.
    assume: BTreeMap<&'static str, String>,
}

impl Text {
    fn judged(&self) -> Assessment {
        let (method, wal) = match self.timeout {
            Some(timeout) => ("physical", format!("wal: {{ store: main, timeout: {timeout}, keep: 30d }}\n")),
            None => ("logical", String::new()),
        };
        let assume: Vec<String> = self.assume.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        judged(&format!(
            "backups: {{ only: {{ {method}: {{}}, store: main, schedule: {{ every: {} }}, keep: {{ last: 30 }} }} }}\n{wal}\
             objectives: {{ rpo: {}, rto: {}, assume: {{ {} }} }}\n",
            self.every,
            self.rpo,
            self.rto,
            assume.join(", ")
        ))
    }

    /// Those of promises that cannot be kept, by the finding's code.
    fn hints(&self) -> BTreeMap<String, String> {
        let all = self.judged().findings.into_iter().map(|finding| (finding.code.to_string(), finding.hint));
        let broken = all.filter(|(code, _)| matches!(code.as_str(), "SW0401" | "SW0402" | "SW0407"));
        broken.map(|(code, hint)| (code, hint.expect("a way out"))).collect()
    }

    /// As the hint's words have it, each of the ways that it gives a figure for.
    fn mended(&self, code: &str, hint: &str) -> Vec<Text> {
        let after = |words: &str| {
            let text = hint.split_once(words)?.1;
            let end = [",", " or ", ".", ":"].into_iter().filter_map(|end| text.find(end)).min();
            Some(text[..end.unwrap_or(text.len())].to_owned())
        };
        let length = |words: &str| after(words).map(|text| text.parse::<Duration>().unwrap_or_else(|_| panic!("{text} in {hint}")));
        let with = |change: &dyn Fn(&mut Text)| {
            let mut text = self.clone();
            change(&mut text);
            text
        };
        let mut all = Vec::new();
        all.extend(length("raise the objective to ").map(|to| with(&|text| if code == "SW0402" { text.rto = to } else { text.rpo = to })));
        all.extend(length("Lower `wal.timeout` to ").map(|to| with(&|text| text.timeout = Some(to))));
        all.extend(length("Run `backups.only` at least every ").map(|to| with(&|text| text.every = to)));
        let part = hint.strip_prefix("The ").and_then(|rest| rest.split_once(" is the largest part")).map(|(part, _)| part);
        let key = match part {
            Some("assessment") => "assess",
            Some("validation") => "validate",
            Some("provision") => "provision",
            Some("release") => "release",
            Some("restore") => "restore",
            Some("load") => "load",
            Some("replay") => "replay",
            Some(other) => panic!("{other} in {hint}"),
            None => return all,
        };
        all.extend(length("it would have to take no more than ").map(|to| with(&|text| drop(text.assume.insert(key, to.to_string())))));
        let rate = after("it would have to go at ").or_else(|| after("or replay at "));
        all.extend(rate.map(|rate| with(&|text| drop(text.assume.insert(key, rate.clone())))));
        all
    }
}

fn texts() -> impl Strategy<Value = Text> {
    let seconds = |range: std::ops::Range<u64>| range.prop_map(Duration::from_secs);
    let every = prop::sample::select(vec!["30m", "1h", "2h", "4h", "6h", "12h", "1d"]);
    let assume =
        (1_u64..5_000, 1_u64..50_000, 5_u64..500, 5_u64..500, 5_u64..200, seconds(1..7_200), seconds(1..20_000), seconds(1..7_200));
    (seconds(60..200_000), seconds(60..200_000), every, prop::option::of(seconds(10..3_600)), assume).prop_map(
        |(rpo, rto, every, timeout, (size, log, restore, replay, load, assess, provision, validate))| {
            let assume = [
                ("cluster_size", format!("{size}GB")),
                ("wal_per_hour", format!("{log}MB")),
                ("restore", format!("{restore}MB/s")),
                ("replay", format!("{replay}MB/s")),
                ("load", format!("{load}MB/s")),
                ("assess", assess.to_string()),
                ("provision", provision.to_string()),
                ("validate", validate.to_string()),
            ];
            Text { rpo, rto, every: every.parse().expect("a length"), timeout, assume: assume.into() }
        },
    )
}

proptest! {
    #[test]
    fn what_they_say_is_enough(text in texts()) {
        for (code, hint) in text.hints() {
            let ways = text.mended(&code, &hint);
            prop_assert!(!ways.is_empty(), "{code}: {hint}");
            for mended in ways {
                let left = mended.hints();
                prop_assert!(!left.contains_key(&code), "{text:?}\n{code}: {hint}\n{mended:?}\n{left:?}");
            }
        }
    }
}
