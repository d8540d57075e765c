//! Whether a backup can be made where the plan asks for one.

use super::Checked;

/// The code of its page.
pub const CODE: &str = "backup-impossible";

/// What was found.
#[derive(Debug, Clone)]
pub struct Means {
    /// The plan asks for a backup of the database.
    pub is_asked: bool,
    /// It asks for checkpoints.
    pub checkpoints: bool,
    /// The folder.
    pub folder: String,
    /// It is there and may be written, or can be made; an error: why not.
    pub writable: Result<(), String>,
    /// The tools of which one makes the dump; empty: none is needed.
    pub tools: Vec<String>,
    /// The one that is there.
    pub tool: Option<String>,
}

/// Judges.
pub fn check(means: &Means) -> Checked {
    let id = "backup";
    if !means.is_asked && !means.checkpoints {
        return Checked::passed(id, CODE, "no phase asks for a backup of the database");
    }
    if let Err(why) = &means.writable {
        let what = if means.is_asked {
            "backup"
        } else {
            "checkpoint"
        };
        let message = format!("no {what} can be written to `{}`: {why}", means.folder);
        return Checked::failed(id, CODE, message)
            .help("give another folder (`backup_dir`), or the right to write there");
    }
    if !means.is_asked {
        return Checked::passed(id, CODE, format!("checkpoints, into `{}`", means.folder));
    }
    match (&means.tool, means.tools.is_empty()) {
        (None, false) => Checked::warned(
            id,
            CODE,
            format!(
                "none of {} is installed: Dunlin reads the rows itself",
                means.tools.join(", ")
            ),
        )
        .help("install the server's own tool where the backup must hold everything that it can"),
        (Some(tool), _) => Checked::passed(id, CODE, format!("by {tool}, into `{}`", means.folder)),
        (None, true) => Checked::passed(id, CODE, format!("into `{}`", means.folder)),
    }
}
