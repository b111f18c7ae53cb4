//! One version of every crate whose types cross our borders: two Arrows in one program do not fit.

use std::collections::BTreeMap;

/// Families of crates that must agree, by the start of their names.
const FAMILIES: [&str; 5] = ["arrow", "parquet", "object_store", "datafusion", "pyo3"];

/// Crates of the families that Cargo.lock holds more than once.
pub(super) fn violations(lock: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let (Some(name), Some(version)) = (field(package, "name"), field(package, "version")) else {
            continue;
        };
        if FAMILIES.iter().any(|family| name.starts_with(family)) {
            versions.entry(name).or_default().push(version);
        }
    }
    versions.retain(|_, found| found.len() > 1);
    versions.iter().map(|(name, found)| format!("{name} in versions {}", found.join(" and "))).collect()
}

fn field<'a>(package: &'a str, name: &str) -> Option<&'a str> {
    let line =
        package.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(" = \""))?;
    line.split('"').nth(1)
}

#[test]
fn a_second_arrow_is_caught() {
    let one = "[[package]]\nname = \"arrow-array\"\nversion = \"59.3.2\"\n";
    let two = "[[package]]\nname = \"arrow-array\"\nversion = \"60.1.0\"\n";
    assert_eq!(violations(one), Vec::<String>::new());
    assert_eq!(violations(&format!("{one}\n{two}")), ["arrow-array in versions 59.3.2 and 60.1.0"]);
}
