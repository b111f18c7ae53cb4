//! Sessions: everything a statement needs except its snapshot is built once per database, and each
//! statement gets a copy of it with a catalog over one snapshot.
//!
//! `SET` changes the base, so it holds for the statements that follow on the same handle.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemoryCatalogProviderList, TableProvider};
use datafusion::common::ParamValues;
use datafusion::common::config::Dialect;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use parking_lot::RwLock;

use super::answer::{Answer, TableRows};
use super::catalog::{CATALOG, DEFAULT_SCHEMA, TrilithCatalogs};
use super::connection::Pinned;
use super::rules;
use super::schema::LocalTables;
use super::search::{self, NamedArguments, Tables};
use super::settings::Settings;
use super::time;
use super::types::TrilithTypes;
use super::write::TrilithPlanner;
use crate::error::Result;
use crate::options::Options;

/// Makes session states.
pub struct Sessions {
    base: RwLock<Base>,
}

/// What the statements of a handle share until a setting changes.
struct Base {
    state: Arc<SessionState>,
    task: Arc<TaskContext>,
}

impl Base {
    fn new(state: SessionState) -> Self {
        Self { task: Arc::new(TaskContext::from(&state)), state: Arc::new(state) }
    }
}

impl Sessions {
    /// Builds the base state.
    ///
    /// # Errors
    /// When the folder for temporary files cannot be used or a function cannot be registered.
    pub fn new(options: &Options) -> Result<Self> {
        let builder = SessionStateBuilder::new()
            .with_config(config(options))
            .with_runtime_env(Arc::new(runtime_env(options)?))
            .with_default_features();
        let mut builder = trilith_udfs::install(builder);
        let functions = [search::text_snippet_udf(), search::nearest_marker_udf()];
        builder.scalar_functions().get_or_insert_default().extend(functions.map(Arc::new));
        let base = builder
            .with_query_planner(Arc::new(TrilithPlanner))
            .with_type_planner(Arc::new(TrilithTypes))
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_analyzer_rule(Arc::new(search::NearestJoins))
            .with_optimizer_rules(rules::logical())
            .with_physical_optimizer_rules(rules::physical())
            .with_relation_planners(vec![Arc::new(NamedArguments), Arc::new(time::Versions)])
            .build();
        Ok(Self { base: RwLock::new(Base::new(base)) })
    }

    /// A state over a snapshot, for a call with these parameters.
    #[must_use]
    pub fn state(&self, pinned: &Pinned, locals: LocalTables, params: Option<&ParamValues>) -> SessionState {
        let mut state = self.state_of_none();
        let tables = Tables::new(pinned.clone(), Arc::clone(&locals), params.cloned());
        for (name, function) in search::table_functions(&tables) {
            state.register_udtf(name, function);
        }
        for (name, function) in time::functions(pinned, params) {
            state.register_udtf(name, function);
        }
        state.register_catalog_list(Arc::new(TrilithCatalogs::new(pinned.clone(), locals)));
        state.mark_start_execution();
        state
    }

    /// Rows of a table under a condition, without a statement; `None` when the condition takes one.
    ///
    /// # Errors
    /// When the condition is no expression.
    pub fn answer(
        &self,
        table: Arc<dyn TableProvider>,
        projection: Option<Vec<usize>>,
        condition: Option<&str>,
    ) -> Result<Option<Answer>> {
        let (state, task) = {
            let base = self.base.read();
            (Arc::clone(&base.state), Arc::clone(&base.task))
        };
        let filters = match condition {
            Some(condition) => search::conjuncts(&state, condition, &*table)?,
            None => Some(vec![]),
        };
        let answer = |filters| Answer::of_table(state, task, TableRows { table, projection, filters });
        filters.map(answer).transpose()
    }

    fn state_of_none(&self) -> SessionState {
        SessionState::clone(&self.base.read().state)
    }

    /// A result that is known already.
    ///
    /// # Errors
    /// Never in practice: a batch has one schema.
    pub fn given(&self, rows: RecordBatch) -> Result<DataFrame> {
        Ok(SessionContext::new_with_state(self.state_of_none()).read_batch(rows)?)
    }

    /// The result of a statement that has none and reads nothing.
    ///
    /// # Errors
    /// Never in practice: the plan is empty.
    pub fn nothing(&self) -> Result<DataFrame> {
        Ok(DataFrame::new(self.state_of_none(), LogicalPlanBuilder::empty(false).build()?))
    }

    /// True when names without quotes are read in lower case.
    pub fn folds_names(&self) -> bool {
        self.base.read().state.config_options().sql_parser.enable_ident_normalization
    }

    /// True when a table function has this name.
    pub fn has_table_function(&self, name: &str) -> bool {
        search::FUNCTIONS.iter().any(|function| function.signature.name == name)
            || time::NAMES.contains(&name)
            || self.base.read().state.table_functions().contains_key(name)
    }

    /// Keeps the settings of `state` for later statements.
    pub fn keep_settings(&self, mut state: SessionState) {
        let mut base = self.base.write();
        state.register_catalog_list(Arc::clone(base.state.catalog_list()));
        // The functions of a call hold its snapshot; every statement registers its own.
        let searches = search::FUNCTIONS.each_ref().map(|function| function.signature.name);
        for name in time::NAMES.into_iter().chain(searches) {
            let _of_the_call = state.deregister_udtf(name);
        }
        *base = Base::new(state);
    }
}

fn config(options: &Options) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.partitions())
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_option_extension(Settings::default());
    let settings = config.options_mut();
    settings.sql_parser.dialect = Dialect::Generic;
    settings.sql_parser.map_string_types_to_utf8view = false;
    // Our estimates are upper bounds: what is small by them is not worth spreading over threads.
    settings.execution.use_row_number_estimates_to_optimize_partitioning = true;
    config
}

fn runtime_env(options: &Options) -> Result<RuntimeEnv, DataFusionError> {
    let disk = DiskManagerBuilder::default();
    let disk = match &options.temp_dir {
        Some(folder) => disk.with_mode(DiskManagerMode::Directories(vec![folder.clone()])),
        None => disk,
    };
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes())))
        .with_disk_manager_builder(disk)
        .build()
}
