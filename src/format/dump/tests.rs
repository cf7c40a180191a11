use super::*;

/// A dump as `pg_dump` 15 writes one, by hand.
struct Made(Vec<u8>);

impl Made {
    fn begin(minor: u8, entries: i64) -> Made {
        let mut made = Made(b"PGDMP".to_vec());
        made.0.extend([1, minor, 0, 4, 8, 1]);
        if minor >= 15 {
            made.0.push(0);
        } else {
            made.int(0);
        }
        (0..7).for_each(|_| made.int(1));
        ["shop", "15.8", "15.8"].iter().for_each(|text| made.text(text));
        made.int(entries);
        made
    }

    fn int(&mut self, number: i64) {
        self.0.push(u8::from(number < 0));
        self.0.extend(u32::try_from(number.unsigned_abs()).expect("small").to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.int(text.len() as i64);
        self.0.extend(text.as_bytes());
    }

    fn entry(&mut self, minor: u8, id: i64, kind: &str, name: &str) {
        self.int(id);
        self.int(i64::from(kind.ends_with("DATA")));
        for text in ["0", "16384", name, kind] {
            self.text(text);
        }
        self.int(3);
        for text in ["", "", "copy it", "public", ""] {
            self.text(text);
        }
        if minor >= 14 {
            self.text("heap");
        }
        if minor >= 16 {
            self.int(114);
        }
        ["me", "false", "7"].iter().for_each(|text| self.text(text));
        self.int(-1);
        self.0.extend([1; 9]);
    }

    fn rows(&mut self, id: i64, chunks: &[&str]) {
        self.0.push(1);
        self.int(id);
        chunks.iter().for_each(|chunk| self.text(chunk));
        self.int(0);
    }
}

fn dump(minor: u8) -> Vec<u8> {
    let mut made = Made::begin(minor, 3);
    made.entry(minor, 1, "TABLE", "orders");
    made.entry(minor, 2, "TABLE DATA", "orders");
    made.entry(minor, 3, "TABLE DATA", "none");
    made.rows(2, &["1\tone\n2\ttw", "o\\nlines\n", "\\.\n", "\n\n"]);
    made.rows(3, &["\\.\n\n\n"]);
    made.0
}

fn read(bytes: &[u8], piece: usize) -> Result<Whole, BadDump> {
    let mut reader = Reader::default();
    for piece in bytes.chunks(piece) {
        reader.push(piece)?;
    }
    reader.finish()
}

#[test]
fn rows_are_counted_however_the_bytes_come() {
    for minor in [12, 13, 14, 15, 16] {
        for piece in [1, 7, 4096] {
            let whole = read(&dump(minor), piece).expect("whole");
            assert_eq!((whole.about.entries, whole.about.kept.len(), whole.about.client.as_str()), (3, 3, "15.8"));
            assert_eq!(whole.rows, BTreeMap::from([(2, 2), (3, 0)]));
            assert_eq!(whole.about.kept[1].oid, 16384);
        }
    }
}

#[test]
fn a_dump_that_ends_anywhere_but_at_its_end_is_not_whole() {
    let all = dump(14);
    for end in 0..all.len() {
        read(&all[..end], 64).expect_err("cut short");
    }
}

#[test]
fn what_is_no_dump_is_refused() {
    let with = |at: usize, byte: u8| {
        let mut bytes = dump(14);
        bytes[at] = byte;
        read(&bytes, 4096).expect_err("changed")
    };
    assert_eq!(with(0, b'x'), BadDump::NotADump);
    assert_eq!(with(6, 17), BadDump::Version(1, 17));
    assert_eq!(with(12, 6), BadDump::Compressed);
    let mut bytes = dump(14);
    bytes.push(9);
    assert!(matches!(read(&bytes, 4096), Err(BadDump::Block(9, _))));
    let mut made = Made::begin(14, 1);
    made.entry(14, 2, "TABLE DATA", "orders");
    made.rows(3, &["\\.\n\n\n"]);
    assert_eq!(read(&made.0, 4096), Err(BadDump::Stranger(3)));
    let mut made = Made::begin(14, 1);
    made.entry(14, 2, "TABLE DATA", "orders");
    made.rows(2, &["1\n2\n"]);
    assert_eq!(read(&made.0, 4096), Err(BadDump::Tail(2)));
}

#[test]
fn rows_are_walked_table_by_table_and_what_nobody_wants_is_passed_over() {
    for minor in [12, 14, 16] {
        let bytes = dump(minor);
        let rows = |wanted: &[i64]| {
            let mut walk = Walk::new(bytes.as_slice()).expect("a head");
            let items = walk.items().expect("its lines");
            assert_eq!(items.iter().map(|item| (item.id, item.kind.as_str(), item.needs.as_slice())).next(), Some((1, "TABLE", &[7][..])));
            assert_eq!((items[1].copy.as_str(), items[1].has_data, items[1].section), ("copy it", true, Section::Data));
            let mut all = Vec::new();
            while let Some(id) = walk.next_table().expect("the next") {
                let (mut text, mut buffer) = (Vec::new(), [0; 3]);
                while wanted.contains(&id) {
                    match walk.read(&mut buffer).expect("some rows") {
                        0 => break,
                        got => text.extend_from_slice(&buffer[..got]),
                    }
                }
                all.push((id, String::from_utf8(text).expect("text")));
            }
            all
        };
        let (orders, none) = ("1\tone\n2\ttwo\\nlines\n\\.\n\n\n".to_owned(), "\\.\n\n\n".to_owned());
        assert_eq!(rows(&[2, 3]), [(2, orders), (3, none.clone())]);
        assert_eq!(rows(&[3]), [(2, String::new()), (3, none)]);
    }
    let cut = dump(14);
    let mut walk = Walk::new(&cut[..cut.len() - 20]).expect("a head");
    let mut end = || -> Result<(), Stopped> {
        while walk.next_table()?.is_some() {}
        Ok(())
    };
    assert!(matches!(end(), Err(Stopped::Bad(BadDump::CutShort(_)))));
}
