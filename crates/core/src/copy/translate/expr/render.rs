//! Writing an expression for the target, checked against what its columns are there.

use super::call::call;
use super::value::{boolean, literal_as};
use super::{Cast, Expr, Function, LikeKind, Now, Op, Style};
use crate::copy::translate::kind::{Class, Kind};

/// A column as the target has it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name there.
    pub name: String,
    /// What it is there.
    pub kind: Kind,
}

/// What an expression stands in.
pub trait Scope {
    /// The column of this name in the source; the qualifier is a table or an alias.
    fn column(&self, qualifier: Option<&str>, name: &str) -> Option<Column>;
    /// What a qualifier is called in the target; `None`: it is left out.
    fn qualifier(&self, qualifier: &str) -> Option<String>;
    /// How the target spells.
    fn style(&self) -> &Style;
    /// The present moment as a value of this kind.
    fn now(&self, now: Now, kind: &Kind) -> Option<String>;
}

pub(in crate::copy::translate) type Written = Result<(String, Class), String>;

/// The expression as a condition: its value is true, false or NULL.
pub fn predicate(expr: &Expr, scope: &dyn Scope) -> Result<String, String> {
    let (text, class) = write(expr, scope)?;
    truth(text, class)
}

/// The expression as a value of a kind.
pub fn value(expr: &Expr, kind: &Kind, scope: &dyn Scope) -> Result<String, String> {
    let wanted = kind.class();
    if let Expr::Now(now) = expr {
        return scope
            .now(*now, kind)
            .ok_or_else(|| "the present moment in this form is not known".to_owned());
    }
    if let Some(text) = literal_as(expr, kind, scope)? {
        return Ok(text);
    }
    let (text, class) = write(expr, scope)?;
    let same = class == wanted || class == Class::Open;
    let number_as_bool = wanted == Class::Bool && class == Class::Number;
    let bool_as_number = wanted == Class::Number && class == Class::Bool;
    if same {
        Ok(text)
    } else if number_as_bool {
        truth(text, class)
    } else if bool_as_number && !scope.style().booleans {
        Ok(text)
    } else if bool_as_number {
        Ok(format!(
            "CASE WHEN {text} THEN 1 WHEN NOT {text} THEN 0 END"
        ))
    } else {
        Err(format!(
            "it yields {} where the column holds {}",
            people(class),
            people(wanted)
        ))
    }
}

fn people(class: Class) -> &'static str {
    match class {
        Class::Open => "NULL",
        Class::Bool => "booleans",
        Class::Number => "numbers",
        Class::Text => "texts",
        Class::Bytes => "bytes",
        Class::Moment => "days or times",
        Class::Other => "values of another type",
    }
}

fn truth(text: String, class: Class) -> Result<String, String> {
    match class {
        Class::Bool | Class::Open => Ok(text),
        // A number is no condition on some sides, and means this on all others.
        Class::Number => Ok(format!("({text}) <> 0")),
        class => Err(format!("{} as a condition are not known", people(class))),
    }
}

pub(in crate::copy::translate) fn write(expr: &Expr, scope: &dyn Scope) -> Written {
    let style = scope.style();
    match expr {
        Expr::Null => Ok(("NULL".into(), Class::Open)),
        Expr::Bool(value) => Ok((boolean(*value, style), Class::Bool)),
        Expr::Number(text) => Ok((text.clone(), Class::Number)),
        Expr::Text(text) => Ok(((style.text)(text), Class::Text)),
        Expr::Bytes(bytes) => Ok(((style.bytes)(bytes), Class::Bytes)),
        Expr::Column(qualifier, name) => column(qualifier.as_deref(), name, scope),
        Expr::Now(_) => Err("the present moment within an expression is not known".into()),
        Expr::Minus(inner) => match write(inner, scope)? {
            (text, Class::Number) => Ok((format!("- ({text})"), Class::Number)),
            _ => Err("a sign before something else than a number".into()),
        },
        Expr::Not(inner) => Ok((format!("NOT ({})", predicate(inner, scope)?), Class::Bool)),
        Expr::Binary(op, left, right) => operator(*op, left, right, scope),
        Expr::Call(function, arguments) => call(*function, arguments, scope),
        Expr::CountAll => Ok(("count(*)".into(), Class::Number)),
        Expr::IsNull(negated, inner) => {
            let (text, _) = write(inner, scope)?;
            let not = if *negated { " NOT" } else { "" };
            Ok((format!("({text} IS{not} NULL)"), Class::Bool))
        }
        Expr::In(negated, left, list) => {
            let mut all: Vec<&Expr> = vec![left];
            all.extend(list);
            let (texts, _) = matched(&all, scope)?;
            let not = if *negated { " NOT" } else { "" };
            let [first, rest @ ..] = texts.as_slice() else {
                return Err("an empty list is not known".into());
            };
            if rest.is_empty() {
                return Err("an empty list is not known".into());
            }
            Ok((
                format!("({first}{not} IN ({}))", rest.join(", ")),
                Class::Bool,
            ))
        }
        Expr::Between(negated, of, low, high) => {
            let (texts, _) = matched(&[of, low, high], scope)?;
            let not = if *negated { " NOT" } else { "" };
            Ok((
                format!("({}{not} BETWEEN {} AND {})", texts[0], texts[1], texts[2]),
                Class::Bool,
            ))
        }
        Expr::Like(negated, of, pattern, kind) => like(*negated, of, pattern, *kind, scope),
        Expr::Case(subject, arms, other) => case(subject.as_deref(), arms, other.as_deref(), scope),
        Expr::Cast(inner, to) => cast(inner, *to, scope),
    }
}

