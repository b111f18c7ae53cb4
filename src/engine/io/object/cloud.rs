//! Object stores of the crate `object_store`, called from threads: each call is handed to a runtime of this module's own
//! and waited for, so that it works in whatever thread, inside another runtime too.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode,
    PutPayload,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use super::objects::{Objects, Opened, Trouble, Upload};
use crate::common::sync::Mutex;

/// What stores say of a bucket that is not there.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "bucket does not exist", "ContainerNotFound"];
/// Requests under way at once for one call.
const AT_ONCE: usize = 32;

/// The runtime of one process, which is never dropped; after `fork()` the child makes its own.
static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

fn runtime() -> Result<Handle, Trouble> {
    let pid = std::process::id();
    let mut owned = RUNTIME.lock();
    if let Some((_, runtime)) = owned.filter(|(of, _)| *of == pid) {
        return Ok(runtime.handle().clone());
    }
    let started =
        Builder::new_multi_thread().worker_threads(2).thread_name("trilith-store").enable_all().build();
    let started = started.map_err(|error| Trouble::Final(error.kind(), format!("no threads: {error}")))?;
    let runtime: &'static Runtime = Box::leak(Box::new(started));
    *owned = Some((pid, runtime));
    Ok(runtime.handle().clone())
}

/// Runs `call` on the runtime and waits for it.
fn wait<T: Send + 'static>(
    call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Trouble> {
    let (sender, receiver) = sync_channel(1);
    runtime()?.spawn(async move {
        let _caller_gone = sender.send(call.await);
    });
    let done = receiver.recv();
    done.map_err(|_| Trouble::Passing("the request was given up".into()))?.map_err(trouble)
}

fn trouble(error: StoreError) -> Trouble {
    let text = error_text(&error);
    if NO_BUCKET.iter().any(|said| text.contains(said)) {
        let text = format!("there is no such bucket or container; create it first ({text})");
        return Trouble::Final(io::ErrorKind::NotADirectory, text);
    }
    match error {
        StoreError::NotFound { .. } => Trouble::Missing,
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => Trouble::Exists,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Trouble::Final(
            io::ErrorKind::PermissionDenied,
            format!(
                "the store refuses these credentials; give others in storage_options or the environment ({text})"
            ),
        ),
        StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => Trouble::Final(
            io::ErrorKind::Unsupported,
            format!("the store cannot do what is needed: put an object only if there is none ({text})"),
        ),
        StoreError::InvalidPath { .. } | StoreError::UnknownConfigurationKey { .. } => {
            Trouble::Final(io::ErrorKind::InvalidInput, text)
        }
        _ => Trouble::Passing(text),
    }
}

/// What the store said, without what a signed address would give away.
fn error_text(error: &StoreError) -> String {
    let text = error.to_string();
    match text.split_once("sig=") {
        Some((before, _)) => format!("{before}sig=..."),
        None => text,
    }
}

/// One database's share of an object store.
#[derive(Debug)]
pub struct CloudObjects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
}

impl CloudObjects {
    /// The objects of `store` below `prefix`, called `shown` in messages.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, shown: String) -> Self {
        Self { store, prefix, shown }
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn put_as(&self, name: &str, bytes: Bytes, mode: PutMode) -> Result<(), Trouble> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        wait(async move { store.put_opts(&path, PutPayload::from(bytes), mode.into()).await.map(drop) })
    }
}

impl Objects for CloudObjects {
    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn put(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        self.put_as(name, bytes, PutMode::Overwrite)
    }

    fn put_new(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        self.put_as(name, bytes, PutMode::Create)
    }

