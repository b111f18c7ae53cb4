//! A write of a transaction that is not complete: given up, it fails the transaction.

use std::sync::Arc;

use super::Transaction;
use crate::common::Result;
use crate::db::batch::WriteBatch;

/// Dropped before it is kept, the transaction has failed.
#[derive(Debug)]
pub(in crate::db) struct Pledge(Option<Arc<Transaction>>);

impl Pledge {
    /// A write of `transaction` begins.
    pub fn new(transaction: Arc<Transaction>) -> Self {
        Self(Some(transaction))
    }

    /// The write is complete: `batch` is applied, when there is one.
    pub fn keep(mut self, batch: Option<WriteBatch>) -> Result<()> {
        if let (Some(transaction), Some(batch)) = (&self.0, batch) {
            transaction.write(batch)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        self.0.take().inspect(|transaction| transaction.fail());
    }
}
