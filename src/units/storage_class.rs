//! The storage classes of the clouds: how warm each one is, for how long it is paid at least, and how long reading from it takes to begin.

use std::fmt;
use std::str::FromStr;

use super::{Duration, QuantityError, QuantityFault, clipped};

/// In which class of its store an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageClass {
    /// The warmest of S3 and of Google's storage.
    Standard,
    StandardIa,
    IntelligentTiering,
    OnezoneIa,
    GlacierIr,
    Glacier,
    DeepArchive,
    Hot,
    Cool,
    Cold,
    /// Azure's archive tier.
    Frozen,
    Nearline,
    Coldline,
    /// Google's archive class, which can be read at once.
    Archive,
}

use StorageClass as Class;

/// The stores that have classes in common. Each list goes from the warmest to the coldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassFamily {
    S3,
    Azure,
    Gcs,
}

/// How fast something is fetched from an archive, where its store lets one choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Haste {
    Expedited,
    #[default]
    Standard,
    Bulk,
}

impl ClassFamily {
    pub const ALL: [ClassFamily; 3] = [ClassFamily::S3, ClassFamily::Azure, ClassFamily::Gcs];

    /// From the warmest to the coldest.
    pub const fn classes(self) -> &'static [StorageClass] {
        match self {
            ClassFamily::S3 => &[
                Class::Standard,
                Class::StandardIa,
                Class::IntelligentTiering,
                Class::OnezoneIa,
                Class::GlacierIr,
                Class::Glacier,
                Class::DeepArchive,
            ],
            ClassFamily::Azure => &[Class::Hot, Class::Cool, Class::Cold, Class::Frozen],
            ClassFamily::Gcs => &[Class::Standard, Class::Nearline, Class::Coldline, Class::Archive],
        }
    }

    /// The class of that name, if this family has it.
    pub fn class(self, name: &str) -> Option<StorageClass> {
        self.classes().iter().copied().find(|class| class.as_str() == name)
    }

    /// The class that its service means, by the service's own spelling.
    pub fn class_of_wire(self, word: &str) -> Option<StorageClass> {
        self.classes().iter().copied().find(|class| class.on_wire() == word)
    }

    /// What an object lies in of which the service says nothing.
    pub fn warmest(self) -> StorageClass {
        self.classes()[0]
    }

    /// What is thawed there is warm from then on, and paid as such, until something moves it again. Elsewhere there is a copy for some days.
    pub const fn thaws_for_good(self) -> bool {
        matches!(self, ClassFamily::Azure)
    }

    /// Whether one lies colder than the other; not, where they are not both of this family.
    pub fn is_colder(self, one: StorageClass, than: StorageClass) -> bool {
        let rank = |wanted| self.classes().iter().position(|class| *class == wanted);
        matches!((rank(one), rank(than)), (Some(one), Some(than)) if one > than)
    }
}

impl StorageClass {
    const ALL: [StorageClass; 14] = [
        Class::Standard,
        Class::StandardIa,
        Class::IntelligentTiering,
        Class::OnezoneIa,
        Class::GlacierIr,
        Class::Glacier,
        Class::DeepArchive,
        Class::Hot,
        Class::Cool,
        Class::Cold,
        Class::Frozen,
        Class::Nearline,
        Class::Coldline,
        Class::Archive,
    ];