    fn upload(&self, name: &str) -> Result<Box<dyn Upload>, Trouble> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let upload = wait(async move { store.put_multipart(&path).await })?;
        Ok(Box::new(CloudUpload { upload: Some(upload) }))
    }

    fn open(&self, name: &str, len: u64, unless: Option<&str>) -> Result<Option<Opened>, Trouble> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let (range, if_none_match) = (Some(GetRange::Bounded(0..len)), unless.map(str::to_owned));
        let wanted = GetOptions { range, if_none_match, ..GetOptions::default() };
        wait(async move {
            let found = match store.get_opts(&path, wanted).await {
                Err(StoreError::NotModified { .. }) => return Ok(None),
                Err(StoreError::NotFound { path, source }) => {
                    return Err(StoreError::NotFound { path, source });
                }
                // An empty object has no first byte to give.
                Err(error) => match store.head(&path).await {
                    Ok(meta) if meta.size == 0 => {
                        return Ok(Some(Opened { first: Bytes::new(), len: 0, tag: None }));
                    }
                    _ => return Err(error),
                },
                Ok(found) => found,
            };
            let (len, tag) = (found.meta.size, found.meta.e_tag.clone());
            Ok(Some(Opened { first: found.bytes().await?, len, tag }))
        })
    }

    fn get(&self, name: &str) -> Result<Bytes, Trouble> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        wait(async move { store.get(&path).await?.bytes().await })
    }

    fn get_all(&self, names: &[String]) -> Vec<Result<Bytes, Trouble>> {
        let calls = names.iter().map(|name| {
            let (store, path) = (Arc::clone(&self.store), self.path(name));
            async move { store.get(&path).await?.bytes().await }
        });
        all(calls.collect())
    }

    fn ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Trouble> {
        let (store, path, ranges) = (Arc::clone(&self.store), self.path(name), ranges.to_vec());
        wait(async move { store.get_ranges(&path, &ranges).await })
    }

    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Trouble> {
        let (store, path) = (Arc::clone(&self.store), self.path(folder));
        let after = after.map(|after| path.clone().join(after));
        wait(async move {
            let mut names = Vec::new();
            if let Some(after) = after {
                let mut listed = store.list_with_offset(Some(&path), &after);
                while let Some(found) = std::future::poll_fn(|cx| listed.as_mut().poll_next(cx)).await {
                    names.extend(found?.location.filename().map(str::to_owned));
                }
            } else {
                let listed = store.list_with_delimiter(Some(&path)).await?;
                names.extend(
                    listed.objects.iter().filter_map(|found| found.location.filename()).map(str::to_owned),
                );
            }
            names.sort_unstable();
            Ok(names)
        })
    }

    fn delete(&self, name: &str) -> Result<(), Trouble> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        match wait(async move { store.delete(&path).await }) {
            Err(Trouble::Missing) => Ok(()),
            outcome => outcome,
        }
    }
}

/// Runs calls side by side and returns their answers in order.
fn all<F>(calls: Vec<F>) -> Vec<Result<Bytes, Trouble>>
where
    F: Future<Output = Result<Bytes, StoreError>> + Send + 'static,
{
    let count = calls.len();
    let gathered = wait(async move {
        let (mut calls, mut running) = (calls.into_iter().enumerate(), JoinSet::new());
        let mut answers: Vec<Result<Bytes, Trouble>> = vec![Err(Trouble::Passing("given up".into())); count];
        loop {
            while running.len() < AT_ONCE {
                let Some((at, call)) = calls.next() else { break };
                running.spawn(async move { (at, call.await.map_err(trouble)) });
            }
            match running.join_next().await {
                Some(Ok((at, answer))) => answers[at] = answer,
                Some(Err(_)) => {}
                None => return Ok(answers),
            }
        }
    });
    gathered.unwrap_or_else(|trouble| vec![Err(trouble); count])
}

/// An upload under way.
#[derive(Debug)]
struct CloudUpload {
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Upload for CloudUpload {
    fn part(&mut self, bytes: Bytes) -> Result<(), Trouble> {
        let upload = self.upload.as_mut().ok_or_else(|| Trouble::Passing("the upload had failed".into()))?;
        let sent = upload.put_part(PutPayload::from(bytes));
        wait(sent)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        let mut upload =
            self.upload.take().ok_or_else(|| Trouble::Passing("the upload had failed".into()))?;
        wait(async move {
            let done = upload.complete().await;
            if done.is_err() {
                let _ = upload.abort().await;
            }
            done.map(drop)
        })
    }
}

impl Drop for CloudUpload {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            // Parts that stay behind are no object; stores remove them by a rule of the bucket.
            let _ = wait(async move { upload.abort().await });
        }
    }
}
