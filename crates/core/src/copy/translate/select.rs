//! Views: a SELECT over tables that go over, read into its parts and written for the target.

use super::Work;
use super::expr::{self, Expr, Function, Now, Parser, Scope, Style, render};
use super::kind::Kind;
use crate::dialect::copy::CopyDialect;
use crate::schema::View;
use crate::schema::text::{Code, code};
use crate::sql::LexMode;
use crate::sql::lexer::TokenKind;

/// Words that end an item, and are no alias.
const WORDS: [&str; 20] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "JOIN",
    "LEFT",
    "INNER",
    "CROSS",
    "ON",
    "USING",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "AS",
    "NATURAL",
    "RIGHT",
    "FULL",
    "WINDOW",
];

/// An item of the list.
enum Item {
    /// `*`, or that of one table.
    All(Option<String>),
    /// An expression, and what it is called.
    One(Expr, String),
}

/// A table with its alias, how it is joined, and on what.
struct Source {
    at: usize,
    alias: String,
    join: &'static str,
    on: Option<Expr>,
}

struct Select {
    distinct: bool,
    items: Vec<Item>,
    sources: Vec<Source>,
    condition: Option<Expr>,
    groups: Vec<Expr>,
    having: Option<Expr>,
}

/// The columns of the tables of a SELECT.
struct OfSelect<'a, 'b> {
    work: &'a Work<'b>,
    sources: &'a [Source],
    write: &'static dyn CopyDialect,
}

impl Scope for OfSelect<'_, '_> {
    fn column(&self, qualifier: Option<&str>, name: &str) -> Option<expr::Column> {
        let mut found = self.sources.iter().filter_map(|source| {
            if qualifier.is_some_and(|qualifier| !qualifier.eq_ignore_ascii_case(&source.alias)) {
                return None;
            }
            let place = self.work.column_place(source.at, name)?;
            let column = &self.work.tables[source.at].columns[place];
            Some(expr::Column {
                name: column.name.clone(),
                kind: column.chosen.kind.clone(),
            })
        });
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    fn qualifier(&self, qualifier: &str) -> Option<String> {
        let source = self
            .sources
            .iter()
            .find(|source| source.alias.eq_ignore_ascii_case(qualifier))?;
        Some(source.alias.clone())
    }

    fn style(&self) -> &Style {
        self.write.style()
    }

    fn now(&self, now: Now, kind: &Kind) -> Option<String> {
        self.write.write_now(now, kind, self.work.to)
    }
}

/// Reads tokens of a view.
struct Reader<'a, 'b> {
    parser: Parser<'a>,
    work: &'a Work<'b>,
}

type Read<T> = Result<T, String>;

impl Work<'_> {
    /// The view in the target's words, under this name.
    pub(super) fn view_in(&self, view: &View, name: &str) -> Read<String> {
        if view.materialized {
            return Err("a view that stores its rows is not known".into());
        }
        let rules = self.reader.lex_rules(&LexMode::default());
        let tokens = code(&view.definition, &rules);
        let (names, from) = head(&tokens)?;
        let mut body = &tokens[from..];
        while body.last().is_some_and(|token| token.text == ";") {
            body = &body[..body.len() - 1];
        }
        let known = |word: &str| {
            self.tables.iter().any(|table| {
                self.source.tables[table.at]
                    .columns
                    .iter()
                    .any(|column| column.name.eq_ignore_ascii_case(word))
            })
        };
        let mut reader = Reader {
            parser: Parser::new(body, self.reader, &known),
            work: self,
        };
        let select = reader.select()?;
        if let Some(token) = reader.parser.peek() {
            return Err(format!("`{}` in a view is not known", token.text));
        }
        self.write_view(&select, names, name)
    }

