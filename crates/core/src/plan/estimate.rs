//! How long something may take: from the work that a statement has to do, the rows that are there, and rates that were
//! measured or assumed. Every figure says where it comes from and how far it may be off.

use crate::facts::TableSize;
use crate::sql::{Condition, Kind, ObjectKind, StatementClass};
use serde::{Deserialize, Serialize};

/// How long something may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// In milliseconds; `None`: not known.
    pub ms: Option<u64>,
    /// What the figure was made from, or why there is none.
    pub source: String,
    /// How far it may be off, as a share of it: 0.5 is half as long or half as long again, 4 is five times as long.
    /// `None`: not known.
    pub error: Option<f64>,
}

impl Estimate {
    /// A figure with its source.
    pub fn of(ms: u64, source: impl Into<String>, error: Option<f64>) -> Self {
        Estimate {
            ms: Some(ms),
            source: source.into(),
            error,
        }
    }

    /// No figure, and why.
    pub fn unknown(why: impl Into<String>) -> Self {
        Estimate {
            ms: None,
            source: why.into(),
            error: None,
        }
    }

    /// What the author states.
    pub fn by_author(duration: std::time::Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Estimate::of(ms, "the plan's author", None)
    }

    /// One thing made of several. Where some have no figure, the sum is of the others, and says of whom it is not;
    /// where none has one, there is none. `parts`: each with its name.
    pub fn sum<'a>(parts: impl IntoIterator<Item = (&'a str, &'a Estimate)>, of: &str) -> Self {
        let (mut ms, mut off, mut bounded) = (0_u64, 0.0, true);
        let (mut known, mut unknown): (usize, Vec<&str>) = (0, vec![]);
        let mut sources: Vec<&str> = vec![];
        for (name, part) in parts {
            let Some(own) = part.ms else {
                unknown.push(name);
                continue;
            };
            known += 1;
            ms = ms.saturating_add(own);
            match part.error {
                Some(error) => off += own as f64 * error,
                None => bounded &= own == 0,
            }
            if own > 0 && !sources.contains(&part.source.as_str()) {
                sources.push(&part.source);
            }
        }
        if known == 0 && !unknown.is_empty() {
            return Estimate::unknown(format!("none of its {of} has an estimate"));
        }
        let mut source = match sources.as_slice() {
            [one] => (*one).to_owned(),
            _ => format!("its {of} together"),
        };
        if !unknown.is_empty() {
            source.push_str(&format!("; without {}", few(&unknown)));
        }
        let error = match ms {
            0 => Some(0.0),
            _ => Some(round(off / ms as f64)),
        };
        Estimate {
            ms: Some(ms),
            source,
            error: error.filter(|_| bounded && unknown.is_empty()),
        }
    }
}

fn few(names: &[&str]) -> String {
    match names {
        [.., _, _, _, _, _] => format!("{} and {} more", names[..3].join(", "), names.len() - 3),
        _ => names.join(", "),
    }
}

fn round(share: f64) -> f64 {
    (share * 100.0).round() / 100.0
}

/// How fast a server works.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Rows that a statement reads in a second.
    pub scan: f64,
    /// Rows that a statement reads and writes anew in a second.
    pub rewrite: f64,
    /// How long a statement takes that touches no row, in milliseconds.
    pub trip_ms: f64,
    /// Where the rates come from.
    pub source: String,
    /// How far a scan's estimate may be off, as a share of it.
    pub scan_error: f64,
    /// How far a rewrite's may be off.
    pub rewrite_error: f64,
}

/// How many times slower rows are written anew than read, where only reading may be measured. Rule of thumb for one
/// core and a warm cache, and the reason why a rewrite's error is large.
const REWRITE_FACTOR: f64 = 6.7;

/// How far an estimate may be off that rests on a rule of thumb: five times as long, or a fifth.
const THUMB_ERROR: f64 = 4.0;

/// How far an estimate from a measured batch is off as a rule, as a share: the server's statistics by a fifth, and what
/// a statement does with a row by as much as a third more or less than comparing it.
const MEASURED_ERROR: f64 = 0.5;

impl Rates {
    /// Rules of thumb for one core and a warm cache.
    pub fn by_rule_of_thumb() -> Self {
        Rates {
            scan: 2_000_000.0,
            rewrite: 300_000.0,
            trip_ms: 1.0,
            source: "rule of thumb (2,000,000 rows read, 300,000 written in a second)".into(),
            scan_error: THUMB_ERROR,
            rewrite_error: THUMB_ERROR,
        }
    }

