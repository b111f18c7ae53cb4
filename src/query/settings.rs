//! Settings of statements that are ours: `SET trilith.name = value`, beside those of DataFusion.

use datafusion::common::config::{ConfigExtension, ConfigOptions};
use datafusion::common::extensions_options;

extensions_options! {
    /// What statements may be told of this database's own nodes.
    pub struct Settings {
        /// Measure the recall of searches that may miss rows: each is made once more, exactly, and EXPLAIN ANALYZE shows
        /// the share that was found. Of searches for many vectors, sixteen.
        pub measure_recall: bool, default = false
    }
}

impl ConfigExtension for Settings {
    const PREFIX: &'static str = "trilith";
}

/// Whether the recall of searches is measured.
pub(crate) fn measures_recall(options: &ConfigOptions) -> bool {
    options.extensions.get::<Settings>().is_some_and(|settings| settings.measure_recall)
}
