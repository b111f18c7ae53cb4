//! Commits that are based on an older snapshot: the engine must refuse one whose rows were changed since, and may
//! refuse others of the same table (a flush forgets which of its rows are new).

use std::sync::Arc;

use trilith_engine::{Engine, ErrorKind, Snapshot, TableName, WriteBatch};

use crate::arrow_rows;
use crate::model::{Change, Row, State};

/// True when a row that `changes` touch is another one now than it was.
fn must_conflict(changes: &[(String, Change)], then: &State, now: &State) -> bool {
    changes.iter().any(|(name, change)| {
        let (Some(then), Some(now)) = (then.get(name), now.get(name)) else { return false };
        let keys = change.rows().iter().map(|row| &row[..now.identity()]);
        then.columns == now.columns && keys.into_iter().any(|key| then.rows.get(key) != now.rows.get(key))
    })
}

/// True when somebody who saw `then` could have asked for `changes`: rows without a key are known by what was read.
pub fn makes_sense(changes: &[(String, Change)], then: &State, now: &State) -> bool {
    changes.iter().all(|(name, change)| {
        let (Some(then), Some(now)) = (then.get(name), now.get(name)) else { return false };
        let known = |row: &Row| now.key > 0 || then.rows.contains_key(row);
        then.key == now.key && change.rows().iter().all(known)
    })
}

/// Commits `changes` as computed from `snapshot`, which showed `then`. True when they were accepted.
pub fn commit(
    engine: &Engine,
    changes: &[(String, Change)],
    (snapshot, then): (&Snapshot, &State),
    now: &State,
) -> Result<bool, String> {
    let mut batch = WriteBatch::new();
    let built = changes.iter().try_for_each(|(name, change)| {
        let view = engine.snapshot()?.table(&TableName::public(name))?;
        let (def, table) = (Arc::clone(view.def()), &now[name]);
        match change {
            Change::Delete(keys) if table.key > 0 => {
                batch.delete_keys(&def, &arrow_rows::batch(&table.columns[..table.key], keys))
            }
            Change::Delete(keys) => {
                let view = snapshot.table(&TableName::public(name))?;
                batch.delete_row_ids(&def, &arrow_rows::row_ids(&view, keys)?)
            }
            Change::Insert(rows) | Change::Upsert(rows) => {
                batch.upsert(&def, &arrow_rows::batch(&table.columns, rows))
            }
        }
    });
    built.map_err(|error| format!("building: {error}"))?;
    batch.based_on(snapshot);
    let must_conflict = must_conflict(changes, then, now);
    match engine.commit(batch) {
        Ok(_) if must_conflict => Err("a commit over changed rows was accepted".to_owned()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(format!("{error}")),
    }
}
