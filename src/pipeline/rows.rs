//! Rows on their way into a store: tallied, compressed, encrypted and put by threads of their own while the server sends the next ones.

use std::io::{self, Read, Write};
use std::sync::mpsc::Receiver;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::lane::{FRAME, Lane, Piece, compressing};
use super::{Lock, ObjectWriter, PipelineFault, Written, open_object};
use crate::format::archived::Column;
use crate::format::codec::{Codec, Compressor};
use crate::format::columnar::Parquet;
use crate::format::rows::{Tallied, Tally};
use crate::format::seal::Identities;
use crate::store::Store;
use crate::units::{Key, hex};

/// Where rows go, and how they are locked.
#[derive(Debug, Clone, Copy)]
pub struct Shelf<'s> {
    pub store: &'s Store,
    pub lock: &'s Lock,
    pub codec: Codec,
}

/// Rows of one table, as CSV, as Parquet, or as both. Dropped before [`RowsWriter::finish`], nothing of them stays.
#[derive(Debug)]
pub struct RowsWriter {
    frame: Vec<u8>,
    size: u64,
    csv: Lane<(Option<Written>, Tally)>,
    parquet: Option<Lane<Columnar>>,
}

/// What was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsWritten {
    /// As CSV, where they were wanted so.
    pub csv: Option<Written>,
    /// As CSV, before compression.
    pub size: u64,
    pub rows: Tallied,
    pub parquet: Option<Columnar>,
}

/// The same rows as Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columnar {
    pub object: Written,
    /// Of the file before encryption.
    pub size: u64,
    /// Of the file before encryption, in hexadecimal.
    pub sha256: String,
    /// Values that are null there because Parquet cannot express them.
    pub misfits: u64,
}

impl RowsWriter {
    /// Where they go as CSV, and where in columns; they are counted either way.
    pub fn new(shelf: &Shelf<'_>, csv: Option<&Key>, parquet: Option<(&Key, &[Column])>) -> Result<RowsWriter, PipelineFault> {
        let writer = csv.map(|key| ObjectWriter::new(shelf.store, key, shelf.lock)).transpose()?;
        let compressor = Compressor::new(shelf.codec).map_err(compressing)?;
        let csv = Lane::begin(move |given| as_csv(writer, compressor, given))?;
        let parquet = match parquet {
            Some((key, columns)) => {
                let (writer, columns) = (ObjectWriter::new(shelf.store, key, shelf.lock)?, columns.to_vec());
                Some(Lane::begin(move |given| as_parquet(writer, &columns, given))?)
            }
            None => None,
        };
        Ok(RowsWriter { frame: Vec::with_capacity(FRAME), size: 0, csv, parquet })
    }

    pub fn push(&mut self, rows: &[u8]) -> Result<(), PipelineFault> {
        self.size += rows.len() as u64;
        self.frame.extend_from_slice(rows);
        if self.frame.len() >= FRAME { self.send_frame() } else { Ok(()) }
    }

    fn send_frame(&mut self) -> Result<(), PipelineFault> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let frame = Bytes::from(std::mem::replace(&mut self.frame, Vec::with_capacity(FRAME)));
        if let Some(parquet) = &mut self.parquet {
            parquet.send(Piece::Frame(frame.clone()))?;
        }
        self.csv.send(Piece::Frame(frame))
    }

    /// Nothing more comes: what was given becomes durable while the caller does something else. How that went, [`RowsWriter::finish`] says.
    pub fn end(&mut self) -> Result<(), PipelineFault> {
        self.send_frame()?;
        self.parquet.as_mut().map_or(Ok(()), Lane::end)?;
        self.csv.end()
    }

    /// Durable when it returns. What was given must end with a whole row.
    pub fn finish(mut self) -> Result<RowsWritten, PipelineFault> {
        self.send_frame()?;
        let parquet = self.parquet.take().map(Lane::finish).transpose()?;
        let (csv, tally) = self.csv.finish()?;
        let cut = || PipelineFault::file("the rows", io::Error::other("the server's last row was cut short"));
        Ok(RowsWritten { csv, size: self.size, rows: tally.finish().ok_or_else(cut)?, parquet })
    }
}

