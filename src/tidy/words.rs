//! Words that mark unfinished work, and file names that say nothing.

use super::source::SourceFile;

/// Parts are joined here so that this file does not accuse itself.
fn banned() -> [String; 7] {
    [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X:"),
        ("HA", "CK"),
        ("for ", "now,"),
        ("/ro", "ot/"),
        ("\u{20}\u{2014}", "\u{20}"),
    ]
    .map(|(head, tail)| format!("{head}{tail}"))
}

const EMPTY_NAMES: [&str; 8] = ["utils", "util", "helpers", "helper", "misc", "common2", "v2", "next"];

/// Banned words and names, with the line they stand on.
pub(super) fn violations(files: &[SourceFile]) -> Vec<String> {
    let banned = banned();
    files.iter().flat_map(|file| of_file(file, &banned)).collect()
}

fn of_file(file: &SourceFile, banned: &[String]) -> Vec<String> {
    let stem = file.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let name = EMPTY_NAMES
        .contains(&stem)
        .then(|| format!("{}: a file is named after what it holds, not {stem:?}", file.path));
    let words = file.text.lines().enumerate().flat_map(|(number, line)| {
        let found = banned.iter().filter(move |word| line.contains(word.as_str()));
        found.map(move |word| format!("{}:{}: {word:?}", file.path, number + 1))
    });
    name.into_iter().chain(words).collect()
}

#[test]
fn words_and_names_are_caught() {
    let file = |path: &str, text: String| SourceFile { path: path.to_owned(), text };
    assert_eq!(violations(&[file("src/a.rs", "//! Fine.\n".to_owned())]), Vec::<String>::new());
    assert_eq!(violations(&[file("src/utils.rs", String::new())]).len(), 1);
    for word in banned() {
        assert_eq!(violations(&[file("src/a.rs", format!("// {word}"))]).len(), 1, "{word}");
    }
}
