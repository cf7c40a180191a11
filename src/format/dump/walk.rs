//! The rows of a dump, table by table, for whoever wants to have them.

use std::io::{ErrorKind, Read};

use super::blocks::{DATA, int};
use super::head::Head;
use super::renaming::Renaming;
use super::{BadDump, Item, MAX_HEAD, jobs};

/// Goes from one table's rows to the next; what nobody asks for is passed over.
#[derive(Debug)]
pub struct Walk<R> {
    from: R,
    int_size: usize,
    head: Vec<u8>,
    /// What was read behind the head.
    rest: std::io::Cursor<Vec<u8>>,
    /// Within the rows of an entry; how much of a chunk is left.
    left: Option<u64>,
    bytes: u64,
}

/// Why it goes no further.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    #[error(transparent)]
    Bad(#[from] BadDump),
    #[error(transparent)]
    Unread(#[from] std::io::Error),
}

impl<R: Read> Walk<R> {
    /// Reads the head.
    pub fn new(mut from: R) -> Result<Walk<R>, Stopped> {
        let (mut bytes, mut buffer, mut head) = (Vec::new(), vec![0; 1 << 16], Head::default());
        while !head.read(&bytes)? {
            let got = from.read(&mut buffer)?;
            if got == 0 {
                return Err(BadDump::CutShort(bytes.len() as u64).into());
            }
            if bytes.len() > MAX_HEAD {
                return Err(BadDump::TooLong.into());
            }
            bytes.extend_from_slice(&buffer[..got]);
        }
        let rest = bytes.split_off(head.end());
        let (_, int_size) = head.into_about();
        let at = bytes.len() as u64;
        Ok(Walk { from, int_size, head: bytes, rest: std::io::Cursor::new(rest), left: None, bytes: at })
    }

    /// Its bytes up to the first row.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    pub fn items(&self) -> Result<Vec<Item>, BadDump> {
        Item::all(&self.head)
    }

    /// All of it from its beginning, in which roles have other names.
    pub fn with_roles<F: Fn(&str) -> Option<String>>(self, to: F) -> Result<impl Read + use<R, F>, BadDump> {
        let head = super::with_roles(&self.head, &to)?;
        let jobs = self.jobs()?;
        Ok(std::io::Cursor::new(head).chain(Renaming::new(self.rest.chain(self.from), self.int_size, jobs, to)))
    }

    /// All of it as it is, but that TimescaleDB's jobs belong to others. Those of old versions belong to nobody.
    pub fn with_job_owners<F: Fn(&str) -> Option<String>>(self, to: F) -> Result<impl Read + use<R, F>, BadDump> {
        let jobs = self.jobs()?.filter(|(_, columns)| jobs::have_owners(columns));
        Ok(std::io::Cursor::new(self.head).chain(Renaming::new(self.rest.chain(self.from), self.int_size, jobs, to)))
    }

    /// The entry that has TimescaleDB's jobs, and its columns.
    fn jobs(&self) -> Result<Option<(i64, String)>, BadDump> {
        let items = self.items()?;
        Ok(items.iter().find(|item| jobs::are_in(item)).map(|item| (item.id, jobs::columns(&item.copy).to_owned())))
    }

    /// The entry whose rows come next; none at the end. Large objects are passed over.
    pub fn next_table(&mut self) -> Result<Option<i64>, Stopped> {
        let mut buffer = vec![0; 1 << 16];
        while self.read(&mut buffer)? > 0 {}
        loop {
            let mut kind = [0];
            if self.fill(&mut kind)? == 0 {
                return Ok(None);
            }
            let id = self.int()?;
            if kind[0] == DATA {
                self.left = Some(0);
                return Ok(Some(id));
            }
            self.pass_large_objects(&mut buffer)?;
        }
    }

    /// Some bytes of that entry's rows, as `COPY` takes them; none at their end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        let Some(mut left) = self.left else { return Ok(0) };
        if left == 0 {
            left = self.length()?;
            self.left = (left > 0).then_some(left);
            if left == 0 {
                return Ok(0);
            }
        }
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let got = self.fill_some(&mut buffer[..most])?;
        if got == 0 {
            return Err(BadDump::CutShort(self.bytes).into());
        }
        self.left = Some(left - got as u64);
        Ok(got)
    }

    fn pass_large_objects(&mut self, buffer: &mut [u8]) -> Result<(), Stopped> {
        while self.int()? != 0 {
            self.left = Some(0);
            while self.read(buffer)? > 0 {}
        }
        Ok(())
    }

    fn length(&mut self) -> Result<u64, Stopped> {
        let length = self.int()?;
        u64::try_from(length).map_err(|_| BadDump::Block(0, self.bytes).into())
    }

    fn int(&mut self) -> Result<i64, Stopped> {
        let mut bytes = vec![0; 1 + self.int_size];
        if self.fill(&mut bytes)? < bytes.len() {
            return Err(BadDump::CutShort(self.bytes).into());
        }
        Ok(int(&bytes).unwrap_or(-1))
    }

    /// As much as there is, up to all of it.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Stopped> {
        let mut at = 0;
        while at < bytes.len() {
            match self.fill_some(&mut bytes[at..])? {
                0 => break,
                got => at += got,
            }
        }
        Ok(at)
    }

    fn fill_some(&mut self, bytes: &mut [u8]) -> Result<usize, Stopped> {
        let mut got = self.rest.read(bytes)?;
        while got == 0 {
            match self.from.read(bytes) {
                Ok(read) => {
                    got = read;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.bytes += got as u64;
        Ok(got)
    }
}
