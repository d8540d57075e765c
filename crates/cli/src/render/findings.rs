//! TEMP
use dunlin_core::finding::Finding;
pub fn render(f: &[Finding], _s: &dyn Fn(&str) -> Option<String>, _c: bool) -> String {
    f.iter()
        .map(|f| format!("{:?}[{}]: {}\n", f.severity, f.code, f.message))
        .collect()
}
