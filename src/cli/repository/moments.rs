pub use crate::plan::words::about as span;
use crate::schedule::Zone;
use crate::units::Instant;

/// A moment on the policy's clock: `2026-11-21 03:41:07`.
pub fn local(at: Instant, zone: &Zone) -> String {
    zone.wall_clock(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// With its zone, so that it can be given back on a command line: `2026-11-21T03:41:07.5+01:00`.
pub fn with_zone(at: Instant, zone: &Zone) -> String {
    let offset = zone.time_zone().to_offset(at);
    at.display_with_offset(offset).to_string()
}

/// `3 h ago`
pub fn ago(at: Instant, now: Instant) -> String {
    match now.as_second() - at.as_second() {
        seconds if seconds < 0 => "in the future".into(),
        seconds if seconds < 120 => format!("{seconds} s ago"),
        seconds => format!("{} ago", span(seconds)),
    }
}
