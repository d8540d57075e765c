//! Comparisons: operators, NULL, lists, ranges and patterns.

use super::parse::{Parsed, Parser, binary};
use super::{Expr, LikeKind, Op};

impl Parser<'_> {
    pub(super) fn comparison(&mut self) -> Parsed<Expr> {
        let mut left = self.sum()?;
        loop {
            let Some(next) = self.comparison_after(&left)? else {
                return Ok(left);
            };
            left = next;
        }
    }

    pub(super) fn comparison_after(&mut self, left: &Expr) -> Parsed<Option<Expr>> {
        const OPS: [(&str, Op); 9] = [
            ("==", Op::Equal),
            ("=", Op::Equal),
            ("<>", Op::Unequal),
            ("!=", Op::Unequal),
            ("<=>", Op::Same),
            ("<=", Op::LessEqual),
            (">=", Op::GreaterEqual),
            ("<", Op::Less),
            (">", Op::Greater),
        ];
        let boxed = || Box::new(left.clone());
        if let Some(op) = self.operator(&OPS) {
            if self.eat("ANY") {
                let list = self.array()?;
                return match op {
                    Op::Equal => Ok(Some(Expr::In(false, boxed(), list))),
                    _ => Err("a comparison with ANY is not known".into()),
                };
            }
            if op == Op::Unequal && self.eat("ALL") {
                let list = self.array()?;
                return Ok(Some(Expr::In(true, boxed(), list)));
            }
            let right = self.sum()?;
            return Ok(Some(binary(op, left.clone(), right)));
        }
        if self.eat("IS") {
            let negated = self.eat("NOT");
            if self.eat("NULL") {
                return Ok(Some(Expr::IsNull(negated, boxed())));
            }
            if self.eat_all(&["DISTINCT", "FROM"]) {
                let op = if negated { Op::Same } else { Op::NotSame };
                return Ok(Some(binary(op, left.clone(), self.sum()?)));
            }
            let op = if negated { Op::NotSame } else { Op::Same };
            return Ok(Some(binary(op, left.clone(), self.sum()?)));
        }
        if self.eat("ISNULL") {
            return Ok(Some(Expr::IsNull(false, boxed())));
        }
        if self.eat("NOTNULL") || self.eat_all(&["NOT", "NULL"]) {
            return Ok(Some(Expr::IsNull(true, boxed())));
        }
        let start = self.at;
        let negated = self.eat("NOT");
        if self.eat("IN") {
            let list = self.list()?;
            return Ok(Some(Expr::In(negated, boxed(), list)));
        }
        if self.eat("BETWEEN") {
            let low = self.sum()?;
            self.want("AND")?;
            let high = self.sum()?;
            return Ok(Some(Expr::Between(
                negated,
                boxed(),
                Box::new(low),
                Box::new(high),
            )));
        }
        if let Some(like) = self.like(negated, left)? {
            return Ok(Some(like));
        }
        self.at = start;
        Ok(None)
    }

    pub(super) fn like(&mut self, mut negated: bool, left: &Expr) -> Parsed<Option<Expr>> {
        let (folds, escape) = self.dialect.copy().style().like;
        let mut kind = if self.eat("LIKE") || self.joined_operator("~~") {
            LikeKind::Like { folds, escape }
        } else if self.eat("GLOB") {
            LikeKind::Glob
        } else if self.joined_operator("!~~") {
            negated = true;
            LikeKind::Like { folds, escape }
        } else if self.joined_operator("~") {
            LikeKind::Regex
        } else {
            return Ok(None);
        };
        let pattern = self.sum()?;
        if self.eat("ESCAPE") {
            match (&mut kind, self.primary()?) {
                (LikeKind::Like { escape, .. }, Expr::Text(text)) => *escape = text.chars().next(),
                _ => return Err("this ESCAPE is not known".into()),
            }
        }
        Ok(Some(Expr::Like(
            negated,
            Box::new(left.clone()),
            Box::new(pattern),
            kind,
        )))
    }
}
