//! Charts, drawn as SVG that stretches to whatever room there is. No text is inside: it would be stretched too, so what a chart says stands
//! around it, and the figures themselves in the table below it.

use super::writer::Html;
use crate::evidence::EVERYTHING;
use crate::inventory::Phase;
use crate::plan::minute;
use crate::report::account::{DatabaseAccount, DatabaseWindow, DrillAccount, Figure, PhaseAccount, SizeAccount};
use crate::report::covered::Covered;
use crate::report::words::{day, lasting, sized};
use crate::units::Instant;

/// All charts are this wide and this high, before they are stretched.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;
/// In seconds: on a scale that is shorter, days tell little.
const SHORT: i64 = 3 * 86_400;

/// Where a moment lies between two others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: i64,
    to: i64,
}

impl Scale {
    pub(super) fn new(from: Instant, to: Instant) -> Scale {
        Scale { from: from.as_second(), to: to.as_second().max(from.as_second() + 1) }
    }

    fn of(covered: Covered) -> Scale {
        Scale::new(covered.from, covered.to)
    }

    fn x(self, at: Instant) -> f64 {
        let share = (at.as_second() - self.from) as f64 / (self.to - self.from) as f64;
        share.clamp(0.0, 1.0) * WIDTH
    }

    /// The days at its ends and in the middle; where all three may be one day, the minutes.
    fn axis(self, html: &mut Html) {
        let called = if self.to - self.from < SHORT { minute } else { day };
        html.element("div", &[("class", "axis"), ("aria-hidden", "true")], |html| {
            for second in [self.from, self.from.midpoint(self.to), self.to] {
                html.leaf("span", &[], &Instant::from_second(second).map(called).unwrap_or_default());
            }
        });
    }
}

/// The pattern of what is missing; once for each page.
pub(super) fn patterns(html: &mut Html) {
    html.element("svg", &[("class", "defs"), ("aria-hidden", "true"), ("focusable", "false")], |html| {
        html.element("defs", &[], |html| {
            let pattern =
                [("id", "hatch"), ("width", "8"), ("height", "8"), ("patternUnits", "userSpaceOnUse"), ("patternTransform", "rotate(45)")];
            html.element("pattern", &pattern, |html| {
                html.element("rect", &[("width", "8"), ("height", "8")], |_| {});
                html.element("path", &[("d", "M0 0V8")], |_| {});
            });
        });
    });
}

/// What would have been lost, over the stretch, and how much may be.
pub(super) fn loss(html: &mut Html, parts: &[Figure], promised: Option<u64>, covered: Covered) {
    let scale = Scale::of(covered);
    // Where everything would have been lost, the bar is as high as the chart.
    let (whole, lengths): (Vec<f64>, Vec<f64>) =
        parts.iter().map(|part| part.seconds).partition(|seconds| *seconds >= EVERYTHING.as_secs() as f64);
    let highest = lengths.into_iter().chain(promised.map(|promised| promised as f64)).reduce(f64::max);
    let top = (highest.unwrap_or(0.0) * 1.08).max(1.0);
    let width = parts.windows(2).map(|two| scale.x(two[1].at) - scale.x(two[0].at)).fold(WIDTH, f64::min).max(0.8);
    let limit = promised.map(|promised| format!(" The dashed line is what is promised, {}.", lasting(promised as f64))).unwrap_or_default();
    let height = highest.map(|_| format!("; the full height is {}", lasting(top))).unwrap_or_default();
    let everything = if whole.is_empty() { "" } else { "; a bar of full height is everything" };
    let caption = format!("The most that would have been lost, in each part of the stretch{height}{everything}.{limit}");
    chart(html, &caption, |html| {
        for part in parts {
            let height = (part.seconds / top * HEIGHT).clamp(0.6, HEIGHT);
            rect(html, "data", (scale.x(part.at), HEIGHT - height), ((width * 0.86).max(0.6), height));
        }
        if let Some(promised) = promised {
            line(html, HEIGHT - promised as f64 / top * HEIGHT);
        }
    });
    scale.axis(html);
}

