//! Values that are longer than the target takes: found where every value was looked at, and named before anything is touched.

use super::Job;
use dunlin_core::copy::plan::CopyPlan;
use dunlin_core::copy::policy::{Hazard, Policies, Policy};
use dunlin_core::copy::translate::Evidence;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::{Catalog, label};
use dunlin_engines::{DbError, Session};

/// What the target takes.
pub(super) struct Longest {
    most: Option<u64>,
    help: Option<&'static str>,
}

impl Longest {
    /// Asks it.
    pub(super) async fn ask(target: &mut dyn Session) -> Result<Longest, DbError> {
        let longest = target.dialect().bulk().longest();
        let rows = target.query(longest.query, &[]).await?;
        let most = rows.first().and_then(|row| row.first()?.as_i64());
        Ok(Longest {
            most: most.and_then(|most| u64::try_from(most).ok()),
            help: longest.help,
        })
    }
}

/// What is known of the source's values.
pub(super) struct Values<'s> {
    source: &'s Catalog,
    evidence: &'s Evidence,
    policies: &'s Policies,
}

impl<'s> Values<'s> {
    pub(super) fn new(source: &'s Catalog, evidence: &'s Evidence, job: &'s Job) -> Self {
        Values {
            source,
            evidence,
            policies: &job.policies,
        }
    }

    /// The longest value of a column, in bytes. `None`: nobody looked.
    fn of(&self, table: &(Option<String>, String), column: &str) -> Option<u64> {
        let table = self.source.table(table.0.as_deref(), &table.1)?;
        let at = table.columns.iter().position(|own| own.name == column)?;
        let profile = self.evidence.of(table, at)?;
        Some(profile.text_max.1.max(profile.blob_max))
    }

    /// Bounds columns by what the target takes, where values are longer. Under the policy `fail` each is an error.
    pub(super) fn check(&self, plan: &mut CopyPlan, longest: &Longest) -> Vec<Finding> {
        let Some(most) = longest.most else {
            return vec![];
        };
        let mut findings = vec![];
        for table in &mut plan.tables {
            let name = label(table.source.0.as_deref(), &table.source.1);
            for column in &mut table.columns {
                let found = self.of(&table.source, &column.source);
                let Some(found) = found.filter(|found| *found > most) else {
                    continue;
                };
                let bound = &mut column.bounds.bytes;
                *bound = Some(bound.map_or(most, |known| known.min(most)));
                column.misfits = column.misfits.max(1);
                let policy = self.policies.of(&name, &column.source, Hazard::TooLong);
                if policy != Policy::Fail {
                    continue;
                }
                let place = format!("{name}.{}", column.source);
                let message =
                    format!("{place}: a value has {found} bytes, and the target takes {most}");
                let aside = "`--policy too-long=reject` leaves such rows out and writes them down";
                let help = longest
                    .help
                    .map_or(aside.to_owned(), |help| format!("{help}; or {aside}"));
                let code = Hazard::TooLong.code();
                findings.push(Finding::error(code, Place::object(place), message).help(help));
            }
        }
        findings
    }
}
