//! Moments and inventories as they are named on the command line.

use std::path::Path;

use super::exit::Trouble;
use super::terminal::tame;
use crate::inventory::{self, Inventory, InventoryError};
use crate::units::Instant;
use crate::world::files;

/// A moment: a day in UTC (`2027-03-01`), or a time with its zone (`2027-03-01T04:00:00+02:00`).
pub fn parse(text: &str) -> Result<Instant, String> {
    // The parser of days also takes a time without a zone, and forgets the time.
    let is_day = text.len() == "2027-03-01".len();
    if let (true, Ok(date)) = (is_day, text.parse::<jiff::civil::Date>()) {
        return date.to_zoned(jiff::tz::TimeZone::UTC).map(|day| day.timestamp()).map_err(|error| error.to_string());
    }
    text.parse::<Instant>().map_err(|_| "write a day as `2027-03-01`, or a time with its zone as `2027-03-01T04:00:00Z`".to_owned())
}

/// Reads an exported state of the world.
pub fn read_inventory(path: &Path) -> Result<Inventory, Trouble> {
    let name = tame(&path.to_string_lossy()).into_owned();
    let bytes =
        files::read(path, inventory::MAX_BYTES).map_err(|fault| Trouble::failed(format!("`{name}`: {}", fault.message), fault.hint))?;
    Inventory::from_json(&bytes).map_err(|error| {
        let hint = match &error {
            InventoryError::NewerFormat { .. } => "Use the seawall that wrote it, or a newer one.",
            _ => "`seawall schema inventory` describes its form.",
        };
        Trouble::failed(format!("`{name}`: {error}"), hint)
    })
}
