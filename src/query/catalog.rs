//! The catalog `trilith` over one pinned snapshot: schemas of the database, plus our system schema.
//!
//! Immutable: everything a statement looks up here is as of one commit. Tables are created and
//! dropped by `query::statements`, not through DataFusion's registration calls.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider};

use super::connection::Pinned;
use super::schema::{LocalTables, TrilithSchema};
use super::system::SystemSchema;

/// Name of the one catalog.
pub const CATALOG: &str = "trilith";
/// Schema of tables that name none.
pub const DEFAULT_SCHEMA: &str = "public";
/// Schema of the system tables.
pub const SYSTEM_SCHEMA: &str = "trilith";

/// The list with the one catalog in it.
#[derive(Debug)]
pub struct TrilithCatalogs {
    catalog: Arc<TrilithCatalog>,
}

impl TrilithCatalogs {
    /// The catalog over a snapshot, with the caller's own tables beside it.
    #[must_use]
    pub fn new(pinned: Pinned, locals: LocalTables) -> Self {
        Self { catalog: Arc::new(TrilithCatalog { pinned, locals }) }
    }
}

impl CatalogProviderList for TrilithCatalogs {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>)
    }
}

/// Schemas of one snapshot.
pub struct TrilithCatalog {
    pinned: Pinned,
    locals: LocalTables,
}

impl fmt::Debug for TrilithCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrilithCatalog(snapshot {})", self.pinned.snapshot.seq())
    }
}

impl CatalogProvider for TrilithCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.pinned.snapshot.schemas();
        names.push(SYSTEM_SCHEMA.to_owned());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == SYSTEM_SCHEMA {
            return Some(Arc::new(SystemSchema::new(self.pinned.clone())));
        }
        let known = self.pinned.snapshot.schemas().iter().any(|schema| schema == name);
        let locals = if name == DEFAULT_SCHEMA { self.locals.clone() } else { LocalTables::default() };
        known.then(|| {
            Arc::new(TrilithSchema::new(self.pinned.clone(), name, locals)) as Arc<dyn SchemaProvider>
        })
    }
}
