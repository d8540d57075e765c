//! Functions, each checked for what it is given.

use super::render::{Written, case, kind_of, matched, text_of, write};
use super::{Expr, Function, Scope};
use crate::copy::translate::kind::{Class, Kind};

/// How many arguments a function takes.
fn arity(function: Function) -> (usize, usize) {
    use Function::*;
    match function {
        Abs | Round => (1, 2),
        Replace | If => (3, 3),
        Position | NullIf | Left => (2, 2),
        Substr => (2, 3),
        Coalesce | Concat => (1, 64),
        _ => (1, 1),
    }
}

fn make(function: Function, texts: &[String], class: Class, scope: &dyn Scope) -> Written {
    (scope.style().function)(function, texts)
        .map(|text| (text, class))
        .ok_or_else(|| "a function has no known equal there".to_owned())
}

/// A function with its arguments.
pub(super) fn call(function: Function, arguments: &[Expr], scope: &dyn Scope) -> Written {
    use Function::*;
    let (least, most) = arity(function);
    let [first, ..] = arguments else {
        return Err("a function without arguments is not known".into());
    };
    if arguments.len() < least || arguments.len() > most {
        return Err("a function with so many arguments is not known".into());
    }
    match function {
        Lower(_) | Upper(_) | Trim | TrimLeft | TrimRight | Replace | Concat => {
            make(function, &texts(arguments, scope)?, Class::Text, scope)
        }
        Length | Position => make(function, &texts(arguments, scope)?, Class::Number, scope),
        Bytes => match write(first, scope)? {
            (text, Class::Text | Class::Bytes) => make(function, &[text], Class::Number, scope),
            _ => Err("the bytes of something else than a text".into()),
        },
        Substr | Left => substr(function, arguments, scope),
        Abs | Round => rounded(function, arguments, scope),
        Coalesce | NullIf => chosen(function, arguments, scope),
        If => {
            let arms = [(first.clone(), arguments[1].clone())];
            case(None, &arms, Some(&arguments[2]), scope)
        }
        JsonValid => json_valid(first, scope),
        TypeOf => type_of(first, scope),
        Count => make(function, &[write(first, scope)?.0], Class::Number, scope),
        Min | Max => match write(first, scope)? {
            (_, Class::Bool) => Err("the least of booleans is not known".into()),
            (text, class) => make(function, &[text], class, scope),
        },
        Sum | Average => match write(first, scope)? {
            (text, Class::Number) => make(function, &[text], Class::Number, scope),
            _ => Err("a sum of something else than numbers".into()),
        },
    }
}

fn texts(arguments: &[Expr], scope: &dyn Scope) -> Result<Vec<String>, String> {
    arguments
        .iter()
        .map(|argument| text_of(argument, scope))
        .collect()
}

fn rounded(function: Function, arguments: &[Expr], scope: &dyn Scope) -> Written {
    let mut out = vec![];
    for argument in arguments {
        match write(argument, scope)? {
            (text, Class::Number) => out.push(text),
            _ => return Err("a function of numbers over something else".into()),
        }
    }
    // Rounding a double to digits is not the same everywhere, and not there on some sides.
    let exact = matches!(
        kind_of(&arguments[0], scope),
        Some(Kind::Int { .. } | Kind::Decimal { .. })
    );
    if function == Function::Round && !exact {
        return Err("a double is not rounded the same everywhere".into());
    }
    make(function, &out, Class::Number, scope)
}

/// The first that is not NULL, or NULL where two are equal.
fn chosen(function: Function, arguments: &[Expr], scope: &dyn Scope) -> Written {
    let all: Vec<&Expr> = arguments.iter().collect();
    let (texts, class) = matched(&all, scope)?;
    let class = match all.iter().find_map(|expr| kind_of(expr, scope)) {
        Some(kind) if kind.class() == Class::Bool && scope.style().booleans => Class::Bool,
        Some(kind) if class == Class::Open => kind.class(),
        _ => class,
    };
    make(function, &texts, class, scope)
}

fn json_valid(argument: &Expr, scope: &dyn Scope) -> Written {
    let (text, _) = write(argument, scope)?;
    if let Some(Kind::Json { .. }) = kind_of(argument, scope) {
        // Of its type already; NULL stays NULL.
        return Ok((format!("({text} IS NOT NULL OR NULL)"), Class::Bool));
    }
    make(Function::JsonValid, &[text], Class::Bool, scope)
}

fn substr(function: Function, arguments: &[Expr], scope: &dyn Scope) -> Written {
    let (first, rest) = arguments
        .split_first()
        .ok_or("a function without its arguments")?;
    let mut texts = vec![text_of(first, scope)?];
    for (at, argument) in rest.iter().enumerate() {
        // A place of 0 or less means something else on each side.
        match argument {
            Expr::Number(text)
                if text
                    .parse::<u32>()
                    .is_ok_and(|n| n > 0 || at > 0 || function == Function::Left) =>
            {
                texts.push(text.clone());
            }
            _ => return Err("a part of a text from a place that is not a plain number".into()),
        }
    }
    if texts.len() < 2 || texts.len() > 3 {
        return Err("a function with so many arguments is not known".into());
    }
    (scope.style().function)(function, &texts)
        .map(|text| (text, Class::Text))
        .ok_or_else(|| "a function has no known equal there".into())
}

/// The class of a value, known where the column's type is one of its own.
fn type_of(argument: &Expr, scope: &dyn Scope) -> Written {
    let word = match kind_of(argument, scope) {
        Some(Kind::Int { .. } | Kind::Bool) => "integer",
        Some(Kind::Float { .. }) => "real",
        Some(Kind::Text { .. }) => "text",
        Some(Kind::Bytes { .. }) => "blob",
        _ => return Err("the class of a value is not known there".into()),
    };
    let (text, _) = write(argument, scope)?;
    let quoted = scope.style().text;
    Ok((
        format!(
            "CASE WHEN {text} IS NULL THEN {} ELSE {} END",
            quoted("null"),
            quoted(word)
        ),
        Class::Text,
    ))
}
