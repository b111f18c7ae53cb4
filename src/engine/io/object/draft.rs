//! Files being written. Nothing of a draft is uploaded before it has its name; a file that has its name already is
//! uploaded when it is synced, in parts while it grows long.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::Kind;
use super::objects::Upload;
use super::storage::Shared;
use crate::common::sync::Mutex;
use crate::common::{ClosedReason, Error, Result};
use crate::io::FileWriter;

/// Bytes of a part of an upload.
pub(super) const PART_LEN: usize = 8 << 20;
/// How names of drafts end.
const DRAFT_END: &str = ".new";
/// A file in more parts than this should go on in another: who opens the database reads them all.
const PARTS_MAX: u32 = 1024;

/// What was written and is not in the store.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub path: String,
    pub held: Vec<u8>,
    /// Bytes that left `held` for the store.
    sent: u64,
    upload: Option<Box<dyn Upload>>,
    stage: Stage,
    failed: bool,
}

/// Where a file stands between the writer and the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// Only its writer knows it.
    #[default]
    Hidden,
    /// The journal has it; each sync adds to it, and this counts them.
    Growing(u32),
    /// It is an object, and complete.
    Sealed,
}

/// A draft, and the storage that it goes to.
#[derive(Clone, Debug)]
pub(super) struct DraftRef {
    shared: Arc<Shared>,
    draft: Arc<Mutex<Draft>>,
}

impl DraftRef {
    pub fn new(shared: Arc<Shared>, path: &str) -> Self {
        let draft = Draft { path: path.to_owned(), ..Draft::default() };
        Self { shared, draft: Arc::new(Mutex::new(draft)) }
    }

    /// What a reader of it finds; `None` once part of it is on its way.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let draft = self.draft.lock();
        draft.upload.is_none().then(|| draft.held.clone())
    }

    /// True when a writer still has it, besides `self`.
    fn is_written(&self) -> bool {
        Arc::strong_count(&self.draft) > 1
    }

    /// Gives it its name. The journal says so where the name is in the database's own folder, and so may be replaced, or
    /// where the writer goes on writing.
    ///
    /// # Errors
    /// When it cannot be; what was written is lost then.
    pub fn name(self, to: &str) -> Result<()> {
        let goes_on = self.is_written();
        let mut draft = self.draft.lock();
        if draft.failed {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        let held = Bytes::from(std::mem::take(&mut draft.held));
        let len = held.len() as u64;
        draft.failed = true;
        draft.stage = if goes_on {
            self.shared.journal.append(Kind::Part, to, 0, held)?;
            Stage::Growing(1)
        } else if to.contains('/') {
            self.shared.put_sealed(to, held)?;
            Stage::Sealed
        } else {
            self.shared.journal.append(Kind::Whole, to, 0, held)?;
            self.shared.tidy();
            Stage::Sealed
        };
        (draft.sent, draft.failed) = (len, false);
        to.clone_into(&mut draft.path);
        Ok(())
    }
}

/// The one writer of a file.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    path: String,
    len: u64,
    file: DraftRef,
    parts: u32,
}

impl ObjectWriter {
    pub fn new(file: DraftRef) -> Self {
        let path = file.draft.lock().path.clone();
        Self { path, len: 0, file, parts: 0 }
    }

    /// Makes one step, after whose failure there is no other.
    fn attempt(&self, step: impl FnOnce(&mut Draft, &Shared) -> Result<()>) -> Result<u32> {
        let mut draft = self.file.draft.lock();
        if draft.failed {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        draft.failed = true;
        step(&mut draft, &self.file.shared)?;
        draft.failed = false;
        Ok(if let Stage::Growing(parts) = draft.stage { parts } else { 0 })
    }
}

impl FileWriter for ObjectWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.attempt(|draft, shared| draft.append(bytes, shared))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.parts = self.attempt(Draft::sync)?;
        Ok(())
    }

    fn is_fragmented(&self) -> bool {
        self.parts >= PARTS_MAX
    }
}

impl Draft {
    fn append(&mut self, bytes: &[u8], shared: &Shared) -> Result<()> {
        if self.stage == Stage::Sealed && !bytes.is_empty() {
            return Err(Error::Internal(format!("{} is appended to after it was sealed", self.path)));
        }
        let short = |_| Error::io("append to", &self.path, io::ErrorKind::OutOfMemory.into());
        self.held.try_reserve(bytes.len()).map_err(short)?;
        self.held.extend_from_slice(bytes);
        if self.stage == Stage::Hidden && self.held.len() >= PART_LEN && !self.path.ends_with(DRAFT_END) {
            self.send_part(shared)?;
        }
        Ok(())
    }

    fn send_part(&mut self, shared: &Shared) -> Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.held));
        let len = part.len() as u64;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(shared.begin_upload(&self.path)?),
        };
        upload.part(part).map_err(|trouble| shared.remote.error("put", &self.path, trouble))?;
        self.sent += len;
        Ok(())
    }

    fn sync(&mut self, shared: &Shared) -> Result<()> {
        match &mut self.stage {
            Stage::Growing(parts) if !self.held.is_empty() => {
                let part = Bytes::from(std::mem::take(&mut self.held));
                let len = part.len() as u64;
                shared.journal.append(Kind::Part, &self.path, self.sent, part)?;
                self.sent += len;
                *parts += 1;
                Ok(())
            }
            Stage::Hidden if !self.path.ends_with(DRAFT_END) => self.seal(shared),
            _ => Ok(()),
        }
    }

    fn seal(&mut self, shared: &Shared) -> Result<()> {
        if self.upload.is_some() {
            self.send_part(shared)?;
            if let Some(mut upload) = self.upload.take() {
                upload.finish().map_err(|trouble| shared.remote.error("put", &self.path, trouble))?;
            }
        } else {
            shared.put_sealed(&self.path, Bytes::from(std::mem::take(&mut self.held)))?;
        }
        self.stage = Stage::Sealed;
        shared.forget_draft(&self.path);
        Ok(())
    }
}
