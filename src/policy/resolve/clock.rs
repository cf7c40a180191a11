//! Time zones, schedules, windows.

use std::collections::BTreeMap;

use super::Resolver;
use crate::policy::file::{self, OneOrMany, Stretch, ZoneName};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::MaintenanceWindow;
use crate::policy::path::PolicyPath;
use crate::schedule::{CalendarPeriod, CronFault, DayRule, MonthDay, Nth, NthDay, Schedule, TimeOfDay, Weekday, WeekdaySet, Window, Zone};
use crate::units::Name;

const BAD_CRON: Code = Code(301);
const NEVER_FIRES: Code = Code(302);
const UNKNOWN_ZONE: Code = Code(303);
const NOT_ONE_RULE: Code = Code(304);
const BAD_INTERVAL: Code = Code(305);
const UNKNOWN_DAY: Code = Code(306);
const NO_TIME: Code = Code(307);
const IMPOSSIBLE_DATE: Code = Code(308);
const STRAY_KEY: Code = Code(309);

/// The day part of a schedule or window, as it is written.
struct Days<'f> {
    on: Option<&'f OneOrMany<String>>,
    nth: [(&'static str, Nth, Option<&'f String>); 5],
    day: Option<u8>,
    of: Option<Stretch>,
    date: Option<&'f file::MonthDay>,
}

impl Resolver<'_> {
    pub(super) fn zone_named(&mut self, name: &ZoneName, path: &PolicyPath) -> Option<Zone> {
        match Zone::named(&name.0) {
            Ok(zone) => Some(zone),
            Err(error) => {
                self.push(Finding::error(UNKNOWN_ZONE, path.clone(), error.message).label("not in the IANA database").hint(error.hint));
                None
            }
        }
    }

    fn zone_of(&mut self, own: Option<&ZoneName>, path: &PolicyPath) -> Option<Zone> {
        match own {
            Some(name) => self.zone_named(name, &path.key("timezone")),
            None => Some(self.zone.clone()),
        }
    }

    pub(super) fn schedule(&mut self, written: &file::Schedule, path: &PolicyPath) -> Option<Schedule> {
        let zone = self.zone_of(written.timezone.as_ref(), path)?;
        let days = Days::of_schedule(written);
        let named = days.named();
        let mut rules: Vec<&str> = [("cron", written.cron.is_some()), ("every", written.every.is_some())]
            .into_iter()
            .filter(|(_, there)| *there)
            .map(|(key, _)| key)
            .collect();
        rules.extend(named.iter().copied());
        if rules.len() > 1 {
            self.push(
                Finding::error(
                    NOT_ONE_RULE,
                    path.key(rules[1]),
                    format!("`{}` cannot stand beside `{}` in one schedule", rules[1], rules[0]),
                )
                .on_key()
                .label("a schedule follows one rule")
                .hint("Keep one of them, or make two jobs."),
            );
            return None;
        }
        let rule = rules.first().copied();
        if rule.is_none() && written.at.is_none() {
            if self.cut.iter().any(|cut| cut.starts_with(path)) {
                return None;
            }
            self.push(
                Finding::error(NOT_ONE_RULE, path.clone(), "the schedule does not say when")
                    .on_key()
                    .label("names no time")
                    .hint("Write for example `at: \"02:00\"`, `every: 15m`, `on: sunday` with `at`, or `cron: \"0 2 * * *\"`."),
            );
            return None;
        }
        if matches!(rule, Some("cron" | "every")) {
            for (key, there) in [("at", written.at.is_some()), ("of", written.of.is_some())] {
                if there {
                    self.push(
                        Finding::error(STRAY_KEY, path.key(key), format!("`{key}` means nothing beside `{}`", rule.unwrap_or_default()))
                            .on_key()
                            .hint("Take it out, or say the days in words (`on`, `first`, `day`, …)."),
                    );
                    return None;
                }
            }
        }
        if let Some(expression) = &written.cron {
            return self.cron(expression, zone, &path.key("cron"));
        }
        if let Some(every) = written.every {
            return Schedule::every(every, zone)
                .map_err(|error| self.push(Finding::error(BAD_INTERVAL, path.key("every"), error.to_string()).hint(error.hint())))
                .ok();
        }
        let rule = self.days(&days, path)?;
        let times = self.times(written.at.as_ref(), path)?;
        Schedule::calendar(rule, times, zone)
            .map_err(|error| {
                let key = if written.date.is_some() { "date" } else { "day" };
                self.push(Finding::error(IMPOSSIBLE_DATE, path.key(key), error.to_string()).hint(error.hint()));
            })
            .ok()
    }

    fn cron(&mut self, expression: &str, zone: Zone, path: &PolicyPath) -> Option<Schedule> {
        match Schedule::cron(expression, zone) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                let code = if error.fault == CronFault::Never { NEVER_FIRES } else { BAD_CRON };
                self.push(Finding::error(code, path.clone(), error.message).within(error.at).hint(error.hint));
                if let Some(finding) = self.findings.last_mut().filter(|_| error.fault == CronFault::Never) {
                    finding.label = Some("no day ever matches".into());
                }
                None
            }
        }
    }

    fn times(&mut self, at: Option<&OneOrMany<file::ClockTime>>, path: &PolicyPath) -> Option<Vec<TimeOfDay>> {
        let Some(at) = at else {
            if !self.was_cut(&path.key("at")) {
                self.push(
                    Finding::error(NO_TIME, path.clone(), "the schedule names a day and no time")
                        .on_key()
                        .label("needs `at`")
                        .hint("Add for example `at: \"03:00\"`."),
                );
            }
            return None;
        };
        at.as_slice().iter().map(|time| self.time(time, &path.key("at"))).collect()
    }

    fn time(&mut self, time: &file::ClockTime, path: &PolicyPath) -> Option<TimeOfDay> {
        time.0.parse::<TimeOfDay>().map_err(|error| self.push(Finding::error(Code(109), path.clone(), error.message).hint(error.hint))).ok()
    }

    fn days(&mut self, days: &Days<'_>, path: &PolicyPath) -> Option<DayRule> {
        let counted = days.day.is_some() || days.nth.iter().any(|(_, _, day)| day.is_some());
        if days.of.is_some() && !counted {
            self.push(
                Finding::error(STRAY_KEY, path.key("of"), "`of` means nothing without `first` … `last` or `day`")
                    .on_key()
                    .hint("Add for example `first: monday`, or take it out."),
            );
            return None;
        }
        let of = match days.of {
            None | Some(Stretch::Month) => CalendarPeriod::Month,
            Some(Stretch::Quarter) => CalendarPeriod::Quarter,
            Some(Stretch::HalfYear) => CalendarPeriod::HalfYear,
            Some(Stretch::Year) => CalendarPeriod::Year,
        };
        if let Some(on) = days.on {
            let mut set = WeekdaySet::default();
            for (index, word) in on.as_slice().iter().enumerate() {
                let at = if matches!(on, OneOrMany::One(_)) { path.key("on") } else { path.key("on").item(index) };
                set = set.with(self.weekday(word, &at)?);
            }
            return Some(DayRule::Weekdays(set));
        }
        for (key, nth, word) in days.nth {
            let Some(word) = word else { continue };
            let day = if word == "day" { NthDay::Day } else { NthDay::Weekday(self.weekday(word, &path.key(key))?) };
            return Some(DayRule::Nth { nth, day, of });
        }
        if let Some(day) = days.day {
            return Some(DayRule::MonthDay { day: MonthDay::Number(day), of });
        }
        if let Some(date) = days.date {
            let (month, day) = date.0.split_once('-').and_then(|(month, day)| Some((month.parse().ok()?, day.parse().ok()?)))?;
            return Some(DayRule::Date { month, day });
        }
        Some(DayRule::Daily)
    }

    fn weekday(&mut self, word: &str, path: &PolicyPath) -> Option<Weekday> {
        word.parse::<Weekday>()
            .map_err(|error| {
                self.push(Finding::error(UNKNOWN_DAY, path.clone(), error.message).label("expected a day of the week").hint(error.hint))
            })
            .ok()
    }

    pub(super) fn windows(&mut self) -> BTreeMap<Name, MaintenanceWindow> {
        let mut windows = BTreeMap::new();
        for (name, written) in &self.file.windows {
            let path = PolicyPath::from(["windows", name.as_str()]);
            if let Some(window) = self.window(written, &path) {
                windows.insert(name.clone(), MaintenanceWindow { window, overrun: written.overrun.unwrap_or(file::Overrun::Finish) });
            }
        }
        windows
    }

    fn window(&mut self, written: &file::Window, path: &PolicyPath) -> Option<Window> {
        let zone = self.zone_of(written.timezone.as_ref(), path)?;
        let days = Days::of_window(written);
        if let [first, second, ..] = days.named().as_slice() {
            self.push(
                Finding::error(NOT_ONE_RULE, path.key(second), format!("`{second}` cannot stand beside `{first}` in one window"))
                    .on_key()
                    .label("a window follows one rule")
                    .hint("Keep one of them, or make two windows."),
            );
            return None;
        }
        let rule = self.days(&days, path)?;
        let from = self.time(&written.from, &path.key("from"))?;
        let to = self.time(&written.to, &path.key("to"))?;
        Window::new(rule, from, to, zone)
            .map_err(|error| {
                self.push(Finding::error(IMPOSSIBLE_DATE, path.clone(), error.to_string()).hint("Check the days it opens on."))
            })
            .ok()
    }
}

