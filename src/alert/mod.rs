//! Who is told what, when, and when again. Decides; `notify` sends.

mod notice;

pub use notice::{Item, Notice, NoticeKind};
