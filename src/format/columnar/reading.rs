//! Parquet read back: every group of it, row by row.

use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};

/// How many rows there are, each of which was read.
pub fn count_rows(file: impl ChunkReader + 'static) -> Result<u64> {
    let reader = SerializedFileReader::new(file)?;
    let mut rows = 0;
    for row in reader.get_row_iter(None)? {
        row?;
        rows += 1;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::format::archived::Column;
    use crate::format::columnar::Parquet;

    #[test]
    fn what_was_written_is_read_and_what_is_cut_is_not() {
        let column = |name: &str, kind: &str| Column { name: name.into(), r#type: kind.into(), not_null: false };
        let mut file = Vec::new();
        let mut parquet = Parquet::new(&mut file, &[column("n", "integer"), column("at", "timestamp with time zone")]).expect("a file");
        parquet.push(b"n,at\n1,2026-11-22 04:00:00+00\n2,\n,2026-11-22 04:00:01+00\n").expect("rows");
        parquet.finish().expect("an end");
        let count = |bytes: &[u8]| count_rows(Bytes::copy_from_slice(bytes));
        assert_eq!(count(&file).expect("it can be read"), 3);
        assert!(count(&file[..file.len() - 3]).is_err());
        let mut damaged = file.clone();
        damaged[8..40].fill(0xff);
        assert!(count(&damaged).is_err());
    }
}
