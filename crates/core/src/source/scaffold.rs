//! TEMP
/// t
pub struct New {
    pub file: String,
    pub text: String,
}
/// t
pub fn project(_: &str, _: Option<&str>) -> String {
    String::new()
}
/// t
pub fn gitignore(_: &str) -> Option<String> {
    None
}
/// t
pub fn migration(_: &str, _: &[String], _: &str) -> Result<New, String> {
    Err("x".into())
}