    /// From batches of `rows` rows that were read on the server itself, each with how long it took in milliseconds;
    /// `None` where that says nothing: no batch, no rows, or no time.
    pub fn measured(rows: u64, took_ms: &[f64], trip_ms: f64, table: &str) -> Option<Self> {
        let mut sorted: Vec<f64> = took_ms.iter().copied().filter(|ms| *ms > 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        let median = *sorted.get(sorted.len() / 2)?;
        // What the way there and back takes is no work on rows; a tenth at least is.
        let work = (median - trip_ms).max(median / 10.0);
        let scan = rows as f64 * 1_000.0 / work;
        if rows == 0 || !scan.is_finite() {
            return None;
        }
        let spread = (sorted.last()? - sorted.first()?) / median;
        let scan_error = round(MEASURED_ERROR + spread);
        Some(Rates {
            scan,
            rewrite: scan / REWRITE_FACTOR,
            trip_ms,
            source: format!(
                "measured on this server: {} rows a second, from {} batches of {rows} rows of {table}",
                scan.round(),
                sorted.len()
            ),
            scan_error,
            // Nothing may be written to measure it.
            rewrite_error: round(scan_error + 1.0),
        })
    }

    /// How long reading so many rows takes.
    pub fn scan_of(&self, rows: u64) -> Estimate {
        self.estimate(rows, self.scan, self.scan_error, "reads")
    }

    /// How long writing so many rows anew takes.
    pub fn rewrite_of(&self, rows: u64) -> Estimate {
        self.estimate(rows, self.rewrite, self.rewrite_error, "writes")
    }

    fn estimate(&self, rows: u64, rate: f64, error: f64, does: &str) -> Estimate {
        let ms = rows as f64 * 1_000.0 / rate + self.trip_ms;
        let source = format!("{does} about {rows} rows; {}", self.source);
        Estimate::of(ms.round() as u64, source, Some(error))
    }

    /// How long a statement takes that touches no row.
    pub fn trip(&self, why: &str) -> Estimate {
        Estimate::of(self.trip_ms.round() as u64, why, Some(THUMB_ERROR))
    }
}

/// What a statement has to do to the rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing, and why.
    None(&'static str),
    /// It reads them all, or those of an index.
    Scan,
    /// It may write them all anew.
    Rewrite,
    /// Nobody can tell.
    Unknown(&'static str),
}

/// What a statement has to do to the rows that are there.
pub fn work_of(class: &StatementClass) -> Work {
    let has = |code: &str| class.hazards.iter().any(|hazard| hazard.code == code);
    let makes_index = class
        .post
        .iter()
        .any(|done| matches!(done, Condition::Exists(object) if object.kind == ObjectKind::Index));
    match class.kind {
        Kind::Session | Kind::Transaction | Kind::Rights => Work::None("changes no rows"),
        Kind::CopyIn => Work::None("adds only the rows that it lists"),
        Kind::Dml if class.verb == "INSERT" && class.reads.is_empty() => {
            Work::None("adds only the rows that it lists")
        }
        Kind::Dml => Work::Rewrite,
        Kind::Query | Kind::Maintenance => Work::Scan,
        Kind::Call | Kind::Unknown => Work::Unknown("what it runs is not known"),
        Kind::Ddl if has("table-rewrite") || has("rebuild-loses-rows") => Work::Rewrite,
        Kind::Ddl if has("lock-table-scan") || makes_index => Work::Scan,
        Kind::Ddl => Work::None("changes the catalog only"),
    }
}

/// The tables that a statement works on, as far as they are among these.
pub fn tables_of<'s>(class: &StatementClass, sizes: &'s [TableSize]) -> Vec<&'s TableSize> {
    let mut found: Vec<&TableSize> = vec![];
    for object in class.touches.iter().chain(&class.reads) {
        let name = object.parent.as_deref().unwrap_or(&object.name);
        let size = sizes
            .iter()
            .find(|size| size.name.eq_ignore_ascii_case(name));
        if let Some(size) = size
            && !found.iter().any(|known| std::ptr::eq(*known, size))
        {
            found.push(size);
        }
    }
    found
}

/// How long a statement may take.
pub fn of_statement(class: &StatementClass, sizes: &[TableSize], rates: &Rates) -> Estimate {
    of_statement_after(class, sizes, rates, &[])
}

