//! A file that nobody reads to its end, a function that nobody holds in mind: 600 and 70 lines.

use super::{Fault, Source, lex};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

pub fn faults(sources: &[Source]) -> Vec<Fault> {
    let mut found = Vec::new();
    for source in sources {
        let path = &source.path;
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            let message = format!("{lines} lines, the limit is {FILE_LINES}");
            found.push(Fault::counted(format!("file {path}"), lines, message));
        }
        for function in lex::functions(&source.tokens) {
            let lines = function.last + 1 - function.first;
            if lines > FUNCTION_LINES {
                let message = format!(
                    "{lines} lines at line {}, the limit is {FUNCTION_LINES}",
                    function.first
                );
                found.push(Fault::counted(
                    format!("function {path} {}", function.name),
                    lines,
                    message,
                ));
            }
        }
    }
    found
}
