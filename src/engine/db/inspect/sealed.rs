//! The manifest and CURRENT, explained.

use std::collections::BTreeMap;

use serde_json::Value;

use super::report::{Fields, FileReport, hex};
use crate::db::manifest::Manifest;
use crate::format::blob::BlobInfo;
use crate::format::cursor::Cursor;
use crate::format::sealed::FORMAT_VERSION;

/// Bytes before the payload, and of the hash after it.
const HEADER: usize = 48;
const TRAILER: usize = 16;

/// Fills in what a manifest says.
pub(super) fn manifest(bytes: &[u8], records: bool, report: &mut FileReport) {
    let sealed = super::report::seal(bytes, report);
    let Some(payload) = payload(bytes, b"TRIMANIF", sealed, report) else { return };
    scalars(&payload, report);
    for name in ["tables", "deletes", "schemas", "tags", "history"] {
        let count = payload.get(name).and_then(Value::as_array).map_or(0, Vec::len);
        report.set(name, count);
    }
    if !sealed {
        return;
    }
    match serde_json::from_value::<Manifest>(payload) {
        Ok(manifest) => totals(&manifest, records, report),
        Err(error) => report.damaged(HEADER as u64, format!("its content is not understood: {error}")),
    }
}

/// Fills in what CURRENT says.
pub(super) fn current(bytes: &[u8], report: &mut FileReport) {
    let sealed = super::report::seal(bytes, report);
    if let Some(payload) = payload(bytes, b"TRICURNT", sealed, report) {
        scalars(&payload, report);
    }
}

/// Every single value of the payload, under its own name.
fn scalars(payload: &Value, report: &mut FileReport) {
    for (name, value) in payload.as_object().into_iter().flatten() {
        let is_single = !matches!(value, Value::Array(_) | Value::Object(_));
        if is_single && report.fields.get(name).is_none() {
            report.set(name.clone(), value.clone());
        }
        if let Value::Object(inner) = value {
            report.set(name.clone(), Value::Object(inner.clone()));
        }
    }
}

fn payload(bytes: &[u8], magic: &[u8; 8], sealed: bool, report: &mut FileReport) -> Option<Value> {
    let mut cursor = Cursor::new(bytes);
    let mut read = || {
        let own = cursor.bytes(magic.len())?;
        let (version, _) = (cursor.u32()?, cursor.u32()?);
        Some((own == magic, version, cursor.u128()?, cursor.u64()?, cursor.u64()?))
    };
    let Some((own, version, database, number, len)) = read() else {
        report.damaged(bytes.len() as u64, "it ends within its header");
        return None;
    };
    if !own {
        report.damaged(0, "it does not begin as its name says");
    }
    report.set("format version", version);
    report.set("database", format!("{database:032x}"));
    report.set("number", number);
    report.set("payload bytes", len);
    if version > FORMAT_VERSION {
        report.set("note", format!("written by a newer Trilith; this build reads up to {FORMAT_VERSION}"));
    }
    let body = bytes.get(HEADER..bytes.len().saturating_sub(TRAILER)).unwrap_or_default();
    let parsed = serde_json::from_slice(body);
    if sealed && len != body.len() as u64 {
        report.damaged(40, format!("it states a payload of {len} bytes and has {}", body.len()));
    }
    match parsed {
        Ok(value) => Some(value),
        Err(error) if sealed => {
            report.damaged(HEADER as u64, format!("its payload is not JSON: {error}"));
            None
        }
        Err(_) => None,
    }
}

fn totals(manifest: &Manifest, records: bool, report: &mut FileReport) {
    let files = || manifest.tables.iter().flat_map(|table| &table.files);
    report.set("files", files().count());
    report.set("rows in files", files().map(|file| file.sst.rows.saturating_sub(file.dead)).sum::<u64>());
    report.set(
        "bytes of files",
        files().map(|file| file.sst.data_len.saturating_add(file.sst.sum_len)).sum::<u64>(),
    );
    if !records {
        return;
    }
    for table in &manifest.tables {
        let def = &table.def;
        report.records.push(
            Fields::default()
                .with("table", def.name.to_string())
                .with("id", def.id.0)
                .with("version", def.version)
                .with("columns", def.columns.len())
                .with("key columns", def.primary_key.len())
                .with("next row id", table.next_row_id)
                .with("files", table.files.len()),
        );
        report.records.extend(table.files.iter().map(|file| {
            Fields::default()
                .with("sst", file.sst.file.0)
                .with("table", def.name.to_string())
                .with("rows", file.sst.rows)
                .with("dead", file.dead)
                .with("bytes", file.sst.data_len)
                .with("sum bytes", file.sst.sum_len)
                .with("sum hash", file.sst.sum_hash.to_string())
                .with("seq", format!("{}..={}", file.sst.min_seq, file.sst.max_seq))
                .with("keys", format!("{}..={}", hex(&file.sst.min_key), hex(&file.sst.max_key)))
                .with("del", file.deletes.map(|del| del.0))
                .with("blobs", file.sst.blobs.iter().map(|used| used.blob.file.0).collect::<Vec<_>>())
        }));
    }
    let blobs: BTreeMap<u64, &BlobInfo> = manifest.blobs().map(|blob| (blob.file.0, blob)).collect();
    report.records.extend(blobs.into_values().map(|blob| {
        Fields::default()
            .with("blob", blob.file.0)
            .with("bytes", blob.len)
            .with("values", blob.values)
            .with("value bytes", blob.bytes)
            .with("hash", blob.hash.to_string())
    }));
    report.records.extend(manifest.deletes.iter().map(|info| {
        Fields::default().with("del", info.file.0).with("bytes", info.len).with("hash", info.hash.to_string())
    }));
}
