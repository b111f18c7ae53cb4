//! The law of layers: code imports downward, or from its own folder, never sideways or up.
//!
//! The tables below are the law; src/ARCHITECTURE.md draws the same picture. Paths that start with
//! `crate::` or climb with `super::` are resolved; the borders between crates are cargo's business.
//! A crate root is no module: inside a crate one names the module that owns a thing.

use super::source::{SourceFile, production};

/// The modules of one crate, each with those it may import.
struct Crate {
    root: &'static str,
    modules: &'static [(&'static str, &'static [&'static str])],
}

const ENGINE: Crate = Crate {
    root: "src/engine/",
    modules: &[
        ("common", &[]),
        ("io", &["common"]),
        ("format", &["common", "io"]),
        ("wal", &["common", "io", "format"]),
        ("memtable", &["common", "io", "format"]),
        ("sstable", &["common", "io", "format"]),
        ("index", &["common", "io", "format"]),
        ("lsm", &["common", "io", "format", "memtable", "sstable", "index"]),
        ("db", &["common", "io", "format", "wal", "memtable", "sstable", "index", "lsm"]),
        ("testing", &["common", "io", "format", "wal", "memtable", "sstable", "index", "lsm", "db"]),
    ],
};

const UDFS: Crate = Crate {
    root: "udfs/src/",
    modules: &[
        ("kernels", &[]),
        ("columnar", &[]),
        ("dialect", &[]),
        ("vector", &["kernels", "columnar"]),
        ("sparse", &["kernels", "columnar"]),
        ("document", &["columnar"]),
        ("planner", &["vector", "document"]),
        ("registry", &["vector", "sparse", "document", "planner"]),
        // The tests' own session: what is installed, whole.
        ("session", &["dialect", "install"]),
    ],
};

const ROOT: Crate = Crate {
    root: "src/",
    modules: &[
        ("error", &[]),
        ("options", &["error"]),
        ("runtime", &["error"]),
        ("document", &["error"]),
        ("query", &["error", "options"]),
        // The handle and its views are one layer in three files: each hands out the others.
        ("database", &["error", "options", "runtime", "document", "query", "table", "collection"]),
        ("table", &["error", "options", "runtime", "query", "database"]),
        ("collection", &["error", "options", "runtime", "document", "query", "database"]),
        ("transaction", &["error", "runtime", "database", "table", "collection"]),
        ("shell", &["error", "options", "runtime", "database"]),
        ("tidy", &[]),
    ],
};

/// Programs that lie inside a crate's folder and have a root of their own: fronts, free to import all.
const PROGRAMS: [&str; 2] = ["src/engine/testing/harness/", "src/engine/fuzz/"];

/// Every import that goes sideways or up.
pub(super) fn violations(files: &[SourceFile]) -> Vec<String> {
    files.iter().filter(|file| file.is("rs") && !file.is_test()).flat_map(of_file).collect()
}

fn of_file(file: &SourceFile) -> Vec<String> {
    let Some((law, module)) = place(&file.path) else { return Vec::new() };
    let own = module[0];
    let Some((_, allowed)) = law.modules.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{}: {own} has no layer; give it one in src/tidy/layers.rs", file.path)];
    };
    imports(&production(&file.text), &module)
        .into_iter()
        .filter(|target| target != own && !allowed.contains(&target.as_str()))
        .map(|target| format!("{}: {own} must not import {target}", file.path))
        .collect()
}

/// The law a file stands under and its module path; none for crate roots, binaries and other crates.
fn place(path: &str) -> Option<(&'static Crate, Vec<&str>)> {
    if PROGRAMS.iter().any(|program| path.starts_with(program)) {
        return None;
    }
    let law = [&ENGINE, &UDFS, &ROOT].into_iter().find(|law| path.starts_with(law.root))?;
    let inner = path.strip_prefix(law.root)?.strip_suffix(".rs")?;
    let mut module: Vec<&str> = inner.split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    let is_front = matches!(module.first(), None | Some(&"lib" | &"bin" | &"main"));
    (!is_front).then_some((law, module))
}

/// First segments, seen from the crate root, of every path that leaves the module.
fn imports(code: &str, module: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = ["crate::", "super::"]
        .into_iter()
        .flat_map(|prefix| code.match_indices(prefix))
        .filter(|(at, _)| starts_path(&code[..*at]))
        .flat_map(|(at, _)| targets(&code[at..], module))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// True when a path can begin here: neither inside a word nor after `::` or `$`.
fn starts_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | ':'))
}

/// What one path names below the crate root; nothing when it stays inside its own folder.
fn targets(path: &str, module: &[&str]) -> Vec<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return heads(rest);
    }
    let mut rest = path;
    let mut climbed = 0;
    while let Some(shorter) = rest.strip_prefix("super::") {
        rest = shorter;
        climbed += 1;
    }
    if climbed < module.len() { Vec::new() } else { heads(rest) }
}

/// First identifiers of a use tree: one name, or those of a group in braces.
fn heads(tree: &str) -> Vec<String> {
    let Some(group) = tree.strip_prefix('{') else { return vec![identifier(tree)] };
    let mut depth = 0;
    let mut names = vec![identifier(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(identifier(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
fn check(path: &str, text: &str) -> Vec<String> {
    of_file(&SourceFile { path: path.to_owned(), text: text.to_owned() })
}

#[test]
fn downward_and_own_folder_are_fine() {
    let text =
        "use crate::common::Error;\nuse crate::{io::Storage, format::{frame, key}};\nuse super::reader;\n";
    assert_eq!(check("src/engine/wal/writer.rs", text), Vec::<String>::new());
    assert_eq!(check("src/engine/lib.rs", "use crate::db::Engine;"), Vec::<String>::new());
}

#[test]
fn sideways_upward_and_climbing_imports_are_caught() {
    for text in [
        "use crate::sstable::Reader;",
        "use crate::{common::Error, db::Engine};",
        "use super::super::sstable::Reader;",
        "fn f(_: crate::lsm::Version) {}",
        "use crate::Engine;",
    ] {
        assert_eq!(check("src/engine/wal/writer.rs", text).len(), 1, "{text}");
    }
    assert_eq!(check("src/query/scan.rs", "use crate::database::Database;").len(), 1);
}

#[test]
fn comments_tests_and_unknown_modules() {
    let text = "// crate::db\n#[cfg(test)]\nmod tests {\n    use crate::db::Engine;\n}\n";
    assert_eq!(check("src/engine/wal/writer.rs", text), Vec::<String>::new());
    assert_eq!(check("src/engine/magic/rabbit.rs", "").len(), 1);
}
