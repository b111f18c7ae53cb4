//! Every file is small and opens by saying what it is. Files of tests may be long and say it by their names.

use super::source::{SourceFile, production};

/// Most lines outside tests, by kind of file. Aim for 150; these are where a split is overdue.
const LINES_MAX: [(&str, usize); 3] = [("rs", 400), ("py", 300), ("slt", 300)];
/// Most lines of a table of contents: module doc, `mod`, `pub use`, and the choice between its parts.
const CONTENTS_LINES_MAX: usize = 200;

/// Files that are too long or have no header.
pub(super) fn violations(files: &[SourceFile]) -> Vec<String> {
    files.iter().flat_map(|file| [too_long(file), headless(file)]).flatten().collect()
}

fn too_long(file: &SourceFile) -> Option<String> {
    if file.is_test() {
        return None;
    }
    let (_, general) = LINES_MAX.iter().find(|(kind, _)| file.is(kind))?;
    let is_contents = file.path.ends_with("/mod.rs") || file.path.ends_with("/lib.rs");
    let max = if is_contents { CONTENTS_LINES_MAX } else { *general };
    let lines =
        if file.is("rs") { production(&file.text).lines().count() } else { file.text.lines().count() };
    (lines > max)
        .then(|| format!("{}: {lines} lines outside tests, {max} allowed; split it by purpose", file.path))
}

fn headless(file: &SourceFile) -> Option<String> {
    if file.is_test() {
        return None;
    }
    let first = file.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!/"))?;
    let marks: &[&str] = if file.is("rs") {
        &["//!"]
    } else if file.is("py") {
        &["\"\"\"", "r\"\"\""]
    } else {
        &["#"]
    };
    let has_header = marks.iter().any(|mark| first.starts_with(mark));
    (!has_header).then(|| format!("{}: the first line does not say what the file is", file.path))
}

#[cfg(test)]
fn check(path: &str, text: &str) -> usize {
    violations(&[SourceFile { path: path.to_owned(), text: text.to_owned() }]).len()
}

#[test]
fn long_and_headless_files_are_caught() {
    assert_eq!(check("src/a.rs", "//! A.\n"), 0);
    assert_eq!(check("src/a.rs", "fn a() {}\n"), 1);
    assert_eq!(check("src/a.rs", &format!("//! A.\n{}", "fn a() {}\n".repeat(400))), 1);
    assert_eq!(check("src/a/mod.rs", &format!("//! A.\n{}", "mod b;\n".repeat(200))), 1);
    assert_eq!(check("python/a.py", "import b\n"), 1);
}

#[test]
fn tests_do_not_count() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn a() {}\n".repeat(500));
    assert_eq!(check("src/a.rs", &format!("//! A.\n{tests}")), 0);
    assert_eq!(check("src/a/tests.rs", &format!("//! A.\n{}", "fn a() {}\n".repeat(500))), 0);
}
