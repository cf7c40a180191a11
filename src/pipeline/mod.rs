//! From files to objects and back: read, check, hash, compress, encrypt, put; get, decrypt, check, expand, write. Bounded memory,
//! as many threads as are asked for, one pass over the bytes.

pub mod backup;
mod checked;
mod fault;
mod lane;
mod object;
mod pace;
mod reading;
pub mod restore;
mod rows;
mod stamp;
mod stream;

pub use checked::Checked;
pub use fault::PipelineFault;
pub use object::{Lock, ObjectWriter, Written};
pub use pace::Pace;
pub use reading::{RangedObject, ReadObject, hash_object, open_object};
pub use rows::{Columnar, RowsWriter, RowsWritten, Shelf, read_plain, read_rows};
pub use stamp::{BadStamp, Stamped, read_stamp, stamp_of};
pub use stream::{StreamWriter, Streamed};
