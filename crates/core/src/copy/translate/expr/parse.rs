//! Reading an expression of the source.

use super::literal::{cast, literal, number};
use super::{Expr, Function, Now, Op};
use crate::dialect::Dialect;
use crate::schema::text::{Code, closing, code, items, joined};
use crate::sql::LexMode;
use crate::sql::lexer::TokenKind;

/// How deep brackets may be nested: what reads them calls itself.
const DEPTH: usize = 100;

/// Reads tokens of the source.
pub struct Parser<'a> {
    pub(super) tokens: &'a [Code<'a>],
    pub(super) at: usize,
    depth: usize,
    pub(super) dialect: &'a dyn Dialect,
    /// Whether a name is a column of what the expression is about.
    known: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Parser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parser at {} of {}", self.at, self.tokens.len())
    }
}

/// An error is a sentence's end: "… is not known".
pub type Parsed<T> = Result<T, String>;

/// Reads a whole expression. `known` tells names of columns from texts, where the engine confuses them.
pub fn parse(text: &str, dialect: &dyn Dialect, known: &dyn Fn(&str) -> bool) -> Parsed<Expr> {
    let rules = dialect.lex_rules(&LexMode::default());
    let tokens = code(text, &rules);
    let mut parser = Parser::new(&tokens, dialect, known);
    let expr = parser.expr()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("`{}` is not understood", token.text)),
    }
}

