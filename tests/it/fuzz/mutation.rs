use super::random::Random;

/// Bytes that end, begin or hide something in most written forms.
const TELLING: &[u8] = b"\0\t\n\r \"'#%&*+,-./0129:;<>?@AZ[\\]_`az{|}~\x7f\x80\xBF\xC0\xEF\xFE\xFF";

#[derive(Debug)]
pub(super) struct Mutator<'c> {
    pub random: Random,
    pub corpus: &'c [Vec<u8>],
    pub words: &'c [&'c str],
    pub max_bytes: usize,
}

impl Mutator<'_> {
    /// One input of the corpus, changed one to eight times.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut input = self.corpus.get(self.random.below(self.corpus.len())).cloned().unwrap_or_default();
        for _ in 0..=self.random.below(8) {
            self.change(&mut input);
        }
        input.truncate(self.max_bytes);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        match self.random.below(10) {
            0 => flip_bit(input, at, self.random.below(8)),
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = TELLING[self.random.below(TELLING.len())];
                }
            }
            2 => input.insert(at, TELLING[self.random.below(TELLING.len())]),
            3 | 4 => {
                let word = self.random.choice(self.words).unwrap_or("");
                splice(input, at, word.as_bytes());
            }
            5 => {
                let end = at + self.random.below((input.len() - at).min(64) + 1);
                input.drain(at..end);
            }
            6 => self.splice_another(input, at),
            7 => self.repeat(input, at),
            8 => self.move_line(input),
            _ => self.number(input, at),
        }
    }

    /// The beginning of this input and the end of another one.
    fn splice_another(&mut self, input: &mut Vec<u8>, at: usize) {
        if let Some(other) = self.corpus.get(self.random.below(self.corpus.len())) {
            let from = self.random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }

    /// A stretch again and again: deep nesting, long numbers, many keys.
    fn repeat(&mut self, input: &mut Vec<u8>, at: usize) {
        let end = at + self.random.below((input.len() - at).min(32) + 1);
        let stretch = input[at..end].to_vec();
        let times = 1 << self.random.below(12);
        let room = self.max_bytes.saturating_sub(input.len());
        let times = times.min(room / stretch.len().max(1));
        splice(input, at, &stretch.repeat(times));
    }

    /// One line put in front of another: keys in other elements, doubled indentation.
    fn move_line(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if lines.len() > 1 {
            let from = self.random.below(lines.len());
            let line = if self.random.below(2) == 0 { lines.remove(from) } else { lines[from].clone() };
            let to = self.random.below(lines.len() + 1);
            lines.insert(to, line);
            *input = lines.concat();
        }
    }

    /// A number at the edge of something.
    fn number(&mut self, input: &mut Vec<u8>, at: usize) {
        const EDGES: [&str; 14] = [
            "0",
            "-1",
            "00",
            "1e9",
            "0.5",
            "59",
            "60",
            "99999",
            "4294967295",
            "4294967296",
            "9223372036854775807",
            "18446744073709551615",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
        ];
        splice(input, at, EDGES[self.random.below(EDGES.len())].as_bytes());
    }
}

fn flip_bit(input: &mut [u8], at: usize, bit: usize) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn splice(input: &mut Vec<u8>, at: usize, more: &[u8]) {
    input.splice(at..at, more.iter().copied());
}