fn column(qualifier: Option<&str>, name: &str, scope: &dyn Scope) -> Written {
    let found = scope
        .column(qualifier, name)
        .ok_or_else(|| format!("the column {name} is not there"))?;
    if matches!(found.kind, Kind::Decimal { .. }) && !scope.style().decimals {
        return Err(format!(
            "the decimals of {} are texts there, and compare as such",
            found.name
        ));
    }
    let quote = scope.style().quote;
    let text = match qualifier.and_then(|qualifier| scope.qualifier(qualifier)) {
        Some(qualifier) => format!("{}.{}", quote(&qualifier), quote(&found.name)),
        None => quote(&found.name),
    };
    let class = match found.kind.class() {
        Class::Bool if !scope.style().booleans => Class::Number,
        class => class,
    };
    Ok((text, class))
}

/// The kind of a column, for what is compared with it.
pub(super) fn kind_of(expr: &Expr, scope: &dyn Scope) -> Option<Kind> {
    match expr {
        Expr::Column(qualifier, name) => Some(scope.column(qualifier.as_deref(), name)?.kind),
        Expr::Cast(inner, Cast::Text) => {
            kind_of(inner, scope).filter(|kind| kind.class() == Class::Text)
        }
        _ => None,
    }
}

/// Operands that are compared with each other: literals are spelled as the column among them wants them.
pub(super) fn matched(all: &[&Expr], scope: &dyn Scope) -> Result<(Vec<String>, Class), String> {
    let kind = all.iter().find_map(|expr| kind_of(expr, scope));
    let (mut texts, mut classes) = (vec![], vec![]);
    for expr in all {
        if let Some(kind) = &kind
            && let Some(text) = compared(expr, kind, scope)?
        {
            texts.push(text);
            continue;
        }
        let (text, class) = write(expr, scope)?;
        texts.push(text);
        classes.push(class);
    }
    classes.retain(|class| *class != Class::Open);
    let first = classes.first().copied().unwrap_or(Class::Open);
    if classes.iter().any(|class| *class != first) {
        return Err(format!(
            "{} are compared with {}",
            people(first),
            people(
                *classes
                    .iter()
                    .find(|class| **class != first)
                    .unwrap_or(&first)
            )
        ));
    }
    Ok((texts, first))
}

/// A literal beside a column; `None`: it is none, or stands as it is.
fn compared(expr: &Expr, kind: &Kind, scope: &dyn Scope) -> Result<Option<String>, String> {
    match (expr, kind) {
        // A number with a fraction may be compared with whole ones.
        (Expr::Number(text), Kind::Int { .. }) => Ok(Some(text.clone())),
        (Expr::Number(_), Kind::Text { .. } | Kind::Any) => {
            Err("a text is compared with a number".into())
        }
        (Expr::Text(text), Kind::Int { .. } | Kind::Decimal { .. } | Kind::Float { .. })
            if text.trim().parse::<f64>().is_err() =>
        {
            Err("a number is compared with a text".into())
        }
        _ => literal_as(expr, kind, scope),
    }
}

fn operator(op: Op, left: &Expr, right: &Expr, scope: &dyn Scope) -> Written {
    let style = scope.style();
    let word = match op {
        Op::And | Op::Or => {
            let word = if op == Op::And { "AND" } else { "OR" };
            let (left, right) = (predicate(left, scope)?, predicate(right, scope)?);
            return Ok((format!("(({left}) {word} ({right}))"), Class::Bool));
        }
        Op::Concat => {
            let (left, right) = (text_of(left, scope)?, text_of(right, scope)?);
            return (style.function)(Function::Concat, &[left, right])
                .map(|text| (text, Class::Text))
                .ok_or_else(|| "putting texts together is not known".into());
        }
        Op::Plus | Op::Minus | Op::Times | Op::Divide | Op::Modulo => {
            return arithmetic(op, left, right, scope);
        }
        Op::Same | Op::NotSame => {
            let (texts, _) = matched(&[left, right], scope)?;
            let form = if op == Op::Same {
                style.same.0
            } else {
                style.same.1
            };
            return Ok((
                format!(
                    "({})",
                    form.replace("{0}", &texts[0]).replace("{1}", &texts[1])
                ),
                Class::Bool,
            ));
        }
        Op::Equal => "=",
        Op::Unequal => "<>",
        Op::Less => "<",
        Op::LessEqual => "<=",
        Op::Greater => ">",
        Op::GreaterEqual => ">=",
    };
    let (texts, _) = matched(&[left, right], scope)?;
    Ok((format!("({} {word} {})", texts[0], texts[1]), Class::Bool))
}

