//! How bytes are compressed, and by which ending of the name `zstd`, `lz4`, `age` and `gpg` know what to do.

use std::io::{self, Read};

/// How an object is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Zstd { level: i32 },
    Lz4,
    None,
}

/// How an object is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    None,
    Age,
    OpenPgp,
}

impl Envelope {
    pub fn is_sealed(self) -> bool {
        self != Envelope::None
    }

    /// The last ending of an object's name.
    fn ending(self) -> &'static str {
        match self {
            Envelope::None => "",
            Envelope::Age => ".age",
            Envelope::OpenPgp => ".gpg",
        }
    }

    /// What a name says, and the name without it.
    fn of_name(name: &str) -> (&str, Envelope) {
        let sealed = [Envelope::Age, Envelope::OpenPgp].into_iter();
        let mut found = sealed.filter_map(|envelope| name.strip_suffix(envelope.ending()).map(|name| (name, envelope)));
        found.next().unwrap_or((name, Envelope::None))
    }
}

impl Codec {
    pub const DEFAULT: Codec = Codec::Zstd { level: 1 };

    /// The end of an object's name: `.zst.age`.
    pub fn extension(self, envelope: Envelope) -> String {
        let of_codec = match self {
            Codec::Zstd { .. } => ".zst",
            Codec::Lz4 => ".lz4",
            Codec::None => "",
        };
        format!("{of_codec}{}", envelope.ending())
    }

    /// What the end of a name says: how it is compressed, how it is encrypted, and the name without it.
    pub fn of_name(name: &str) -> (&str, Codec, Envelope) {
        let (name, envelope) = Envelope::of_name(name);
        if let Some(name) = name.strip_suffix(".zst") {
            (name, Codec::DEFAULT, envelope)
        } else if let Some(name) = name.strip_suffix(".lz4") {
            (name, Codec::Lz4, envelope)
        } else {
            (name, Codec::None, envelope)
        }
    }

    /// Reads what was compressed in frames, one after the other.
    pub fn reader<'r>(self, from: impl Read + Send + 'r) -> io::Result<Box<dyn Read + Send + 'r>> {
        Ok(match self {
            Codec::Zstd { .. } => Box::new(zstd::stream::read::Decoder::new(from)?),
            Codec::Lz4 => Box::new(Lz4Frames { decoder: Some(lz4_flex::frame::FrameDecoder::new(io::BufReader::new(from))) }),
            Codec::None => Box::new(from),
        })
    }
}

/// The crate's decoder stops after each frame; `lz4 -d` goes on, and so does this.
struct Lz4Frames<R: Read> {
    decoder: Option<lz4_flex::frame::FrameDecoder<io::BufReader<R>>>,
}

impl<R: Read> Read for Lz4Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use io::BufRead as _;
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let got = decoder.read(into)?;
            if got > 0 || into.is_empty() {
                return Ok(got);
            }
            let mut rest = self.decoder.take().expect("it was there a line ago").into_inner();
            if !rest.fill_buf()?.is_empty() {
                self.decoder = Some(lz4_flex::frame::FrameDecoder::new(rest));
            }
        }
    }
}

/// Compresses single frames with a state that is made once.
pub struct Compressor {
    codec: Codec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compressor({:?})", self.codec)
    }
}

impl Compressor {
    pub fn new(codec: Codec) -> io::Result<Compressor> {
        let zstd = match codec {
            Codec::Zstd { level } => Some(zstd::bulk::Compressor::new(level)?),
            Codec::Lz4 | Codec::None => None,
        };
        Ok(Compressor { codec, zstd })
    }

    /// One frame that stands for `plain`, put in place of what `out` held.
    pub fn frame(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        match &mut self.zstd {
            Some(zstd) => {
                out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                zstd.compress_to_buffer(plain, out).map(|_| ())
            }
            None if self.codec == Codec::Lz4 => {
                use io::Write as _;
                let mut encoder = lz4_flex::frame::FrameEncoder::new(std::mem::take(out));
                encoder.write_all(plain)?;
                *out = encoder.finish().map_err(io::Error::other)?;
                Ok(())
            }
            None => {
                out.extend_from_slice(plain);
                Ok(())
            }
        }
    }
}

/// Expands single frames with a state that is made once.
pub struct Expander {
    codec: Codec,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl std::fmt::Debug for Expander {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expander({:?})", self.codec)
    }
}

impl Expander {
    pub fn new(codec: Codec) -> io::Result<Expander> {
        let zstd = matches!(codec, Codec::Zstd { .. }).then(zstd::bulk::Decompressor::new).transpose()?;
        Ok(Expander { codec, zstd })
    }

    /// What a frame stands for: exactly as many bytes as there is room for, or an error.
    pub fn expand(&mut self, frame: &[u8], room: &mut [u8]) -> io::Result<()> {
        let length = room.len();
        let got = match &mut self.zstd {
            Some(zstd) => zstd.decompress_to_buffer(frame, room)?,
            None => {
                let mut reader = self.codec.reader(frame)?;
                reader.read_exact(room)?;
                length + reader.read(&mut [0])?
            }
        };
        if got == length {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame holds other than {length} bytes")))
        }
    }
}
