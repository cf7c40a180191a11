use super::Instant;

/// A moment as a figure: seconds since 1970, to the microsecond.
pub fn figure_of(at: Instant) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

/// And back; a figure that is not above 0 says that there is no such moment.
pub fn moment_of(figure: f64) -> Option<Instant> {
    Instant::from_microsecond((figure * 1e6).round() as i64).ok().filter(|_| figure > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_comes_back_to_the_microsecond() {
        for text in ["2026-11-21T02:00:00.000001Z", "1970-01-01T00:00:00.000001Z", "2199-12-31T23:59:59.999999Z"] {
            let at: Instant = text.parse().expect("a moment");
            assert_eq!(moment_of(figure_of(at)), Some(at), "{text}");
        }
        assert_eq!([0.0, -1.0, f64::NAN].map(moment_of), [None; 3]);
    }
}