    fn write_view(&self, select: &Select, names: Option<Vec<String>>, name: &str) -> Read<String> {
        let scope = OfSelect {
            work: self,
            sources: &select.sources,
            write: self.write,
        };
        let style = self.write.style();
        let mut items = self.items(select, &scope)?;
        if let Some(names) = names {
            if names.len() != items.len() {
                return Err("its list of columns is of another length".into());
            }
            for (item, name) in items.iter_mut().zip(names) {
                item.1 = name;
            }
        }
        let groups = select
            .groups
            .iter()
            .map(|expr| render::write(expr, &scope).map(|(text, _)| text))
            .collect::<Read<Vec<_>>>()?;
        let counts = items.iter().any(|(_, _, aggregate)| *aggregate);
        if (counts || !groups.is_empty())
            && items
                .iter()
                .any(|(text, _, aggregate)| !aggregate && !groups.contains(text))
        {
            return Err("a column beside an aggregate is not among its groups".into());
        }
        let list: Vec<String> = items
            .iter()
            .map(|(text, name, _)| format!("{text} AS {}", (style.quote)(name)))
            .collect();
        let distinct = if select.distinct { "DISTINCT " } else { "" };
        let mut text = format!("{distinct}{}\nFROM ", list.join(", "));
        for source in &select.sources {
            let table = &self.tables[source.at];
            let label = match &table.schema {
                Some(schema) => format!("{}.{}", (style.quote)(schema), (style.quote)(&table.name)),
                None => (style.quote)(&table.name),
            };
            text.push_str(&format!(
                "{}{label} AS {}",
                source.join,
                (style.quote)(&source.alias)
            ));
            if let Some(on) = &source.on {
                text.push_str(&format!(" ON {}", expr::predicate(on, &scope)?));
            }
        }
        if let Some(condition) = &select.condition {
            text.push_str(&format!("\nWHERE {}", expr::predicate(condition, &scope)?));
        }
        if !groups.is_empty() {
            text.push_str(&format!("\nGROUP BY {}", groups.join(", ")));
        }
        if let Some(having) = &select.having {
            text.push_str(&format!("\nHAVING {}", expr::predicate(having, &scope)?));
        }
        Ok(self.write.view(name, &text))
    }

