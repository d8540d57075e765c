//! Whether there is room where something will be written.

use super::{Checked, size};

/// The code of its page.
pub const CODE: &str = "disk-space";

/// A folder in which something will be written.
#[derive(Debug, Clone)]
pub struct Room {
    /// What is looked at: `disk`, `disk-server`.
    pub id: String,
    /// The folder, as shown to people.
    pub folder: String,
    /// What is written there.
    pub what: String,
    /// How much that is; `None`: not known.
    pub needed: Option<u64>,
    /// What must be free in any case.
    pub at_least: u64,
    /// What is free; an error: why it cannot be told.
    pub free: Result<u64, String>,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            id: "disk".into(),
            folder: String::new(),
            what: String::new(),
            needed: None,
            at_least: 0,
            free: Ok(0),
        }
    }
}

/// Whether it is enough.
pub fn check(room: &Room) -> Checked {
    let free = match &room.free {
        Ok(free) => *free,
        Err(why) => return Checked::not_run(&room.id, CODE, why),
    };
    let needed = room.needed.unwrap_or(0).max(room.at_least);
    let there = format!("{} free in `{}`", size(free), room.folder);
    if free < needed {
        let message = format!("only {there}, {} needed for {}", size(needed), room.what);
        return Checked::failed(&room.id, CODE, message).help(match room.id.as_str() {
            "disk" => "make room where the server keeps its data",
            _ => "make room there, or name another folder (`backup_dir`)",
        });
    }
    let message = match room.needed {
        Some(_) => format!("{there}, {} needed for {}", size(needed), room.what),
        None => format!("{there}; how much is needed for {} is not known", room.what),
    };
    Checked::passed(&room.id, CODE, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::evidence::CheckOutcome::{Failed, NotRun, Passed};

    #[test]
    fn the_border_is_the_need_or_the_least_whichever_is_more() {
        let of = |needed: Option<u64>, at_least: u64, free: u64| {
            let room = Room {
                id: "disk".into(),
                needed,
                at_least,
                free: Ok(free),
                ..Room::default()
            };
            check(&room).outcome
        };
        assert_eq!(of(Some(100), 0, 100), Passed);
        assert_eq!(of(Some(100), 0, 99), Failed);
        assert_eq!(of(Some(100), 200, 199), Failed);
        assert_eq!(of(Some(100), 200, 200), Passed);
        assert_eq!(of(None, 0, 0), Passed);
        let unknown = Room {
            free: Err("the server is elsewhere".into()),
            ..Room::default()
        };
        assert_eq!(check(&unknown).outcome, NotRun);
    }
}
