//! What the manifest knows of an SSTable, and what a reader must be told of its key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::common::{ColumnId, FileId, SeqNo, TableId};
use crate::format::Hash128;
use crate::format::blob::BlobUse;
use crate::format::key::KeyCodec;

/// An SSTable as the manifest records it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SstInfo {
    /// Its number.
    pub file: FileId,
    /// The table its rows belong to.
    pub table: TableId,
    /// Rows in it, deleted ones included.
    pub rows: u64,
    /// Length of the data file.
    pub data_len: u64,
    /// Length of the companion.
    pub sum_len: u64,
    /// Hash of the companion, which holds the checksums of the data file.
    pub sum_hash: Hash128,
    /// First key: encoded, or a row id as eight big-endian bytes.
    #[serde(with = "base64_text")]
    pub min_key: Vec<u8>,
    /// Last key, like `min_key`.
    #[serde(with = "base64_text")]
    pub max_key: Vec<u8>,
    /// Oldest commit with a row in it.
    pub min_seq: SeqNo,
    /// Newest commit with a row in it.
    pub max_seq: SeqNo,
    /// What its rows need of blob files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobUse>,
}

/// The primary key of a keyed table, for the reader of one of its files.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// Its columns, in key order.
    pub columns: Vec<ColumnId>,
    /// Its encoding.
    pub codec: Arc<KeyCodec>,
}

mod base64_text {
    //! Bytes as base64 in text formats.

    use std::borrow::Cow;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(de::Error::custom)
    }
}