    /// As a policy writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Standard => "STANDARD",
            Class::StandardIa => "STANDARD_IA",
            Class::IntelligentTiering => "INTELLIGENT_TIERING",
            Class::OnezoneIa => "ONEZONE_IA",
            Class::GlacierIr => "GLACIER_IR",
            Class::Glacier => "GLACIER",
            Class::DeepArchive => "DEEP_ARCHIVE",
            Class::Hot => "hot",
            Class::Cool => "cool",
            Class::Cold => "cold",
            Class::Frozen => "archive",
            Class::Nearline => "NEARLINE",
            Class::Coldline => "COLDLINE",
            Class::Archive => "ARCHIVE",
        }
    }

    /// As its service writes it.
    pub const fn on_wire(self) -> &'static str {
        match self {
            Class::Hot => "Hot",
            Class::Cool => "Cool",
            Class::Cold => "Cold",
            Class::Frozen => "Archive",
            other => other.as_str(),
        }
    }

    /// For how many days an object in it is paid, also when it is deleted or moved before.
    pub const fn paid_days(self) -> u16 {
        match self {
            Class::Standard | Class::IntelligentTiering | Class::Hot => 0,
            Class::StandardIa | Class::OnezoneIa | Class::Cool | Class::Nearline => 30,
            Class::GlacierIr | Class::Glacier | Class::Cold | Class::Coldline => 90,
            Class::DeepArchive | Class::Frozen => 180,
            Class::Archive => 365,
        }
    }

    /// Of two classes that one store can have.
    pub fn is_colder_than(self, other: StorageClass) -> bool {
        ClassFamily::ALL.iter().any(|family| family.is_colder(self, other))
    }

    /// Whether an object in it must be requested and waited for before it can be read.
    pub const fn needs_thaw(self) -> bool {
        matches!(self, Class::Glacier | Class::DeepArchive | Class::Frozen)
    }

    /// How long a request takes, at most as its service says; nothing where it cannot be asked for in that haste, or need not be.
    pub const fn thaws_within(self, haste: Haste) -> Option<Duration> {
        match (self, haste) {
            (Class::Glacier, Haste::Expedited) => Some(Duration::from_mins(5)),
            (Class::Glacier, Haste::Standard) => Some(Duration::from_hours(5)),
            (Class::Glacier, Haste::Bulk) => Some(Duration::from_hours(12)),
            (Class::DeepArchive, Haste::Standard) => Some(Duration::from_hours(12)),
            (Class::DeepArchive, Haste::Bulk) => Some(Duration::from_hours(48)),
            (Class::Frozen, Haste::Expedited) => Some(Duration::from_hours(1)),
            (Class::Frozen, Haste::Standard) => Some(Duration::from_hours(15)),
            _ => None,
        }
    }
}

impl Haste {
    pub const ALL: [Haste; 3] = [Haste::Expedited, Haste::Standard, Haste::Bulk];

    pub const fn as_str(self) -> &'static str {
        match self {
            Haste::Expedited => "expedited",
            Haste::Standard => "standard",
            Haste::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Haste {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StorageClass {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Class::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
            QuantityError::new(
                QuantityFault::Form,
                format!("`{}` is no storage class", clipped(text)),
                format!("The classes are {}.", all.join(", ")),
            )
        })
    }
}

super::text_form!(StorageClass, name: "StorageClass", format: "storage-class",
    pattern: "^(STANDARD|STANDARD_IA|INTELLIGENT_TIERING|ONEZONE_IA|GLACIER_IR|GLACIER|DEEP_ARCHIVE|hot|cool|cold|archive|NEARLINE|COLDLINE|ARCHIVE)$",
    examples: ["STANDARD_IA", "GLACIER", "archive", "COLDLINE"],
    about: "A storage class of S3, of Azure or of Google's storage.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_spelled_and_ranked() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse::<Class>().expect("it is one"), class);
            assert!(ClassFamily::ALL.iter().any(|family| family.class_of_wire(class.on_wire()) == Some(class)), "{class}");
            assert_eq!(class.needs_thaw(), class.thaws_within(Haste::Standard).is_some(), "{class}");
        }
        assert!("glacier".parse::<Class>().is_err() && "Archive".parse::<Class>().is_err());
        assert!(ClassFamily::S3.is_colder(Class::DeepArchive, Class::Glacier));
        assert!(!ClassFamily::S3.is_colder(Class::Standard, Class::Standard));
        assert!(!ClassFamily::S3.is_colder(Class::Archive, Class::Standard), "another family's is neither colder nor warmer");
        assert_eq!(ClassFamily::Azure.class_of_wire("Archive"), Some(Class::Frozen));
        assert_eq!(ClassFamily::Gcs.class("archive"), None);
    }
}
