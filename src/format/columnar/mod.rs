//! Rows as Parquet, for those who will look into an archive with other programs. The same rows lie beside it as CSV, and only from there
//! they come back: what Parquet cannot express (infinity, years beyond 9999) is null here.

mod csv;
mod kind;
mod reading;

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::archived::Column;
pub use reading::count_rows;

use csv::{Records, each_value};
use kind::{Cells, Kind};

/// As many rows, or as many bytes of CSV, become one group.
const GROUP_ROWS: usize = 50_000;
const GROUP_BYTES: usize = 16 << 20;

/// Makes a Parquet file out of CSV, group by group.
pub struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    records: Records,
    group: Group,
}

struct Group {
    cells: Vec<Cells>,
    rows: usize,
    bytes: usize,
    room: Vec<u8>,
}

impl<W: Write + Send> std::fmt::Debug for Parquet<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parquet({} rows to come)", self.group.rows)
    }
}

impl<W: Write + Send> Parquet<W> {
    pub fn new(to: W, columns: &[Column]) -> Result<Parquet<W>> {
        let kinds: Vec<Kind> = columns.iter().map(|column| Kind::of(&column.r#type)).collect();
        let fields = kinds.iter().zip(columns).map(|(kind, column)| kind.field(column)).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(format!("seawall {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(to, schema, Arc::new(properties))?;
        let group = Group { cells: kinds.into_iter().map(Cells::new).collect(), rows: 0, bytes: 0, room: Vec::new() };
        Ok(Parquet { writer, records: Records::default(), group })
    }

    /// A piece of the CSV, which begins with its header.
    pub fn push(&mut self, csv: &[u8]) -> Result<()> {
        let (writer, group) = (&mut self.writer, &mut self.group);
        self.records.push(csv, &mut |row| {
            group.add(row);
            if group.rows >= GROUP_ROWS || group.bytes >= GROUP_BYTES { group.write(writer) } else { Ok(()) }
        })
    }

    /// How many values are null because Parquet cannot express them.
    pub fn finish(mut self) -> Result<u64> {
        self.group.write(&mut self.writer)?;
        self.writer.close()?;
        Ok(self.group.cells.iter().map(|cells| cells.misfits).sum())
    }
}

impl Group {
    fn add(&mut self, row: &[u8]) {
        let mut cells = self.cells.iter_mut();
        each_value(row, &mut self.room, |value| {
            if let Some(cells) = cells.next() {
                cells.push(value);
            }
        });
        self.rows += 1;
        self.bytes += row.len();
    }

    fn write<W: Write + Send>(&mut self, writer: &mut SerializedFileWriter<W>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        let mut cells = self.cells.iter_mut();
        while let (Some(mut column), Some(cells)) = (group.next_column()?, cells.next()) {
            cells.write(&mut column)?;
            column.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}