fn as_csv(
    mut writer: Option<ObjectWriter>,
    mut compressor: Compressor,
    given: &Receiver<Piece>,
) -> Result<Option<(Option<Written>, Tally)>, PipelineFault> {
    let (mut tally, mut frame) = (Tally::after_header(), Vec::new());
    loop {
        match given.recv() {
            Ok(Piece::Frame(rows)) => {
                tally.push(&rows);
                if let Some(writer) = &mut writer {
                    compressor.frame(&rows, &mut frame).map_err(compressing)?;
                    writer.write(&frame)?;
                }
            }
            Ok(Piece::End) => return Ok(Some((writer.map(ObjectWriter::finish).transpose()?, tally))),
            Err(_) => return Ok(None),
        }
    }
}

fn as_parquet(writer: ObjectWriter, columns: &[Column], given: &Receiver<Piece>) -> Result<Option<Columnar>, PipelineFault> {
    let sink = Sink(std::sync::Arc::new(std::sync::Mutex::new(Some(Hashed { writer, digest: Context::new(&SHA256), size: 0 }))));
    let fault = |error: parquet::errors::ParquetError| match error {
        // The store's own fault comes out as it went in.
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => PipelineFault::of_stream("rows.parquet", &error),
            Err(other) => PipelineFault::file("Parquet", io::Error::other(other)),
        },
        other => PipelineFault::file("Parquet", io::Error::other(other)),
    };
    let mut parquet = Parquet::new(sink.clone(), columns).map_err(fault)?;
    loop {
        match given.recv() {
            Ok(Piece::Frame(rows)) => parquet.push(&rows).map_err(fault)?,
            Ok(Piece::End) => {
                let misfits = parquet.finish().map_err(fault)?;
                let Some(Hashed { writer, digest, size }) = sink.take() else { return Err(PipelineFault::Interrupted) };
                return Ok(Some(Columnar { object: writer.finish()?, size, sha256: hex(digest.finish().as_ref()), misfits }));
            }
            Err(_) => return Ok(None),
        }
    }
}

/// An object that something else writes to; it is given back at the end.
#[derive(Clone)]
struct Sink(std::sync::Arc<std::sync::Mutex<Option<Hashed>>>);

struct Hashed {
    writer: ObjectWriter,
    digest: Context,
    size: u64,
}

impl Sink {
    fn take(&self) -> Option<Hashed> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut hashed = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(hashed) = hashed.as_mut() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        hashed.digest.update(bytes);
        hashed.size += bytes.len() as u64;
        match hashed.writer.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(PipelineFault::Store(fault)) => Err(fault.into()),
            Err(fault) => Err(io::Error::other(fault)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads rows out of a store, whole, with their header. `each` gets the bytes as they come, and gives false to end it.
pub fn read_rows(
    store: &Store,
    key: &Key,
    size: u64,
    identities: &Identities,
    each: &mut dyn FnMut(&[u8]) -> Result<bool, PipelineFault>,
) -> Result<Tallied, PipelineFault> {
    let mut tally = Tally::after_header();
    read_plain(store, key, size, identities, &mut |bytes| {
        tally.push(bytes);
        each(bytes)
    })?;
    let what = "its last row is cut short".to_owned();
    tally.finish().ok_or(PipelineFault::Damaged { key: key.to_string(), what })
}

/// Reads an object from end to end, opened.
pub fn read_plain(
    store: &Store,
    key: &Key,
    size: u64,
    identities: &Identities,
    each: &mut dyn FnMut(&[u8]) -> Result<bool, PipelineFault>,
) -> Result<(), PipelineFault> {
    let mut reader = open_object(store, key, size, identities)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let got = reader.read(&mut buffer).map_err(|error| PipelineFault::of_stream(key.as_str(), &error))?;
        if got == 0 {
            return Ok(());
        }
        if !each(&buffer[..got])? {
            return Err(PipelineFault::Interrupted);
        }
    }
}
