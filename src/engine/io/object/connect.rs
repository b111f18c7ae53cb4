//! From an address such as `s3://bucket/shop` to the objects there.
//!
//! Credentials come from the options, and what those do not say from the environment, as the store's own clients read it.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, Error as StoreError, ObjectStore, RetryConfig};

use super::{CloudObjects, ObjectStorage, ObjectTuning};
use crate::common::{Error, Result, StoreOptions};

/// How long one request may take, and how long the client repeats one that may be repeated.
const REQUEST_TIMEOUT: &str = "30 seconds";
const RETRIES_MAX: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// The kinds of stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    S3,
    Google,
    Azure,
    /// A folder that is treated as an object store: for tests without one.
    Folder,
}

const SCHEMES: [(&str, Scheme); 9] = [
    ("s3", Scheme::S3),
    ("s3a", Scheme::S3),
    ("gs", Scheme::Google),
    ("az", Scheme::Azure),
    ("adl", Scheme::Azure),
    ("azure", Scheme::Azure),
    ("abfs", Scheme::Azure),
    ("abfss", Scheme::Azure),
    ("file+object", Scheme::Folder),
];

/// The address in a path that is one: `scheme://...`.
#[must_use]
pub fn address(path: &FilePath) -> Option<&str> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.chars().all(plain)).then_some(text)
}

/// One spelling of an address for each database.
#[must_use]
pub fn normal(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.trim_end_matches('/')),
        None => address.to_owned(),
    }
}

impl ObjectStorage {
    /// The storage at an address. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// `Invalid` for an address or options that cannot be.
    pub fn connect(address: &str, options: &StoreOptions, tuning: ObjectTuning) -> Result<Self> {
        let shown = normal(address);
        let invalid = |why: String| Error::invalid(format!("database {shown:?}"), why);
        let (scheme, rest) = shown.split_once("://").unwrap_or_default();
        let known = SCHEMES.iter().find(|(name, _)| *name == scheme);
        let (_, scheme) = known.ok_or_else(|| {
            invalid(format!(
                "{scheme}:// is no kind of store; use s3://, gs:// or az://, or the path of a folder"
            ))
        })?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() != (*scheme == Scheme::Folder) {
            return Err(invalid("it names no bucket; write it as s3://bucket/name".to_owned()));
        }
        let (store, prefix) = match scheme {
            Scheme::S3 => (s3(bucket, options), prefix),
            Scheme::Google => (google(bucket, options), prefix),
            Scheme::Azure => (azure(&shown, bucket, options), prefix),
            Scheme::Folder => (folder(prefix), ""),
        };
        let store = store.map_err(|error| invalid(refused(error)))?;
        let objects = CloudObjects::new(store, Path::from(prefix), shown);
        Ok(Self::new(Arc::new(objects), tuning))
    }
}

type Built = std::result::Result<Arc<dyn ObjectStore>, StoreError>;

fn folder(path: &str) -> Built {
    Ok(Arc::new(LocalFileSystem::new_with_prefix(format!("/{path}"))?))
}

fn s3(bucket: &str, options: &StoreOptions) -> Built {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
        .with_retry(retries());
    for (name, value) in options.iter() {
        builder = builder.with_config(key(name)?, value);
    }
    Ok(Arc::new(builder.build()?))
}

fn google(bucket: &str, options: &StoreOptions) -> Built {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(bucket)
        .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
        .with_retry(retries());
    for (name, value) in options.iter() {
        builder = builder.with_config(key(name)?, value);
    }
    Ok(Arc::new(builder.build()?))
}

fn azure(address: &str, container: &str, options: &StoreOptions) -> Built {
    let builder = MicrosoftAzureBuilder::from_env();
    // The long spelling, abfss://container@account..., names the account as well.
    let builder = if container.contains('@') {
        builder.with_url(address)
    } else {
        builder.with_container_name(container)
    };
    let mut builder = builder
        .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
        .with_retry(retries());
    for (name, value) in options.iter() {
        builder = builder.with_config(key(name)?, value);
    }
    Ok(Arc::new(builder.build()?))
}

fn key<K: std::str::FromStr<Err = StoreError>>(name: &str) -> std::result::Result<K, StoreError> {
    name.to_ascii_lowercase().parse()
}

fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT }
}

fn refused(error: StoreError) -> String {
    match error {
        StoreError::UnknownConfigurationKey { key, .. } => format!(
            "option {key:?} of storage_options is unknown; for S3 they are access_key_id, secret_access_key, region, \
             endpoint, allow_http and others, named as in the environment without AWS_"
        ),
        error => format!("the store cannot be reached with these options: {error}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn connect(address: &str, options: &[(&str, &str)]) -> Result<ObjectStorage> {
        let options = options.iter().copied().collect();
        ObjectStorage::connect(address, &options, ObjectTuning::default())
    }

    #[test]
    fn addresses_are_told_from_paths() {
        for path in ["shop.tri", "/a/b", ":memory:", "C://x", "://x", "a b://c"] {
            assert_eq!(address(path.as_ref()), None, "{path}");
        }
        for path in ["s3://bucket/shop", "foo+bar://x", "gs://b"] {
            assert_eq!(address(path.as_ref()), Some(path));
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_said_so() {
        let text = |address: &str| connect(address, &[]).unwrap_err().to_string();
        assert!(text("ftp://host/x").contains("ftp:// is no kind of store"), "{}", text("ftp://host/x"));
        assert!(text("s3://").contains("names no bucket"), "{}", text("s3://"));
        assert!(text("file+object:///no/such/folder").contains("/no/such/folder"));
        let error = connect("s3://b/x", &[("no_such_option", "hush")]).unwrap_err().to_string();
        assert!(error.contains("no_such_option") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn each_kind_of_store_is_built_without_asking_it() {
        let account = [("account_name", "a"), ("account_key", "aGk=")];
        assert_eq!(crate::Storage::describe(&connect("az://box/shop/", &account).unwrap()), "az://box/shop");
        connect("s3://bucket/shop", &[("region", "x-1"), ("allow_http", "true")]).unwrap();
        connect("gs://bucket/shop", &[]).unwrap();
    }
}
