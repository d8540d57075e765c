//! Whether the server's clock and ours agree: windows, ages of backups and the journal's times rest on it.

use super::Checked;

/// The code of its page.
pub const CODE: &str = "clock-skew";

/// How far apart two clocks may be, in milliseconds: five seconds, more than a slow answer makes them seem apart.
pub const SKEW_MAX_MS: i64 = 5_000;

/// Compares: the server's clock, and ours before and after it was asked, in milliseconds. `None`: there is one clock.
pub fn check(server_ms: Option<i64>, before_ms: i64, after_ms: i64) -> Checked {
    let Some(server) = server_ms else {
        return Checked::passed("clock", CODE, "the database uses this machine's clock");
    };
    let skew = match server {
        ahead if ahead > after_ms => ahead - after_ms,
        behind if behind < before_ms => behind - before_ms,
        _ => 0,
    };
    let side = if skew > 0 { "ahead of" } else { "behind" };
    let apart = format!("{:.1} s", skew.unsigned_abs() as f64 / 1_000.0);
    if skew.abs() > SKEW_MAX_MS {
        return Checked::warned("clock", CODE, format!("the server's clock is {apart} {side} this machine's"))
            .help("set both by NTP: windows, ages of backups and the times in the journal are told by them");
    }
    Checked::passed("clock", CODE, format!("the clocks are {apart} apart"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::evidence::CheckOutcome::{Passed, Warned};

    #[test]
    fn the_border_is_five_seconds_beyond_the_time_it_took_to_ask() {
        for (server, outcome) in [
            (1_050, Passed),
            (6_100, Passed),
            (6_101, Warned),
            (-4_000, Passed),
            (-4_001, Warned),
        ] {
            assert_eq!(
                check(Some(server), 1_000, 1_100).outcome,
                outcome,
                "{server}"
            );
        }
        assert_eq!(check(None, 0, 0).outcome, Passed);
    }
}