fn arithmetic(op: Op, left: &Expr, right: &Expr, scope: &dyn Scope) -> Written {
    let ((left, a), (right, b)) = (write(left, scope)?, write(right, scope)?);
    let number = |class| matches!(class, Class::Number | Class::Open);
    if !number(a) || !number(b) {
        return Err("arithmetic with something else than numbers".into());
    }
    let word = match op {
        Op::Plus => "+",
        Op::Minus => "-",
        Op::Times => "*",
        Op::Modulo => "%",
        _ if scope.style().cuts => "/",
        _ => return Err("a division does not mean the same there".into()),
    };
    Ok((format!("({left} {word} {right})"), Class::Number))
}

/// An operand that is text, or can be spelled as one without doubt.
pub(super) fn text_of(expr: &Expr, scope: &dyn Scope) -> Result<String, String> {
    if let Some(Kind::Enum { .. }) = kind_of(expr, scope) {
        let (text, _) = write(expr, scope)?;
        return (scope.style().cast)(Cast::Text, &text)
            .ok_or_else(|| "a label as text is not known".to_owned());
    }
    match write(expr, scope)? {
        (text, Class::Text | Class::Open) => Ok(text),
        (text, Class::Number) if matches!(kind_of(expr, scope), Some(Kind::Int { .. })) => {
            (scope.style().cast)(Cast::Text, &text).ok_or_else(|| "a number as text".to_owned())
        }
        (_, class) => Err(format!("{} stand where a text does", people(class))),
    }
}

fn like(negated: bool, of: &Expr, pattern: &Expr, kind: LikeKind, scope: &dyn Scope) -> Written {
    let Expr::Text(pattern) = pattern else {
        return Err("a pattern that is no literal is not known".into());
    };
    let of = text_of(of, scope)?;
    (scope.style().pattern)(negated, &of, pattern, kind)
        .map(|text| (text, Class::Bool))
        .ok_or_else(|| "this pattern has no known equal".into())
}

pub(super) fn case(
    subject: Option<&Expr>,
    arms: &[(Expr, Expr)],
    other: Option<&Expr>,
    scope: &dyn Scope,
) -> Written {
    let outcomes: Vec<&Expr> = arms.iter().map(|(_, then)| then).chain(other).collect();
    let (texts, class) = matched(&outcomes, scope)?;
    let mut text = String::from("CASE");
    for ((when, _), then) in arms.iter().zip(&texts) {
        let when = match subject {
            Some(subject) => operator(Op::Equal, subject, when, scope)?.0,
            None => predicate(when, scope)?,
        };
        text.push_str(&format!(" WHEN {when} THEN {then}"));
    }
    if other.is_some()
        && let Some(last) = texts.last()
    {
        text.push_str(&format!(" ELSE {last}"));
    }
    text.push_str(" END");
    Ok((text, class))
}

fn cast(inner: &Expr, to: Cast, scope: &dyn Scope) -> Written {
    let (text, class) = write(inner, scope)?;
    let wanted = if to == Cast::Text {
        Class::Text
    } else {
        Class::Number
    };
    if to == Cast::Text && class == Class::Text {
        return match kind_of(inner, scope) {
            Some(Kind::Enum { .. }) => (scope.style().cast)(to, &text)
                .map(|text| (text, wanted))
                .ok_or_else(|| "a label as text is not known".into()),
            _ => Ok((text, class)),
        };
    }
    // What a cast makes of a text that is no number, or how it rounds, is not the same everywhere.
    let known = match to {
        Cast::Text => matches!(kind_of(inner, scope), Some(Kind::Int { .. })),
        Cast::Int => matches!(kind_of(inner, scope), Some(Kind::Int { .. } | Kind::Bool)),
        Cast::Float | Cast::Decimal => class == Class::Number,
    };
    if !known {
        return Err("this cast does not mean the same there".into());
    }
    (scope.style().cast)(to, &text)
        .map(|text| (text, wanted))
        .ok_or_else(|| "this cast has no known equal".into())
}
