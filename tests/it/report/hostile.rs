//! Whatever a policy, a backup or a program's output says, it stays text.

use seawall::catalog::{End, NewRun, Outcome, Why};

use super::{Rig, year};

const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"' onload='alert(1)\u{202e}drow\u{0007}\u{1b}[31m|`# [x](javascript:alert(1)) ]]> --> &lt;";

#[test]
fn nothing_that_anybody_wrote_acts() {
    let quoted = serde_json::to_string(EVIL).expect("JSON");
    let text = year::policy("shop")
        .replace("Orders and what follows from them. The team answers for it day and night.", &quoted)
        .replace("dba@example.com\nreview", &format!("{quoted}\nreview"))
        .replace("\"litigation, ask legal\"", &quoted)
        .replace("databases: [app]", "databases: [app, \"<script>alert(1)</script>\"]")
        .replace("Patroni, note", &format!("{quoted}, note"));
    let rig = Rig::new("other").with_text("shop", &text);
    let catalog = rig.catalog();
    year::fill_days(&catalog, "shop", rig.now, year::Fate::Ill, 16);
    // A hook's output, a label, a host: all of it comes from elsewhere.
    let started = rig.now - jiff::SignedDuration::from_hours(1);
    let new = NewRun {
        policy: "shop",
        job: "backups.nightly",
        host: EVIL,
        boot: None,
        pid: 1,
        why: Why::Asked,
        owed_since: None,
        started,
        digest: Some(EVIL),
        commit: Some(EVIL),
    };
    let run = catalog.begin_run(&new).expect("begun");
    catalog.end_run(run, &End { message: Some(EVIL), ..End::with(Outcome::Failed, rig.now) }).expect("ended");
    let mut drill = year::drill("shop", started, true, 1.0);
    drill.host = EVIL.into();
    drill.failure.as_mut().expect("one").message = EVIL.into();
    drill.id = "20261121T020000Z-eeee".parse().expect("an id");
    year::keep_drill(&catalog, &drill);
    drop(catalog);

    let html = rig.html(&[]);
    assert!(html.contains("&lt;script&gt;alert(1)"), "it is there, as text");
    assert!(html.contains("recovery window of &lt;script&gt;alert(1)&lt;/script&gt; in main"), "so is a database");
    for acts in ["<script", "<img", "onerror=alert(1)>", "' onload=", "\u{202e}", "\u{7}", "\u{1b}", "href=\"javascript"] {
        assert!(!html.contains(acts), "{acts:?}");
    }
    // Every tag and every attribute is one of ours.
    let known =
        ["class", "href", "id", "lang", "charset", "http-equiv", "content", "name", "scope", "datetime", "value", "tabindex", "role"];
    for tag in html.split('<').skip(1).filter(|tag| !tag.starts_with(['/', '!'])) {
        let inside = tag.split('>').next().expect("an end");
        let mut rest = inside;
        while let Some((before, after)) = rest.split_once("=\"") {
            let attribute = before.rsplit(' ').next().expect("a name");
            let of_drawings =
                ["width", "height", "x", "y", "d", "viewBox", "preserveAspectRatio", "patternUnits", "patternTransform", "focusable"];
            assert!(
                known.contains(&attribute) || of_drawings.contains(&attribute) || attribute.starts_with("aria-") || attribute == "colspan",
                "{attribute} in <{inside}>"
            );
            rest = after.split_once('"').expect("an end").1;
        }
    }
    let markdown = rig.report(&["--format", "markdown"]).stdout;
    for acts in ["<script", "<img", "\u{202e}", "\u{7}", "\u{1b}"] {
        assert!(!markdown.contains(acts), "{acts:?}");
    }
    let rows = markdown.lines().filter(|line| line.contains("alert(1)") && line.starts_with("| "));
    for row in rows {
        assert!(!row.replace("\\]", "").contains("](javascript"), "{row}");
    }
    rig.json(&[]);
}

#[test]
fn a_file_with_a_name_that_acts_is_only_named() {
    let rig = Rig::new("shop").with_text("<b>&\"x", "policy: [");
    drop(rig.catalog());
    let html = rig.html(&[]);
    assert!(html.contains("&lt;b&gt;&amp;&quot;x.yaml") && !html.contains("<b>"), "it is named, and no more");
}