impl<'a> Parser<'a> {
    /// A reader of these tokens.
    pub fn new(
        tokens: &'a [Code<'a>],
        dialect: &'a dyn Dialect,
        known: &'a dyn Fn(&str) -> bool,
    ) -> Self {
        Parser {
            tokens,
            at: 0,
            depth: 0,
            dialect,
            known,
        }
    }

    /// The next token.
    pub fn peek(&self) -> Option<&'a Code<'a>> {
        self.tokens.get(self.at)
    }

    /// Where it stands.
    pub fn place(&self) -> usize {
        self.at
    }

    /// Takes this keyword or mark, if it is next.
    pub fn eat(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(word));
        self.at += usize::from(found);
        found
    }

    /// Takes these words, if all are next.
    pub fn eat_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(n, word)| {
            self.tokens
                .get(self.at + n)
                .is_some_and(|token| token.is(word))
        });
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub(super) fn want(&mut self, word: &str) -> Parsed<()> {
        if self.eat(word) {
            Ok(())
        } else {
            Err(match self.peek() {
                Some(token) => format!("`{}` stands where `{word}` is expected", token.text),
                None => format!("`{word}` is missing"),
            })
        }
    }

    /// The table of `table.*`, if that is next.
    pub fn all_of(&mut self) -> Option<String> {
        let [name, point, star] = self.tokens.get(self.at..self.at + 3)? else {
            return None;
        };
        if point.text != "." || star.text != "*" {
            return None;
        }
        self.at += 3;
        Some(name.name())
    }

    /// A name, quoted or not.
    pub fn name(&mut self) -> Option<String> {
        let token = self.peek()?;
        let name = matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
        name.then(|| {
            self.at += 1;
            token.name()
        })
    }

    /// An expression.
    pub fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("the expression is nested too deep".into());
        }
        let result = self.or();
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Parsed<Expr> {
        let mut left = self.and()?;
        while self.eat("OR") || (!self.dialect.copy().style().pipes && self.eat("||")) {
            left = binary(Op::Or, left, self.and()?);
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut left = self.not()?;
        while self.eat("AND") {
            left = binary(Op::And, left, self.not()?);
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expr> {
        let mut negations = 0_u32;
        while self.eat("NOT") {
            negations += 1;
        }
        let mut expr = self.comparison()?;
        for _ in 0..negations {
            expr = Expr::Not(Box::new(expr));
        }
        Ok(expr)
    }

    /// An operator that the lexer may hand over in single marks.
    pub(super) fn joined_operator(&mut self, operator: &str) -> bool {
        let mut rest = operator;
        let mut at = self.at;
        while !rest.is_empty() {
            let Some(token) = self
                .tokens
                .get(at)
                .filter(|t| t.kind == TokenKind::Operator)
            else {
                return false;
            };
            match rest.strip_prefix(token.text) {
                Some(left) => rest = left,
                None => return false,
            }
            at += 1;
        }
        // A longer one begins with it.
        let last = &self.tokens[at - 1];
        if self.tokens.get(at).is_some_and(|next| {
            next.start == last.end && ["~", "*", "=", ">", "|"].contains(&next.text)
        }) {
            return false;
        }
        self.at = at;
        true
    }

    pub(super) fn operator(&mut self, known: &[(&str, Op)]) -> Option<Op> {
        let mut longest: Vec<&(&str, Op)> = known.iter().collect();
        longest.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        longest
            .into_iter()
            .find(|(text, _)| self.joined_operator(text))
            .map(|(_, op)| *op)
    }

    pub(super) fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.product()?;
        let pipes = self.dialect.copy().style().pipes;
        let mut seen: Option<bool> = None;
        loop {
            let op = if self.joined_operator("+") {
                Op::Plus
            } else if self.joined_operator("-") {
                Op::Minus
            } else if pipes && self.joined_operator("||") {
                Op::Concat
            } else {
                return Ok(left);
            };
            // Which of the two binds closer is not the same everywhere.
            let concat = op == Op::Concat;
            if seen.is_some_and(|before| before != concat) {
                return Err("`||` beside arithmetic without brackets is not known".into());
            }
            seen = Some(concat);
            let from = self.at;
            let right = self.product()?;
            let plain = |expr: &Expr| {
                !matches!(expr, Expr::Binary(Op::Times | Op::Divide | Op::Modulo, ..))
            };
            if concat && !(plain(&right) && plain(&left)) && !self.bracketed(from) {
                return Err("`||` beside arithmetic without brackets is not known".into());
            }
            left = binary(op, left, right);
        }
    }

    fn bracketed(&self, from: usize) -> bool {
        self.tokens.get(from).is_some_and(|token| token.text == "(")
    }

    fn product(&mut self) -> Parsed<Expr> {
        let mut left = self.unary()?;
        loop {
            let op = if self.joined_operator("*") {
                Op::Times
            } else if self.joined_operator("/") {
                Op::Divide
            } else if self.joined_operator("%") || self.eat("MOD") {
                Op::Modulo
            } else {
                return Ok(left);
            };
            left = binary(op, left, self.unary()?);
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let mut minus = false;
        loop {
            if self.joined_operator("-") {
                minus = !minus;
            } else if !self.joined_operator("+") {
                break;
            }
        }
        let mut expr = self.postfix()?;
        if minus {
            expr = match expr {
                Expr::Number(text) => Expr::Number(format!("-{text}")),
                other => Expr::Minus(Box::new(other)),
            };
        }
        Ok(expr)
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        loop {
            if self.joined_operator("::") {
                expr = self.cast_to(expr)?;
            } else if self.eat("COLLATE") {
                return Err("a collation within an expression is not known".into());
            } else {
                return Ok(expr);
            }
        }
    }

    /// The type of a cast, up to where it ends.
    fn cast_to(&mut self, expr: Expr) -> Parsed<Expr> {
        let from = self.at;
        while let Some(token) = self.peek() {
            let part = matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
                && ![
                    "AND", "OR", "IS", "IN", "LIKE", "NOT", "BETWEEN", "COLLATE", "AS", "THEN",
                    "WHEN", "ELSE", "END",
                ]
                .iter()
                .any(|word| token.is(word));
            if token.text == "(" && self.at > from {
                self.at = closing(self.tokens, self.at) + 1;
            } else if part || ["[", "]"].contains(&token.text) {
                self.at += 1;
            } else {
                break;
            }
        }
        let text = joined(self.tokens.get(from..self.at).unwrap_or_default()).to_lowercase();
        cast(expr, &text)
    }

    /// `(a, b, c)`.
    pub(super) fn list(&mut self) -> Parsed<Vec<Expr>> {
        self.want("(")?;
        let mut list = vec![];
        if self.eat(")") {
            return Ok(list);
        }
        loop {
            list.push(self.expr()?);
            if self.eat(")") {
                return Ok(list);
            }
            self.want(",")?;
        }
    }

    /// `(ARRAY[a, b])`, with brackets and casts around.
    pub(super) fn array(&mut self) -> Parsed<Vec<Expr>> {
        let open = self.at;
        if self.peek().is_none_or(|token| token.text != "(") {
            return Err("ANY without brackets is not known".into());
        }
        let close = closing(self.tokens, open);
        let inside = self.tokens.get(open + 1..close).unwrap_or_default();
        let from = inside
            .iter()
            .position(|token| token.is("ARRAY"))
            .filter(|at| inside.get(at + 1).is_some_and(|token| token.text == "["))
            .ok_or("ANY over something else than a list is not known")?;
        let end = inside
            .iter()
            .position(|token| token.text == "]")
            .ok_or("a list does not end")?;
        if inside[..from].iter().any(|token| token.text != "(") {
            return Err("ANY over something else than a list is not known".into());
        }
        let mut list = vec![];
        for item in items(inside.get(from + 2..end).unwrap_or_default()) {
            let mut parser = Parser {
                tokens: item,
                at: 0,
                depth: self.depth,
                dialect: self.dialect,
                known: self.known,
            };
            list.push(parser.expr()?);
            if parser.peek().is_some() {
                return Err("an item of a list is not understood".into());
            }
        }
        self.at = close + 1;
        Ok(list)
    }

    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek().ok_or("the expression ends too early")?;
        if let Some((now, len)) = self.now() {
            self.at += len;
            return Ok(Expr::Now(now));
        }
        match token.kind {
            TokenKind::Number => {
                self.at += 1;
                number(token.text)
            }
            TokenKind::Text => {
                self.at += 1;
                literal(token.text, self.dialect.copy().style().backslash)
            }
            TokenKind::Operator if token.text == "(" => {
                self.at += 1;
                if self.peek().is_some_and(|token| token.is("SELECT")) {
                    return Err("a query within an expression is not known".into());
                }
                let inner = self.expr()?;
                self.want(")")?;
                Ok(inner)
            }
            TokenKind::Quoted => self.quoted(),
            TokenKind::Word => self.word(),
            _ => Err(format!("`{}` is not understood", token.text)),
        }
    }

    /// The present moment or chance, in as many tokens as it takes.
    fn now(&self) -> Option<(Now, usize)> {
        let first = self.peek()?;
        if first.kind != TokenKind::Word && first.text != "(" {
            return None;
        }
        let call = self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.text == "(");
        let len = if first.text == "(" {
            closing(self.tokens, self.at) + 1 - self.at
        } else if call {
            closing(self.tokens, self.at + 1) + 1 - self.at
        } else {
            1
        };
        let text: String = self
            .tokens
            .get(self.at..self.at + len)?
            .iter()
            .map(|token| token.text.to_lowercase())
            .collect();
        let cast = self.dialect.copy().now(&text)?;
        Some((cast, len))
    }

    fn quoted(&mut self) -> Parsed<Expr> {
        let token = self.peek().ok_or("the expression ends too early")?;
        let name = token.name();
        if token.text.starts_with('"') {
            let text = match self.dialect.copy().style().double_quoted {
                Some(false) => true,
                Some(true) => !(self.known)(&name),
                None => false,
            };
            if text {
                self.at += 1;
                return Ok(Expr::Text(name));
            }
        }
        if self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.text == "(")
        {
            return self.call();
        }
        self.column()
    }

    fn column(&mut self) -> Parsed<Expr> {
        let first = self.name().ok_or("a name is missing")?;
        if self.eat(".") {
            let second = self.name().ok_or("a name is missing behind a point")?;
            if self.eat(".") {
                return Err("a name of three parts is not known".into());
            }
            return Ok(Expr::Column(Some(first), second));
        }
        Ok(Expr::Column(None, first))
    }

    fn word(&mut self) -> Parsed<Expr> {
        if self.eat("NULL") {
            return Ok(Expr::Null);
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            let column = (self.known)(word) || (self.known)(&word.to_lowercase());
            if !column && self.eat(word) {
                return Ok(Expr::Bool(value));
            }
        }
        if self.eat("CASE") {
            return self.case();
        }
        if self.eat("CAST") {
            return self.cast_call();
        }
        let next = self.tokens.get(self.at + 1);
        if next.is_some_and(|token| token.text == "(") {
            return self.call();
        }
        // A charset before a literal says nothing that matters here.
        if next.is_some_and(|token| token.kind == TokenKind::Text)
            && self.peek().is_some_and(|token| token.text.starts_with('_'))
        {
            self.at += 1;
            return self.primary();
        }
        self.column()
    }

    fn case(&mut self) -> Parsed<Expr> {
        let subject = if self.peek().is_some_and(|token| token.is("WHEN")) {
            None
        } else {
            Some(Box::new(self.expr()?))
        };
        let mut arms = vec![];
        while self.eat("WHEN") {
            let when = self.expr()?;
            self.want("THEN")?;
            arms.push((when, self.expr()?));
        }
        let other = if self.eat("ELSE") {
            Some(Box::new(self.expr()?))
        } else {
            None
        };
        self.want("END")?;
        Ok(Expr::Case(subject, arms, other))
    }

    fn cast_call(&mut self) -> Parsed<Expr> {
        let open = self.at;
        let close = closing(self.tokens, open);
        self.want("(")?;
        let expr = self.expr()?;
        self.want("AS")?;
        let text = joined(self.tokens.get(self.at..close).unwrap_or_default()).to_lowercase();
        self.at = close + 1;
        cast(expr, &text)
    }

    fn call(&mut self) -> Parsed<Expr> {
        let name = self.name().ok_or("a name is missing")?;
        if self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.text == "*")
        {
            self.at += 2;
            self.want(")")?;
            return if name.eq_ignore_ascii_case("count") {
                Ok(Expr::CountAll)
            } else {
                Err(format!("the function {name}(*) is not known"))
            };
        }
        let arguments = self.list()?;
        let function = self
            .dialect
            .copy()
            .function(&name.to_lowercase())
            .ok_or_else(|| format!("the function {} has no known equal", name.to_lowercase()))?;
        // One argument of these is an aggregate, more are a choice among them.
        if matches!(function, Function::Min | Function::Max) && arguments.len() != 1 {
            return Err(format!("{name} of several values is not known"));
        }
        Ok(Expr::Call(function, arguments))
    }
}

pub(super) fn binary(op: Op, left: Expr, right: Expr) -> Expr {
    Expr::Binary(op, Box::new(left), Box::new(right))
}