/// `first` to `last`, under their keys.
fn nth(words: [&Option<String>; 5]) -> [(&'static str, Nth, Option<&String>); 5] {
    let [first, second, third, fourth, last] = words.map(Option::as_ref);
    [
        ("first", Nth::First, first),
        ("second", Nth::Second, second),
        ("third", Nth::Third, third),
        ("fourth", Nth::Fourth, fourth),
        ("last", Nth::Last, last),
    ]
}

impl<'f> Days<'f> {
    fn of_schedule(written: &'f file::Schedule) -> Days<'f> {
        Days {
            on: written.on.as_ref(),
            nth: nth([&written.first, &written.second, &written.third, &written.fourth, &written.last]),
            day: written.day,
            of: written.of,
            date: written.date.as_ref(),
        }
    }

    /// A window has no day of the month and no date.
    fn of_window(written: &'f file::Window) -> Days<'f> {
        Days {
            on: written.on.as_ref(),
            nth: nth([&written.first, &written.second, &written.third, &written.fourth, &written.last]),
            day: None,
            of: written.of,
            date: None,
        }
    }

    /// The keys that name days.
    fn named(&self) -> Vec<&'static str> {
        let mut named = Vec::new();
        if self.on.is_some() {
            named.push("on");
        }
        named.extend(self.nth.iter().filter(|(_, _, day)| day.is_some()).map(|(key, _, _)| *key));
        if self.day.is_some() {
            named.push("day");
        }
        if self.date.is_some() {
            named.push("date");
        }
        named
    }
}
