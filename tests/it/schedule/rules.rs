//! Random rules, and what they mean, written down a second time without a thought for speed.

use jiff::civil::{Date, Weekday as Civil};
use proptest::prelude::*;
use seawall::schedule::{CalendarPeriod, DayRule, MonthDay, Nth, NthDay, Schedule, TimeOfDay, Weekday, WeekdaySet, Zone};

pub(super) const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/St_Johns",
    "Pacific/Apia",
    "Asia/Kolkata",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Kwajalein",
];

/// One entry in a field of a cron expression.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    Star,
    Every(u8),
    One(u8),
    Range(u8, u8),
    RangeEvery(u8, u8, u8),
}

#[derive(Debug, Clone)]
pub(super) struct Field(pub Vec<Item>, pub (u8, u8));

impl Field {
    pub(super) fn text(&self) -> String {
        let item = |item: &Item| match *item {
            Item::Star => "*".to_owned(),
            Item::Every(step) => format!("*/{step}"),
            Item::One(value) => value.to_string(),
            Item::Range(from, to) => format!("{from}-{to}"),
            Item::RangeEvery(from, to, step) => format!("{from}-{to}/{step}"),
        };
        self.0.iter().map(item).collect::<Vec<_>>().join(",")
    }
    fn matches(&self, value: u8) -> bool {
        let low = self.1.0;
        self.0.iter().any(|item| match *item {
            Item::Star => true,
            Item::Every(step) => (value - low).is_multiple_of(step),
            Item::One(one) => value == one,
            Item::Range(from, to) => from <= value && value <= to,
            Item::RangeEvery(from, to, step) => from <= value && value <= to && (value - from).is_multiple_of(step),
        })
    }
    pub(super) fn matches_all(&self) -> bool {
        (self.1.0..=self.1.1).all(|value| self.matches(value))
    }
    pub(super) fn begins_with_star(&self) -> bool {
        self.text().starts_with('*')
    }
}

#[derive(Debug, Clone)]
pub(super) enum Days {
    Fields { day: Field, month: Field, weekday: Field },
    NthWeekday(i8, u8),
    LastDay,
}

#[derive(Debug, Clone)]
pub(super) enum Rule {
    Cron { minute: Field, hour: Field, days: Days },
    Calendar { days: DayRule, times: Vec<TimeOfDay> },
}

impl Rule {
    pub(super) fn cron_text(&self) -> Option<String> {
        let Rule::Cron { minute, hour, days } = self else { return None };
        let days = match days {
            Days::Fields { day, month, weekday } => format!("{} {} {}", day.text(), month.text(), weekday.text()),
            Days::NthWeekday(-1, weekday) => format!("* * {weekday}L"),
            Days::NthWeekday(nth, weekday) => format!("* * {weekday}#{nth}"),
            Days::LastDay => "L * *".to_owned(),
        };
        Some(format!("{} {} {days}", minute.text(), hour.text()))
    }

    /// The fields of a cron expression.
    pub(super) fn fields(&self) -> Vec<&Field> {
        match self {
            Rule::Cron { minute, hour, days: Days::Fields { day, month, weekday } } => vec![minute, hour, day, month, weekday],
            Rule::Cron { minute, hour, .. } => vec![minute, hour],
            Rule::Calendar { .. } => Vec::new(),
        }
    }

    /// Nothing when no day ever matches.
    pub(super) fn schedule(&self, zone: &str) -> Option<Schedule> {
        let zone = Zone::named(zone).expect("a zone");
        match self {
            Rule::Cron { .. } => Schedule::cron(&self.cron_text()?, zone).ok(),
            Rule::Calendar { days, times } => Schedule::calendar(*days, times.clone(), zone).ok(),
        }
    }

    pub(super) fn matches_time(&self, hour: i8, minute: i8) -> bool {
        match self {
            Rule::Cron { minute: minutes, hour: hours, .. } => hours.matches(hour as u8) && minutes.matches(minute as u8),
            Rule::Calendar { times, .. } => times.iter().any(|time| (time.hour() as i8, time.minute() as i8) == (hour, minute)),
        }
    }

    pub(super) fn matches_day(&self, date: Date) -> bool {
        match self {
            Rule::Cron { days: Days::Fields { day, month, weekday }, .. } => {
                let by_day = day.matches(date.day() as u8);
                let number = date.weekday().to_sunday_zero_offset() as u8;
                let by_weekday = weekday.matches(number) || (number == 0 && weekday.0.iter().any(|item| matches!(item, Item::One(7))));
                let either = !day.begins_with_star() && !weekday.begins_with_star();
                month.matches(date.month() as u8) && if either { by_day || by_weekday } else { by_day && by_weekday }
            }
            Rule::Cron { days: Days::NthWeekday(nth, weekday), .. } => is_nth(date, *nth, civil(*weekday)),
            Rule::Cron { days: Days::LastDay, .. } => date == date.last_of_month(),
            Rule::Calendar { days, .. } => day_rule_matches(days, date),
        }
    }
}

fn civil(sunday_zero: u8) -> Civil {
    Civil::from_sunday_zero_offset(sunday_zero as i8).expect("a weekday")
}

fn is_nth(date: Date, nth: i8, weekday: Civil) -> bool {
    date.nth_weekday_of_month(nth, weekday).is_ok_and(|found| found == date)
}

fn months(of: CalendarPeriod) -> i8 {
    match of {
        CalendarPeriod::Month => 1,
        CalendarPeriod::Quarter => 3,
        CalendarPeriod::HalfYear => 6,
        CalendarPeriod::Year => 12,
    }
}

