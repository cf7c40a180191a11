//! Figures as people read them, the same in every form of a report.

use crate::evidence::EVERYTHING;
use crate::units::{Bytes, Instant};

/// `42 s`, `1 h 30 min`, `3 d 4 h`: the two largest units, and tenths below ten seconds. What would be lost where nothing survives is everything.
pub fn lasting(seconds: f64) -> String {
    if seconds.is_finite() && seconds >= EVERYTHING.as_secs() as f64 {
        return "everything".to_owned();
    }
    if !seconds.is_finite() {
        return "unknown".to_owned();
    }
    if seconds.abs() < 9.95 && (seconds * 10.0).round() % 10.0 != 0.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round().max(0.0) as u64;
    let two = |large: u64, unit: &str, small: u64, smaller: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
    };
    match whole {
        ..60 => format!("{whole} s"),
        60..3_600 => two(whole / 60, "min", whole % 60, "s"),
        3_600..86_400 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// `12.3 GB`
pub fn sized(bytes: u64) -> String {
    Bytes::new(bytes).rounded()
}

/// `12.3 MB/s`
pub fn per_second(bytes: u64) -> String {
    format!("{}/s", sized(bytes))
}

/// `+12.5 %`
pub fn change(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

/// `2026-11-21`
pub fn day(at: Instant) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// With a capital letter, as a sentence begins.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        for (seconds, says) in [
            (0.0, "0 s"),
            (0.25, "0.2 s"),
            (9.0, "9 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.9, "1 min"),
            (61.0, "1 min 1 s"),
            (5_400.0, "1 h 30 min"),
            (86_399.0, "23 h 59 min"),
            (273_600.0, "3 d 4 h"),
            (f64::NAN, "unknown"),
            (EVERYTHING.as_secs() as f64 + 30.0, "everything"),
        ] {
            assert_eq!(lasting(seconds), says, "{seconds}");
        }
        assert_eq!(change(0.125), "+12.5 %");
        assert_eq!(capital("über"), "Über");
    }
}