    /// The items: text, name, and whether it is an aggregate.
    fn items(
        &self,
        select: &Select,
        scope: &OfSelect<'_, '_>,
    ) -> Read<Vec<(String, String, bool)>> {
        let quote = self.write.style().quote;
        let mut items = vec![];
        for item in &select.items {
            match item {
                Item::One(expr, name) => {
                    items.push((render::write(expr, scope)?.0, name.clone(), aggregate(expr)));
                }
                Item::All(of) => {
                    for source in &select.sources {
                        if of
                            .as_ref()
                            .is_some_and(|of| !of.eq_ignore_ascii_case(&source.alias))
                        {
                            continue;
                        }
                        for column in &self.tables[source.at].columns {
                            items.push((
                                format!("{}.{}", quote(&source.alias), quote(&column.name)),
                                column.name.clone(),
                                false,
                            ));
                        }
                    }
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some((_, name, _)) = items
            .iter()
            .find(|(_, name, _)| !seen.insert(name.to_lowercase()))
        {
            return Err(format!("two of its columns are called {name}"));
        }
        Ok(items)
    }
}

/// Whether rows are put together.
fn aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::CountAll => true,
        Expr::Call(function, arguments) => {
            matches!(
                function,
                Function::Count | Function::Sum | Function::Min | Function::Max | Function::Average
            ) || arguments.iter().any(aggregate)
        }
        Expr::Minus(inner) | Expr::Not(inner) | Expr::IsNull(_, inner) | Expr::Cast(inner, _) => {
            aggregate(inner)
        }
        Expr::Binary(_, left, right) => aggregate(left) || aggregate(right),
        Expr::Case(_, arms, other) => {
            arms.iter()
                .any(|(when, then)| aggregate(when) || aggregate(then))
                || other.as_deref().is_some_and(aggregate)
        }
        _ => false,
    }
}

/// The names of the columns, where the view lists them, and where its query begins.
fn head(tokens: &[Code<'_>]) -> Read<(Option<Vec<String>>, usize)> {
    let view = tokens
        .iter()
        .position(|token| token.is("VIEW"))
        .ok_or("it is no CREATE VIEW")?;
    let start = tokens
        .iter()
        .enumerate()
        .skip(view)
        .find(|(_, token)| token.is("AS"))
        .map(|(at, _)| at)
        .ok_or("it has no query")?;
    if tokens[..start].iter().any(|token| token.is("WITH")) {
        return Err("its options are not known".into());
    }
    let open = tokens[view..start]
        .iter()
        .position(|token| token.text == "(");
    let names = open.map(|open| {
        tokens[view + open..start]
            .iter()
            .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
            .map(Code::name)
            .collect()
    });
    Ok((names, start + 1))
}

impl Reader<'_, '_> {
    fn select(&mut self) -> Read<Select> {
        if !self.parser.eat("SELECT") {
            return Err("it is no plain SELECT".into());
        }
        let distinct = self.parser.eat("DISTINCT");
        let mut items = vec![];
        loop {
            items.push(self.item()?);
            if !self.parser.eat(",") {
                break;
            }
        }
        if !self.parser.eat("FROM") {
            return Err("a SELECT from no table is not known".into());
        }
        let mut sources = vec![];
        self.tables(&mut sources, "")?;
        let mut select = Select {
            distinct,
            items,
            sources,
            condition: None,
            groups: vec![],
            having: None,
        };
        if self.parser.eat("WHERE") {
            select.condition = Some(self.parser.expr()?);
        }
        if self.parser.eat_all(&["GROUP", "BY"]) {
            loop {
                select.groups.push(self.parser.expr()?);
                if !self.parser.eat(",") {
                    break;
                }
            }
        }
        if self.parser.eat("HAVING") {
            select.having = Some(self.parser.expr()?);
        }
        Ok(select)
    }

    fn item(&mut self) -> Read<Item> {
        if self.parser.eat("*") {
            return Ok(Item::All(None));
        }
        if let Some(table) = self.parser.all_of() {
            return Ok(Item::All(Some(table)));
        }
        let expr = self.parser.expr()?;
        let name = self.alias()?;
        let name = match (name, &expr) {
            (Some(name), _) => name,
            (None, Expr::Column(_, name)) => name.clone(),
            (None, _) => return Err("a column without a name is not known".into()),
        };
        Ok(Item::One(expr, name))
    }

    fn alias(&mut self) -> Read<Option<String>> {
        if self.parser.eat("AS") {
            return self
                .parser
                .name()
                .map(Some)
                .ok_or_else(|| "a name is missing behind AS".into());
        }
        let next = self.parser.peek().is_some_and(|token| {
            matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
                && !WORDS.iter().any(|word| token.is(word))
        });
        Ok(if next { self.parser.name() } else { None })
    }

    /// Tables joined from left to right, in brackets or without.
    fn tables(&mut self, sources: &mut Vec<Source>, join: &'static str) -> Read<()> {
        if self.parser.eat("(") {
            // Brackets around what is joined on the right would change its order.
            if !sources.is_empty() {
                return Err("joins in brackets are not known".into());
            }
            self.tables(sources, join)?;
            if !self.parser.eat(")") {
                return Err("a bracket of a join does not end".into());
            }
        } else {
            self.one(sources, join)?;
        }
        loop {
            let next = if self.parser.eat_all(&["LEFT", "JOIN"])
                || self.parser.eat_all(&["LEFT", "OUTER", "JOIN"])
            {
                "\nLEFT JOIN "
            } else if self.parser.eat("JOIN") || self.parser.eat_all(&["INNER", "JOIN"]) {
                "\nJOIN "
            } else if self.parser.eat_all(&["CROSS", "JOIN"]) || self.parser.eat(",") {
                "\nCROSS JOIN "
            } else {
                return Ok(());
            };
            let from = sources.len();
            self.one(sources, next)?;
            if self.parser.eat("ON") {
                let on = self.parser.expr()?;
                if let Some(last) = sources.get_mut(from) {
                    last.on = Some(on);
                }
            } else if next == "\nJOIN " {
                if let Some(last) = sources.get_mut(from) {
                    last.join = "\nCROSS JOIN ";
                }
            } else if next == "\nLEFT JOIN " {
                return Err("a join without ON is not known".into());
            }
        }
    }

    /// The one table on the right of a join.
    fn one(&mut self, sources: &mut Vec<Source>, join: &'static str) -> Read<()> {
        if self.parser.peek().is_some_and(|token| token.text == "(") {
            return Err("joins in brackets are not known".into());
        }
        let mut name = self.parser.name().ok_or("a table's name is missing")?;
        let mut schema = None;
        if self.parser.eat(".") {
            let own = self.parser.name().ok_or("a table's name is missing")?;
            schema = Some(std::mem::replace(&mut name, own));
        }
        let at = self
            .work
            .place(schema.as_deref(), &name)
            .ok_or_else(|| format!("{name} is no table that is copied"))?;
        let alias = self.alias()?.unwrap_or(name);
        sources.push(Source {
            at,
            alias,
            join,
            on: None,
        });
        Ok(())
    }
}