/// How long drills took, and how long it may take.
pub(super) fn recoveries(html: &mut Html, which: &str, drills: &[&DrillAccount], promised: Option<u64>, covered: Covered) {
    let scale = Scale::of(covered);
    let times = drills.iter().filter_map(|drill| drill.recovery_seconds);
    let top = (times.fold(promised.map_or(0.0, |promised| promised as f64), f64::max) * 1.15).max(1.0);
    let limit = promised.map(|promised| format!(" The dashed line is what is promised, {}.", lasting(promised as f64))).unwrap_or_default();
    let caption = format!(
        "How long {which} took until the database answered: a dot is one that passed, a ring one that did not; the full height is {}.{limit}",
        lasting(top)
    );
    chart(html, &caption, |html| {
        if let Some(promised) = promised {
            line(html, HEIGHT - promised as f64 / top * HEIGHT);
        }
        for drill in drills {
            let y = HEIGHT - drill.recovery_seconds.unwrap_or(0.0) / top * HEIGHT;
            let here = format!("M{:.1} {:.1}h0.01", scale.x(drill.ended), y.clamp(0.0, HEIGHT));
            if drill.outcome == "passed" {
                path(html, "dot", &here);
            } else {
                path(html, "ring", &here);
                path(html, "hole", &here);
            }
        }
    });
    scale.axis(html);
}

/// What backups take of the store.
pub(super) fn sizes(html: &mut Html, job: &str, sizes: &[SizeAccount], covered: Covered) {
    let scale = Scale::of(covered);
    let stored = |size: &SizeAccount| size.stored_bytes.unwrap_or(size.bytes);
    let top = sizes.iter().map(stored).max().unwrap_or(0).max(1);
    let width = (WIDTH / sizes.len().max(1) as f64 * 0.7).clamp(1.0, 14.0);
    chart(html, &format!("What each backup of {job} takes of the store; the full height is {}.", sized(top)), |html| {
        for size in sizes {
            let height = (stored(size) as f64 / top as f64 * HEIGHT).max(0.6);
            rect(html, "data", ((scale.x(size.at) - width).max(0.0), HEIGHT - height), (width, height));
        }
    });
    scale.axis(html);
}

/// From the oldest moment that any store leads back to, up to when they were looked at.
pub(super) fn reach(databases: &[DatabaseAccount], observed: Instant) -> Option<Scale> {
    let stores = || databases.iter().flat_map(|database| &database.stores);
    let of_points = stores().flat_map(|store| store.points.shown.iter().map(|point| point.at));
    let of_windows = stores().flat_map(|store| store.windows.iter().map(|window| window.from));
    of_points.chain(of_windows).min().map(|oldest| Scale::new(oldest, observed))
}

/// How far back one store leads to a database: a bar for every moment, a tick for a single one, hatched where something is missing.
pub(super) fn window(html: &mut Html, database: &str, window: &DatabaseWindow, scale: Scale) {
    let words = |count: usize, one: &str| crate::plan::words::counted(count, one);
    let name = format!(
        "recovery window of {database} in {}: {}, {}, {}",
        window.store,
        words(window.windows.len(), "period"),
        words(window.gaps.len(), "gap"),
        words(window.points.count, "single moment")
    );
    svg(html, "bar", &name, |html| {
        rect(html, "track", (0.0, 36.0), (WIDTH, 28.0));
        for stretch in &window.windows {
            let from = scale.x(stretch.from);
            rect(html, "data", (from, 12.0), ((scale.x(stretch.to) - from).max(2.0), 76.0));
        }
        for gap in &window.gaps {
            let from = scale.x(gap.from);
            rect(html, "gap", (from, 12.0), ((scale.x(gap.to) - from).max(3.0), 76.0));
        }
        for point in &window.points.shown {
            path(html, "tick", &format!("M{:.1} 5V95", scale.x(point.at)));
        }
    });
}

pub(super) fn window_axis(html: &mut Html, scale: Scale) {
    html.element("span", &[], |_| {});
    html.element("div", &[], |html| scale.axis(html));
}

/// What the parts of drills do: a colour each.
const DOING: [(&str, &[Phase]); 6] = [
    ("choosing and checking", &[Phase::Prepare]),
    (
        "bringing data back",
        &[
            Phase::Files,
            Phase::Fetch,
            Phase::Open,
            Phase::Write,
            Phase::Sync,
            Phase::Compare,
            Phase::Check,
            Phase::Load,
            Phase::Index,
            Phase::Count,
        ],
    ),
    ("starting", &[Phase::Consistent]),
    ("replaying the log", &[Phase::Replay]),
    ("proving", &[Phase::Promote, Phase::Expect, Phase::Command]),
    ("removing the copy", &[Phase::Remove]),
];

