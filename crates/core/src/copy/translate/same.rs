//! The same engine, or a close relative: the catalog goes over as it is, and so does every cell.

use super::Work;
use super::kind::Kind;
use crate::copy::plan::{Bounds, ColumnPlan, CopyPlan, CounterPlan, TablePlan};
use crate::dialect::tried::mentions;
use crate::finding::Finding;
use crate::schema::render::heirs_of;
use crate::schema::{Catalog, NeutralType, Table};

impl Work<'_> {
    pub(super) fn same(mut self) -> (CopyPlan, Vec<Finding>) {
        let mut catalog = self.source.clone();
        catalog.engine = self.to.engine.to_string();
        let foreign: Vec<usize> = (0..catalog.tables.len())
            .filter(|at| catalog.tables[*at].options.contains_key("server"))
            .collect();
        for at in foreign.into_iter().rev() {
            let table = catalog.tables.remove(at);
            self.notes.lack(
                format!("table {}", table.label()),
                "the rows of a foreign table are on another server",
                None,
            );
        }
        self.write
            .adapt(&mut catalog, self.from, self.to, &mut self.notes);
        let tables = self.source.tables.iter().filter_map(|table| {
            let made = catalog.table(table.schema.as_deref(), &table.name)?;
            Some((table, made))
        });
        let mut plans = vec![];
        let mut missing = vec![];
        for (table, made) in tables {
            if let Some(why) = self.read.left_out(self.source, table) {
                // A partition's rows come with its root: nothing is lost.
                if !table.options.contains_key("partition") {
                    missing.push((table, why));
                }
                continue;
            }
            plans.push(self.same_table(table, made, &catalog));
        }
        for (table, why) in missing {
            let object = format!("table {}", table.label());
            self.notes.lack(object, why, table.definition.clone());
            self.without(&mut catalog, &table.name);
        }
        for what in &self.source.unseen {
            self.notes.findings.push(Finding::warning(
                "not-visible",
                crate::finding::Place::object(what),
                format!("{what} of the source are not visible with this user's rights, and cannot be carried"),
            ));
        }
        let plan = CopyPlan {
            catalog,
            tables: plans,
            not_carried: self.notes.lacks,
        };
        (plan, self.notes.findings)
    }

    /// Takes a table that stays behind out of what is made, and what speaks of it: a trigger would refuse every row of its own
    /// table there.
    fn without(&mut self, catalog: &mut Catalog, name: &str) {
        let why = format!("it speaks of {name}, which is not carried");
        let word = name.to_lowercase();
        let speaks = |text: &str| mentions(&text.to_lowercase(), &word);
        catalog.tables.retain(|table| table.name != name);
        for table in &mut catalog.tables {
            let label = table.label();
            for trigger in table.triggers.extract_if(.., |own| speaks(&own.definition)) {
                let object = format!("trigger {} of {label}", trigger.name);
                self.notes.lack(object, &why, Some(trigger.definition));
            }
        }
        for view in catalog
            .views
            .extract_if(.., |view| speaks(&view.definition))
        {
            let object = format!("view {}", view.name);
            self.notes.lack(object, &why, Some(view.definition));
        }
    }

    fn same_table(&self, table: &Table, made: &Table, catalog: &Catalog) -> TablePlan {
        let columns = table
            .columns
            .iter()
            .zip(&made.columns)
            .filter(|(_, to)| to.generated.is_none())
            .map(|(from, to)| {
                let alike = from.native == to.native;
                ColumnPlan {
                    source: from.name.clone(),
                    source_native: from.native.clone(),
                    source_type: from.neutral.clone(),
                    target: to.name.clone(),
                    target_native: to.native.clone(),
                    ty: to.neutral.clone(),
                    bounds: Bounds {
                        nul: true,
                        labels: match self.write.forced(&to.native).0 {
                            Kind::Enum { labels, .. } => Some(labels),
                            _ => None,
                        },
                        ..Bounds::default()
                    },
                    nullable: to.nullable,
                    epoch: None,
                    as_is: alike,
                    why: if alike {
                        "the same engine".into()
                    } else {
                        format!("declared {}, which the target has not", from.native)
                    },
                    kind: (!alike).then_some(match to.neutral {
                        NeutralType::Json => "json-as-text",
                        _ => "other-as-text",
                    }),
                    misfits: 0,
                }
            })
            .collect();
        let label = made.label();
        let heir = |other: &Table| {
            !other.options.contains_key("partition") && heirs_of(other).contains(&label)
        };
        let counters = made
            .columns
            .iter()
            .filter(|column| self.write.counter(catalog, made, column).is_some())
            .map(|column| CounterPlan {
                column: column.name.clone(),
                next: None,
            })
            .collect();
        TablePlan {
            source: (table.schema.clone(), table.name.clone()),
            target: (made.schema.clone(), made.name.clone()),
            columns,
            counters,
            inherited: catalog.tables.iter().any(heir),
        }
    }
}
