//! A file that the user names, written beside its name and given it when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::build::Reopen;
use crate::common::{Error, Result};
use crate::io::local_file::LocalWriter;
use crate::io::{FileWriter, open_file};

/// A draft beside the name that it is for; removed when it is dropped before it got the name.
#[derive(Debug)]
pub struct FileDraft {
    path: PathBuf,
    draft: PathBuf,
    replace: bool,
}

impl FileDraft {
    /// Begins a file for `path`, in its folder, that only its user can read.
    ///
    /// # Errors
    /// `Invalid` when something is at `path` and is not to be replaced, or is a folder; `Io`.
    pub fn create(path: &Path, replace: bool) -> Result<(Self, Box<dyn FileWriter>)> {
        let path = std::path::absolute(path).map_err(|source| Error::io("find", show(path), source))?;
        let Some(name) = path.file_name() else {
            return Err(Error::invalid(show(&path), "it does not end in the name of a file"));
        };
        let mut draft_name = OsString::from(name);
        draft_name.push(format!(".{:08x}.new", rand::random::<u32>()));
        let draft = Self { draft: path.with_file_name(draft_name), path, replace };
        draft.check_free()?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.draft);
        let file = file.map_err(|source| Error::io("create", show(&draft.draft), source))?;
        let writer = LocalWriter::new(file, &show(&draft.path));
        Ok((draft, Box::new(writer)))
    }

    /// Reads what is in the draft so far.
    #[must_use]
    pub fn reopen(&self) -> Reopen {
        let draft = self.draft.clone();
        Box::new(move || open_file(&draft))
    }

    fn check_free(&self) -> Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_dir() => {
                Err(Error::invalid(show(&self.path), "it is a folder; name a file, new or to be replaced"))
            }
            Ok(_) if !self.replace => Err(taken(&self.path)),
            _ => Ok(()),
        }
    }

    /// Gives the file, which is whole and synced, its name, durably.
    ///
    /// # Errors
    /// `Invalid` when another file got that name meanwhile and is not to be replaced; `Io`.
    pub fn publish(self) -> Result<()> {
        if self.replace {
            fs::rename(&self.draft, &self.path)
                .map_err(|source| Error::io("rename to", show(&self.path), source))?;
        } else {
            self.link()?;
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| Error::io("sync the folder", show(folder), source))
    }

    /// A second name is given only where there is none; a file system without links has to be asked first.
    fn link(&self) -> Result<()> {
        match fs::hard_link(&self.draft, &self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(&self.path)),
            Err(_) => {
                self.check_free()?;
                fs::rename(&self.draft, &self.path)
                    .map_err(|source| Error::io("rename to", show(&self.path), source))
            }
        }
    }
}

impl Drop for FileDraft {
    fn drop(&mut self) {
        // Gone already when it was renamed; a draft that stays behind means nothing.
        let _ = fs::remove_file(&self.draft);
    }
}

fn taken(path: &Path) -> Error {
    Error::invalid(show(path), "something is there already; give a new name, or ask for it to be replaced")
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
