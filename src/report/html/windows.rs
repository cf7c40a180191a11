//! How far back one can go: of each database what every store leads to, of each store what lies there and what keeps it.

use super::charts;
use super::policy::left_out;
use super::writer::Html;
use crate::report::account::{DatabaseWindow, PolicyAccount, StoreAccount};
use crate::report::words::change;

pub(super) fn windows(html: &mut Html, one: &PolicyAccount) {
    html.leaf("h3", &[], "Recovery window");
    if let Some(scale) = one.observed_at.and_then(|observed| charts::reach(&one.databases, observed)) {
        html.leaf(
            "p",
            &[("class", "soft")],
            "Of each database, how far back each store leads. A bar: every moment in it can be recovered, with the cluster. A tick: this \
             moment can. Hatched: missing although it is promised.",
        );
        html.element("div", &[("class", "timeline")], |html| {
            for (database, window) in led_to(one).filter(|(_, window)| window.unknown.is_none()) {
                html.element("span", &[], |html| {
                    html.text(database);
                    html.leaf("span", &[("class", "soft")], &format!(" in {}", window.store));
                });
                charts::window(html, database, window, scale);
            }
            charts::window_axis(html, scale);
        });
    }
    let header = ["database", "store", "any moment from", "up to", "missing", "#single moments", "oldest"];
    html.table("recovery windows", &header, |html| {
        led_to(one).for_each(|(database, window)| html.row(|html| reach(html, database, window)));
        for database in one.databases.iter().filter(|database| database.stores.is_empty()) {
            html.row(|html| {
                html.name(database.called(one.databases.len() == 1));
                html.element("td", &[("colspan", "6")], |html| html.text("✕ no job brings all of it into a store"));
            });
        }
    });
    if led_to(one).any(|(_, window)| window.oldest.is_some()) {
        html.folded("These stretches and moments as a table", |html| stretches(html, one));
    }
    stores(html, &one.stores);
    tiers(html, &one.stores);
}

/// Every database with every store in which something of it lies, or should.
fn led_to(one: &PolicyAccount) -> impl Iterator<Item = (&str, &DatabaseWindow)> {
    let alone = one.databases.len() == 1;
    one.databases.iter().flat_map(move |database| database.stores.iter().map(move |window| (database.called(alone), window)))
}

fn reach(html: &mut Html, database: &str, window: &DatabaseWindow) {
    html.name(database);
    html.cell(&window.store);
    if let Some(why) = &window.unknown {
        html.element("td", &[("colspan", "5")], |html| html.text(&format!("unknown: {why}")));
        return;
    }
    let last = window.windows.last();
    html.td(|html| html.maybe_time(last.map(|last| last.from), "none"));
    html.td(|html| html.maybe_time(last.map(|last| last.to), "none"));
    html.td(|html| {
        if window.gaps.is_empty() {
            html.text("nothing");
        }
        for gap in &window.gaps {
            html.element("div", &[], |html| {
                html.text("✕ ");
                html.time(gap.from);
                html.text(" to ");
                html.time(gap.to);
            });
        }
    });
    html.n(|html| html.count(window.points.count));
    html.td(|html| html.maybe_time(window.oldest, "none"));
}

fn stretches(html: &mut Html, one: &PolicyAccount) {
    html.table("stretches and moments", &["database", "store", "what", "from", "to"], |html| {
        for (database, window) in led_to(one) {
            let stretches =
                window.windows.iter().map(|window| ("every moment", window)).chain(window.gaps.iter().map(|gap| ("missing", gap)));
            for (what, stretch) in stretches {
                html.row(|html| {
                    html.name(database);
                    html.cell(&window.store);
                    html.cell(what);
                    html.td(|html| html.time(stretch.from));
                    html.td(|html| html.time(stretch.to));
                });
            }
            for point in &window.points.shown {
                html.row(|html| {
                    html.name(database);
                    html.cell(&window.store);
                    html.cell(&format!("backup {}, by {}", point.backup, point.job));
                    html.td(|html| html.time(point.at));
                    html.cell("");
                });
            }
            left_out(html, window.points.left_out(), 5);
        }
    });
}

fn stores(html: &mut Html, stores: &[StoreAccount]) {
    html.leaf("h4", &[], "What lies in the stores");
    html.table("stores", &["store", "#backups", "newest backup", "oldest of everything", "#in use", "#holds"], |html| {
        for store in stores {
            html.row(|html| {
                html.name(&store.store);
                if let Some(why) = &store.unknown {
                    html.element("td", &[("colspan", "3")], |html| html.text(&format!("unknown: {why}")));
                } else {
                    html.n(|html| html.count(store.backups));
                    html.td(|html| html.maybe_time(store.newest_backup, "none"));
                    html.td(|html| html.maybe_time(store.oldest, "none"));
                }
                html.n(|html| html.maybe_sized(store.used_bytes, "unknown"));
                html.n(|html| html.maybe_sized(store.capacity_bytes, "–"));
            });
        }
    });
    for store in stores.iter().filter(|store| !store.unusable.is_empty()) {
        let ids = store.unusable.join(", ");
        html.leaf("p", &[], &format!("✕ Nothing can be made of these backups in `{}`, their own log is not there: {ids}.", store.store));
    }
}

fn tiers(html: &mut Html, stores: &[StoreAccount]) {
    if stores.iter().all(|store| store.tiers.is_empty()) {
        return;
    }
    html.leaf("h4", &[], "What is kept, by tier");
    html.table("backups by tier", &["store", "job", "kept as", "#backups", "#stored", "#the newest", "#change"], |html| {
        for store in stores {
            for tier in &store.tiers {
                html.row(|html| {
                    html.name(&store.store);
                    html.cell(&tier.job);
                    html.cell(&tier.tier);
                    html.n(|html| html.count(tier.backups));
                    html.n(|html| html.sized(tier.bytes));
                    html.n(|html| html.maybe_sized(tier.newest_bytes, "unknown"));
                    html.n(|html| match tier.growth {
                        Some(growth) => html.figure(growth, &change(growth)),
                        None => html.text(""),
                    });
                });
            }
        }
    });
}
