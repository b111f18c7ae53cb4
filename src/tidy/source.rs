//! The files under the laws, and what of each is production code.
//!
//! Not a parser of Rust: comments and strings are blanked, and modules under `#[cfg(test)]` are cut
//! out by matching braces, which is enough to count lines and to find paths.

use std::path::Path;

/// Folders that hold our sources, and folders inside them that do not.
const ROOTS: [&str; 6] = ["src", "udfs", "python", "sql-tests", "benches", "examples"];
const FOREIGN: [&str; 4] = ["target", "__pycache__", ".venv", "node_modules"];
const EXTENSIONS: [&str; 3] = ["rs", "py", "slt"];

/// One source file.
pub(super) struct SourceFile {
    /// Path from the root of the repository, with forward slashes.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
}

impl SourceFile {
    /// True for `.rs`, `.py` or `.slt`, named without the dot.
    pub(super) fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// True when the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.ends_with("tests.rs") || name.starts_with("test_") || self.path.contains("/tests/")
    }
}

/// Reads every source below `root`, in order of path. A folder that is missing has no files.
pub(super) fn collect(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for folder in ROOTS {
        walk(root, &root.join(folder), &mut files);
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !FOREIGN.contains(&name.as_str()) {
            walk(root, &path, files);
        } else if path.extension().is_some_and(|ext| EXTENSIONS.iter().any(|known| ext == *known)) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push(SourceFile {
                path: relative,
                text: std::fs::read_to_string(&path).unwrap_or_default(),
            });
        }
    }
}

/// Production code of a Rust file: comments and strings blanked, modules under `#[cfg(test)]` gone.
pub(super) fn production(text: &str) -> String {
    let mut kept = String::new();
    let mut depth = 0_i64;
    let mut state = Test::Outside;
    for line in blank(text).lines() {
        let change = balance(line);
        if state == Test::Outside && line.trim_start().starts_with("#[cfg(test)]") {
            state = Test::Announced;
            depth = 0;
        }
        if state == Test::Outside {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        depth += change;
        let opens = line.contains('{');
        state = match state {
            Test::Announced if opens && depth > 0 => Test::Inside,
            Test::Announced if opens || line.trim_end().ends_with(';') => Test::Outside,
            Test::Inside if depth <= 0 => Test::Outside,
            same => same,
        };
    }
    kept
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    Outside,
    Announced,
    Inside,
}

fn balance(line: &str) -> i64 {
    line.chars().map(|c| i64::from(c == '{') - i64::from(c == '}')).sum()
}

/// The text with comments and the insides of literals turned to spaces; line breaks stay.
pub(super) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

/// End of the comment or literal that starts at `at`, or `at` when none does.
fn skipped(chars: &[char], at: usize) -> usize {
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], chars.get(at + 1)) {
        ('/', Some('/')) => find(chars, at, &['\n']).saturating_sub(1).max(at),
        ('/', Some('*')) => find(chars, at + 2, &['*', '/']),
        ('"', _) => quoted(chars, at + 1, '"'),
        ('r', Some('"' | '#')) if !word_before || chars[at - 1] == 'b' => raw(chars, at),
        ('\'', Some('\\')) => quoted(chars, at + 1, '\''),
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

/// Index just after the first `needle` at or after `from`, or the end of the text.
fn find(chars: &[char], from: usize, needle: &[char]) -> usize {
    (from..chars.len())
        .find(|at| chars[*at..].starts_with(needle))
        .map_or(chars.len(), |at| at + needle.len())
}

fn quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    find(chars, at + 2 + hashes, &closing)
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "let a = \"use crate::x\"; // crate::y\nlet b = r#\"crate::\"z\"#; 'a'; '\\''; fn f<'a>() {}";
    let blanked = blank(text);
    assert!(!blanked.contains("crate"), "{blanked}");
    assert!(blanked.contains("fn f<'a>() {}"), "{blanked}");
    assert_eq!(blanked.lines().count(), 2);
}

#[test]
fn test_modules_are_no_production_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod one;\n#[cfg(test)]\n#[expect(x)]\nmod two {\n fn b() {\n }\n}\nfn c() {}\n";
    assert_eq!(production(text), "fn a() {}\nfn c() {}\n");
}
