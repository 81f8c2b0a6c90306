//! docs/WEBHOOKS.md, from which the receivers are taken.

use rolecall_tests::stack::checkout;

/// The first block of code below a heading of the third level.
pub fn block(heading: &str, language: &str) -> String {
    let path = checkout().join("docs/WEBHOOKS.md");
    let text = std::fs::read_to_string(path).expect("the document can be read");
    let (_, below) = text.split_once(&format!("\n### {heading}\n")).expect("the heading is there");
    let section = below.split("\n### ").next().unwrap_or_default();
    let (_, code) = section.split_once(&format!("```{language}\n")).expect("a block of that language");
    let (code, _) = code.split_once("```").expect("its end");
    code.to_owned()
}

/// What is compiled here is what is shown there.
#[test]
fn the_receiver_in_rust_is_the_one_that_is_tested() {
    assert_eq!(block("Rust", "rust"), include_str!("receiver_in_rust.rs"));
}