/// How long a statement may take, where some tables were made right before it and hold no rows.
pub fn of_statement_after(
    class: &StatementClass,
    sizes: &[TableSize],
    rates: &Rates,
    made: &[String],
) -> Estimate {
    let work = work_of(class);
    let is_made = |object: &crate::sql::ObjectRef| {
        let name = object.parent.as_deref().unwrap_or(&object.name);
        made.iter().any(|made| made.eq_ignore_ascii_case(name))
    };
    let mut named = class.touches.iter().chain(&class.reads).peekable();
    if named.peek().is_some() && named.all(is_made) && !matches!(work, Work::Unknown(_)) {
        return rates.trip("its tables have just been made and are empty");
    }
    match work {
        Work::None(why) => return rates.trip(why),
        Work::Unknown(why) => return Estimate::unknown(why),
        Work::Scan | Work::Rewrite => {}
    }
    let tables = tables_of(class, sizes);
    let rows = tables
        .iter()
        .filter_map(|size| size.rows)
        .reduce(u64::saturating_add);
    match (rows, work) {
        (None, _) => {
            Estimate::unknown("its tables are not there yet, or their sizes are not visible")
        }
        (Some(rows), Work::Scan) => rates.scan_of(rows),
        (Some(rows), _) => rates.rewrite_of(rows),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::postgres::Postgres;
    use crate::sql::LexMode;

    fn size(name: &str, rows: Option<u64>) -> TableSize {
        TableSize {
            schema: None,
            name: name.into(),
            rows,
            bytes: None,
            storage: None,
            transactional: true,
        }
    }

    fn of(sql: &str, sizes: &[TableSize]) -> Estimate {
        let class = Postgres.classify(sql, &LexMode::default());
        of_statement(&class, sizes, &Rates::by_rule_of_thumb())
    }

    #[test]
    fn rows_make_the_figure_and_the_source_names_them() {
        let sizes = [size("orders", Some(3_000_000)), size("other", None)];
        let seen = of("UPDATE orders SET a = 1", &sizes);
        assert_eq!(seen.ms, Some(10_001));
        assert!(seen.source.contains("3000000 rows"), "{seen:?}");
        assert!(seen.source.contains("rule of thumb"), "{seen:?}");
        assert_eq!(of("CREATE TABLE x (id int)", &sizes).ms, Some(1));
        assert_eq!(
            of("UPDATE other SET a = 1", &sizes).ms,
            None,
            "not counted yet"
        );
        assert_eq!(of("UPDATE nowhere SET a = 1", &sizes).ms, None);
        assert_eq!(of("CALL something()", &sizes).ms, None);
    }

    #[test]
    fn a_measured_rate_takes_the_way_there_off_and_says_how_far_it_spreads() {
        let rates = Rates::measured(10_000, &[12.0, 11.0, 13.0], 2.0, "orders").unwrap();
        assert_eq!(rates.scan.round(), 1_000_000.0);
        assert_eq!(rates.scan_error, 0.67, "a half, and 2 ms of 12");
        assert!(rates.rewrite < rates.scan && rates.rewrite_error > rates.scan_error);
        assert_eq!(rates.scan_of(1_000_000).ms, Some(1_002));
        assert!(rates.source.contains("measured on this server"));
        for (rows, took) in [(0, vec![1.0]), (10, vec![]), (10, vec![0.0])] {
            assert_eq!(
                Rates::measured(rows, &took, 0.1, "t"),
                None,
                "{rows} {took:?}"
            );
        }
    }

    #[test]
    fn a_sum_says_whom_it_leaves_out() {
        let known = Estimate::of(100, "measured", Some(0.5));
        let exact = Estimate::of(300, "measured", Some(0.1));
        let author = Estimate::of(50, "the plan's author", None);
        let none = Estimate::unknown("a person's work");
        let sum = Estimate::sum([("a", &known), ("b", &exact)], "steps");
        assert_eq!((sum.ms, sum.error), (Some(400), Some(0.2)));
        assert_eq!(sum.source, "measured");
        let sum = Estimate::sum([("a", &known), ("b", &author)], "steps");
        assert_eq!(
            (sum.ms, sum.error),
            (Some(150), None),
            "the author states no error"
        );
        let sum = Estimate::sum([("a", &known), ("by-hand", &none)], "steps");
        assert_eq!((sum.ms, sum.error), (Some(100), None));
        assert!(sum.source.ends_with("without by-hand"), "{}", sum.source);
        assert_eq!(Estimate::sum([("x", &none)], "steps").ms, None);
        assert_eq!(
            Estimate::sum([], "steps").ms,
            Some(0),
            "nothing takes no time"
        );
    }
}
