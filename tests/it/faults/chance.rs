//! Which of very many rounds are made: all of them in the long lane, a few by lot elsewhere.

use crate::fuzz::random::Random;

/// `tests/run long`.
pub fn is_long() -> bool {
    std::env::var_os("SEAWALL_LONG").is_some()
}

/// How often, in which lane.
pub fn rounds(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// A lot for one test. It is another one each time; a failure shows its number, which `SEAWALL_TEST_SEED` draws again.
pub fn lot(test: &str) -> Random {
    let given = std::env::var("SEAWALL_TEST_SEED").ok();
    let seed = given.map_or_else(|| getrandom::u32().expect("randomness").into(), |text| text.parse().expect("a number"));
    println!("{test}: SEAWALL_TEST_SEED={seed}");
    Random::new(seed)
}
