//! The rooms of the house, lowest first, and what each may use. docs/architecture.md says why.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Decides. No clock, no environment, no disk, no network.
    Core,
    /// Bytes in, bytes out.
    Format,
    /// The only places with side effects.
    Driver,
    /// Puts the others together for people and for PostgreSQL.
    Shell,
}

#[derive(Debug)]
pub(super) struct Room {
    pub name: &'static str,
    pub kind: Kind,
    /// Rooms by name.
    rooms: &'static [&'static str],
    /// All rooms of these kinds.
    kinds: &'static [Kind],
}

const fn room(name: &'static str, kind: Kind, rooms: &'static [&'static str]) -> Room {
    Room { name, kind, rooms, kinds: &[] }
}

pub(super) const ROOMS: &[Room] = &[
    room("units", Kind::Core, &[]),
    room("schedule", Kind::Core, &["units"]),
    room("inventory", Kind::Core, &["units"]),
    room("retention", Kind::Core, &["units", "inventory", "schedule"]),
    room("recovery", Kind::Core, &["units", "inventory"]),
    room("policy", Kind::Core, &["units", "inventory", "schedule", "retention"]),
    room("objectives", Kind::Core, &["units", "inventory", "schedule", "retention", "recovery", "policy"]),
    room("proof", Kind::Core, &["units", "inventory", "schedule", "retention", "policy"]),
    room("evidence", Kind::Core, &["units", "inventory", "schedule", "policy", "objectives"]),
    room("plan", Kind::Core, &["units", "inventory", "schedule", "retention", "recovery", "policy", "objectives", "evidence"]),
    room("alert", Kind::Core, &["units", "inventory", "schedule", "policy", "evidence", "plan"]),
    room("diff", Kind::Core, &["units", "inventory", "schedule", "retention", "recovery", "policy", "objectives", "plan", "alert"]),
    room("converge", Kind::Core, &["units", "inventory", "policy", "plan"]),
    room("message", Kind::Core, &["units", "schedule", "policy", "alert"]),
    room("format", Kind::Format, &["units", "inventory"]),
    room("world", Kind::Driver, &["units"]),
    room("store", Kind::Driver, &["units", "world"]),
    room("postgres", Kind::Driver, &["units", "world"]),
    room("timescale", Kind::Driver, &["units", "inventory", "postgres"]),
    room("pipeline", Kind::Driver, &["units", "inventory", "format", "store", "world"]),
    room("catalog", Kind::Driver, &["units", "format", "world", "postgres"]),
    room("notify", Kind::Driver, &["units", "schedule", "policy", "alert", "message", "catalog", "world"]),
    Room { name: "report", kind: Kind::Shell, rooms: &["catalog"], kinds: &[Kind::Core] },
    Room { name: "site", kind: Kind::Shell, rooms: &[], kinds: &[Kind::Core, Kind::Format, Kind::Driver] },
    room("wal", Kind::Shell, &["units", "inventory", "format", "pipeline", "store", "world"]),
    Room { name: "observe", kind: Kind::Shell, rooms: &["site"], kinds: &[Kind::Core, Kind::Format, Kind::Driver] },
    Room { name: "verify", kind: Kind::Shell, rooms: &["site", "observe"], kinds: &[Kind::Core, Kind::Format, Kind::Driver] },
    Room {
        name: "execute",
        kind: Kind::Shell,
        rooms: &["site", "observe", "verify", "wal", "report"],
        kinds: &[Kind::Core, Kind::Format, Kind::Driver],
    },
    Room { name: "emit", kind: Kind::Shell, rooms: &[], kinds: &[Kind::Core] },
    Room {
        name: "cli",
        kind: Kind::Shell,
        rooms: &["site", "observe", "verify", "execute", "wal", "emit", "report"],
        kinds: &[Kind::Core, Kind::Format, Kind::Driver],
    },
];

pub(super) fn named(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

impl Room {
    pub(super) fn uses(&self) -> impl Iterator<Item = &'static str> {
        ROOMS.iter().filter(|other| self.rooms.contains(&other.name) || self.kinds.contains(&other.kind)).map(|other| other.name)
    }

    pub(super) fn may_use(&self, other: &str) -> bool {
        self.name == other || self.uses().any(|used| used == other)
    }
}
