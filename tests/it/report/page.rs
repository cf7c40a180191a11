//! The page in a real browser: it looks as it should at several sizes and in both themes, asks for nothing, and hides nothing from anybody.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Rig;
use super::year::{self, Fate};

fn modules() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/page");
    std::env::var_os("SEAWALL_TEST_PAGE").map_or(default, PathBuf::from).join("node_modules")
}

#[test]
fn a_browser_shows_it_to_everybody() {
    let well = Rig::new("shop").lived("shop");
    let fleet = Rig::new("anna").with("berta").with("clara").with_text("broken", "policy: [");
    for (name, fate) in [("anna", Fate::Well), ("berta", Fate::Ill), ("clara", Fate::Well)] {
        year::fill_days(&fleet.catalog(), name, fleet.now, fate, 40);
    }
    // Whoever wants to look at them says where.
    let pictures = std::env::var_os("SEAWALL_TEST_PICTURES");
    let folder = tempfile::tempdir().expect("a folder");
    let page = |name: &str, html: String| {
        let path = pictures.as_ref().map_or(folder.path(), Path::new).join(name);
        std::fs::write(&path, html).expect("written");
        path
    };
    let pages = [page("shop.html", well.html(&["--period", "quarter"])), page("fleet.html", fleet.html(&[]))];
    let pictures = pictures.unwrap_or("-".into());
    let looked = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/report/look.js"))
        .args(["/usr/bin/chromium".as_ref(), modules().as_os_str(), pictures.as_os_str()])
        .args(&pages)
        .output()
        .expect("node runs");
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
    let looked: serde_json::Value = serde_json::from_slice(&looked.stdout).expect("JSON");
    let found = looked["found"].as_array().expect("a list");
    assert_eq!(found.len(), 12);
    for one in found {
        assert_eq!(one["violations"], serde_json::json!([]), "{}", one["name"]);
        assert_eq!(one["said"], serde_json::json!([]), "{}", one["name"]);
        assert!(one["wider"].as_i64().expect("a width") <= 0, "{} is wider than the window", one["name"]);
        assert!(one["reached"].as_u64().expect("a count") >= 6, "{}: the keyboard gets nowhere", one["name"]);
    }
    let printed = looked["printed"].as_array().expect("a list");
    assert_eq!(printed.len(), 2);
    for one in printed {
        assert_ne!(one["onScreen"], "rgb(255, 255, 255)", "{}: on the screen it is dark", one["name"]);
        assert_eq!((&one["paper"], &one["ink"]), (&"rgb(255, 255, 255)".into(), &"rgb(0, 0, 0)".into()), "{}", one["name"]);
        for what in ["cut", "beside", "folded"] {
            assert_eq!(one[what], serde_json::json!([]), "{}: {what}", one["name"]);
        }
        let count = |what: &str| one[what].as_u64().expect("a count");
        assert!(count("charts") > 2 && count("tables") > 2 && count("pages") > 1, "{one}");
    }
}
