//! `global/pg_control`: what a cluster is and how it stands. PostgreSQL 13 to 18; the layout of 18 differs only near its end.

use std::num::NonZeroU32;

use thiserror::Error;

use crate::inventory::SystemIdentifier;
use crate::units::{Lsn, SegmentSize, Timeline};

/// Where it lies in the data directory.
pub const PATH: &str = "global/pg_control";
/// How long the file is; what stands in it is shorter than a disk's sector.
pub const FILE_SIZE: usize = 8192;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub system_identifier: SystemIdentifier,
    /// The layout's version: 1300 (PostgreSQL 13 to 16), 1700 or 1800.
    pub layout: u32,
    pub catalog_version: u32,
    pub state: State,
    /// Of the latest checkpoint.
    pub checkpoint: Lsn,
    pub redo: Lsn,
    pub timeline: Timeline,
    /// On a standby: replay must come at least this far.
    pub min_recovery_point: Lsn,
    pub min_recovery_timeline: Option<Timeline>,
    pub block_size: u32,
    /// Blocks of one file of a relation.
    pub blocks_per_file: u32,
    pub wal_segment_size: SegmentSize,
    pub data_checksums: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    StartingUp,
    ShutDown,
    ShutDownInRecovery,
    ShuttingDown,
    InCrashRecovery,
    InArchiveRecovery,
    InProduction,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadControl {
    #[error("pg_control has only {0} bytes")]
    Short(usize),
    #[error("pg_control has layout {0}; this program knows those of PostgreSQL 13 to 18")]
    Unknown(u32),
    #[error("pg_control has a wrong checksum")]
    Checksum,
    #[error("pg_control says something impossible: {0}")]
    Nonsense(&'static str),
}

/// The layouts, by where their checksum stands: 18 put one byte before the last field.
const LAYOUTS: [(u32, usize); 3] = [(1300, 0x120), (1700, 0x120), (1800, 0x124)];

impl Control {
    pub fn parse(bytes: &[u8]) -> Result<Control, BadControl> {
        let word = |at: usize| -> Result<u32, BadControl> {
            let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).ok_or(BadControl::Short(bytes.len()))?;
            Ok(u32::from_le_bytes(word))
        };
        let long = |at: usize| Ok::<u64, BadControl>(u64::from(word(at)?) | u64::from(word(at + 4)?) << 32);
        let timeline = |at: usize| word(at).map(|number| NonZeroU32::new(number).map(Timeline));
        let layout = word(8)?;
        let (_, crc_at) = LAYOUTS.into_iter().find(|(version, _)| *version == layout).ok_or(BadControl::Unknown(layout))?;
        let covered = bytes.get(..crc_at).ok_or(BadControl::Short(bytes.len()))?;
        if crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, covered) != u64::from(word(crc_at)?) {
            return Err(BadControl::Checksum);
        }
        let block_size = word(0xD8)?;
        if !block_size.is_power_of_two() || !(1024..=32_768).contains(&block_size) {
            return Err(BadControl::Nonsense("the size of a block"));
        }
        Ok(Control {
            system_identifier: SystemIdentifier(long(0)?),
            layout,
            catalog_version: word(12)?,
            state: State::of(word(0x10)?)?,
            checkpoint: Lsn(long(0x20)?),
            redo: Lsn(long(0x28)?),
            timeline: timeline(0x30)?.ok_or(BadControl::Nonsense("timeline 0"))?,
            min_recovery_point: Lsn(long(0x88)?),
            min_recovery_timeline: timeline(0x90)?,
            block_size,
            blocks_per_file: word(0xDC)?,
            wal_segment_size: SegmentSize::new(word(0xE4)?.into()).ok_or(BadControl::Nonsense("the size of a segment"))?,
            data_checksums: word(0xFC)? != 0,
        })
    }
}

impl State {
    fn of(number: u32) -> Result<State, BadControl> {
        Ok(match number {
            0 => State::StartingUp,
            1 => State::ShutDown,
            2 => State::ShutDownInRecovery,
            3 => State::ShuttingDown,
            4 => State::InCrashRecovery,
            5 => State::InArchiveRecovery,
            6 => State::InProduction,
            _ => return Err(BadControl::Nonsense("the cluster's state")),
        })
    }
}
