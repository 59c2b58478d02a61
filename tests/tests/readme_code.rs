//! The README shows a file of `examples/`; they must not drift apart.

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../examples/fastapi/main.py");

/// From the first import on: the file begins with a description that the README gives in its own
/// words.
fn code(text: &str) -> &str {
    let start = text.find("import logging\n").expect("the first import");
    text.get(start..).unwrap_or_default()
}

#[test]
fn the_fastapi_example_in_the_readme_is_the_file() {
    let shown = README
        .split("```python\n")
        .nth(1)
        .expect("a block of Python");
    let shown = shown.split("```").next().unwrap_or_default();
    assert_eq!(code(shown), code(EXAMPLE));
}