const COLOURS: [&str; 6] = ["part0", "part1", "part2", "part3", "part4", "part5"];

fn doing(part: &PhaseAccount) -> usize {
    DOING.iter().position(|(_, phases)| phases.iter().any(|phase| phase.as_str() == part.phase)).unwrap_or(0)
}

fn in_turn(drill: &DrillAccount) -> impl Iterator<Item = &PhaseAccount> {
    drill.phases.iter().filter(|part| !part.beside)
}

/// What the colours of these bars stand for.
pub(super) fn legend(html: &mut Html, drills: &[DrillAccount]) {
    html.element("ul", &[("class", "legend")], |html| {
        for (at, (says, _)) in DOING.iter().enumerate() {
            if drills.iter().flat_map(in_turn).any(|part| doing(part) == at) {
                html.element("li", &[], |html| {
                    let key = [("class", "key"), ("viewBox", "0 0 10 10"), ("aria-hidden", "true")];
                    html.element("svg", &key, |html| rect(html, COLOURS[at], (0.0, 0.0), (10.0, 10.0)));
                    html.text(says);
                });
            }
        }
    });
}

/// The parts of a drill, one after the other, against the longest of all.
pub(super) fn phases(html: &mut Html, drill: &DrillAccount, longest: f64) {
    let parts: Vec<&PhaseAccount> = in_turn(drill).collect();
    let said: Vec<String> = parts.iter().map(|part| format!("{} {}", part.says, lasting(part.seconds))).collect();
    svg(html, "bar", &format!("drill {} of {}: {}", drill.name(), minute(drill.ended), said.join(", ")), |html| {
        rect(html, "track", (0.0, 20.0), (WIDTH, 60.0));
        let mut x = 0.0;
        for part in &parts {
            let width = part.seconds / longest.max(0.001) * WIDTH;
            rect(html, COLOURS[doing(part)], (x, 20.0), (width.max(0.5), 60.0));
            x += width;
        }
    });
}

fn chart(html: &mut Html, caption: &str, content: impl FnOnce(&mut Html)) {
    html.element("figure", &[], |html| {
        html.leaf("figcaption", &[], caption);
        svg(html, "chart", caption, content);
    });
}

fn svg(html: &mut Html, class: &str, name: &str, content: impl FnOnce(&mut Html)) {
    let attributes =
        [("class", class), ("viewBox", "0 0 1000 100"), ("preserveAspectRatio", "none"), ("role", "img"), ("aria-label", name)];
    html.element("svg", &attributes, content);
}

fn rect(html: &mut Html, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let number = |number: f64| format!("{number:.1}");
    let (x, y, width, height) = (number(x), number(y), number(width), number(height));
    html.element("rect", &[("class", class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)], |_| {});
}

fn line(html: &mut Html, y: f64) {
    path(html, "limit", &format!("M0 {y:.1}H1000"));
}

fn path(html: &mut Html, class: &str, d: &str) {
    html.element("path", &[("class", class), ("d", d)], |_| {});
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parts: &[f64], promised: Option<u64>) -> String {
        let at = |second: i64| Instant::from_second(1_790_000_000 + second).expect("a moment");
        let parts: Vec<Figure> = parts.iter().zip(0..).map(|(seconds, hour)| Figure { at: at(hour * 3_600), seconds: *seconds }).collect();
        let mut html = Html::default();
        loss(&mut html, &parts, promised, Covered { from: at(0), to: at(86_400) });
        let written = html.finish();
        let caption = written.split_once("<figcaption>").and_then(|(_, rest)| rest.split_once("</figcaption>")).expect("a caption").0;
        caption.trim_start_matches("The most that would have been lost, in each part of the stretch").to_owned()
    }

    #[test]
    fn everything_has_no_height_of_its_own() {
        let everything = EVERYTHING.as_secs() as f64;
        assert_eq!(said(&[100.0, 50.0], None), "; the full height is 1 min 48 s.");
        assert_eq!(said(&[everything], None), "; a bar of full height is everything.");
        assert_eq!(said(&[100.0, everything], None), "; the full height is 1 min 48 s; a bar of full height is everything.");
        assert_eq!(
            said(&[everything, everything + 30.0], Some(100)),
            "; the full height is 1 min 48 s; a bar of full height is everything. The dashed line is what is promised, 1 min 40 s."
        );
    }
}