pub(super) fn day_rule_matches(rule: &DayRule, date: Date) -> bool {
    let begins = |of| (date.month() - 1) % months(of) == 0;
    let ends = |of| date.month() % months(of) == 0;
    match *rule {
        DayRule::Daily => true,
        DayRule::Weekdays(set) => set.iter().any(|day| day as i8 == date.weekday().to_monday_zero_offset()),
        DayRule::Nth { nth: Nth::Last, day, of } => {
            ends(of)
                && match day {
                    NthDay::Day => date == date.last_of_month(),
                    NthDay::Weekday(day) => is_nth(date, -1, Civil::from_monday_zero_offset(day as i8).expect("a weekday")),
                }
        }
        DayRule::Nth { nth, day, of } => {
            begins(of)
                && match day {
                    NthDay::Day => date.day() == nth as i8 + 1,
                    NthDay::Weekday(day) => is_nth(date, nth as i8 + 1, Civil::from_monday_zero_offset(day as i8).expect("a weekday")),
                }
        }
        DayRule::MonthDay { day: MonthDay::Number(day), of } => begins(of) && date.day() as u8 == day,
        DayRule::MonthDay { day: MonthDay::Last, of } => ends(of) && date == date.last_of_month(),
        DayRule::Date { month, day } => (date.month() as u8, date.day() as u8) == (month, day),
    }
}

fn item(low: u8, high: u8) -> impl Strategy<Value = Item> {
    prop_oneof![
        2 => Just(Item::Star),
        2 => (1..=(high - low)).prop_map(Item::Every),
        5 => (low..=high).prop_map(Item::One),
        2 => (low..=high, low..=high).prop_map(|(a, b)| Item::Range(a.min(b), a.max(b))),
        1 => (low..=high, low..=high, 1..=(high - low)).prop_map(|(a, b, step)| Item::RangeEvery(a.min(b), a.max(b), step)),
    ]
}

fn field(low: u8, high: u8) -> impl Strategy<Value = Field> {
    prop_oneof![4 => prop::collection::vec(item(low, high), 1..=1), 1 => prop::collection::vec(item(low, high), 2..=3)]
        .prop_map(move |items| Field(items, (low, high)))
}

fn star(low: u8, high: u8) -> Just<Field> {
    Just(Field(vec![Item::Star], (low, high)))
}

fn one(low: u8, high: u8) -> impl Strategy<Value = Field> {
    (low..=high).prop_map(move |value| Field(vec![Item::One(value)], (low, high)))
}

pub(super) fn cron_days() -> impl Strategy<Value = Days> {
    prop_oneof![
        3 => (prop_oneof![star(1, 31), field(1, 31)], prop_oneof![2 => star(1, 12), 1 => field(1, 12)], prop_oneof![star(0, 6), field(0, 6)])
            .prop_map(|(day, month, weekday)| Days::Fields { day, month, weekday }),
        1 => (prop_oneof![1..=5i8, Just(-1i8)], 0..=6u8).prop_map(|(nth, weekday)| Days::NthWeekday(nth, weekday)),
        1 => Just(Days::LastDay),
    ]
}

pub(super) fn cron_rule() -> impl Strategy<Value = Rule> {
    (field(0, 59), field(0, 23), cron_days()).prop_map(|(minute, hour, days)| Rule::Cron { minute, hour, days })
}

/// Fires at one time of day only, often in the small hours, where the clocks are changed.
pub(super) fn rare_cron_rule() -> impl Strategy<Value = Rule> {
    (one(0, 59), prop_oneof![one(0, 3), one(0, 23)], cron_days()).prop_map(|(minute, hour, days)| Rule::Cron { minute, hour, days })
}

pub(super) fn weekday() -> impl Strategy<Value = Weekday> {
    prop::sample::select(Weekday::ALL.to_vec())
}

pub(super) fn weekly() -> impl Strategy<Value = DayRule> {
    prop_oneof![
        Just(DayRule::Daily),
        prop::collection::vec(weekday(), 1..5).prop_map(|days| DayRule::Weekdays(days.into_iter().collect::<WeekdaySet>()))
    ]
}

pub(super) fn day_rule() -> impl Strategy<Value = DayRule> {
    let of = || prop::sample::select(vec![CalendarPeriod::Month, CalendarPeriod::Quarter, CalendarPeriod::HalfYear, CalendarPeriod::Year]);
    let nth = prop::sample::select(vec![Nth::First, Nth::Second, Nth::Third, Nth::Fourth, Nth::Last]);
    let nth_day = prop_oneof![1 => Just(NthDay::Day), 3 => weekday().prop_map(NthDay::Weekday)];
    prop_oneof![
        2 => weekly(),
        3 => (nth, nth_day, of()).prop_map(|(nth, day, of)| DayRule::Nth { nth, day, of }),
        2 => (prop_oneof![(1..=31u8).prop_map(MonthDay::Number), Just(MonthDay::Last)], of()).prop_map(|(day, of)| DayRule::MonthDay { day, of }),
        1 => (1..=12u8, 1..=31u8).prop_map(|(month, day)| DayRule::Date { month, day }),
        1 => Just(DayRule::Date { month: 2, day: 29 }),
    ]
}

pub(super) fn time() -> impl Strategy<Value = TimeOfDay> {
    prop_oneof![(0..4u8, 0..60u8), (0..24u8, 0..60u8)].prop_map(|(hour, minute)| TimeOfDay::new(hour, minute).expect("a time of day"))
}

pub(super) fn calendar_rule() -> impl Strategy<Value = Rule> {
    (day_rule(), prop::collection::vec(time(), 1..4)).prop_map(|(days, times)| Rule::Calendar { days, times })
}

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![cron_rule(), rare_cron_rule(), calendar_rule()]
}
