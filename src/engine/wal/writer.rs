//! Appends to the newest log file.
//!
//! Records gather in memory until `flush` hands them to the system in one write; `sync` makes them durable. Room is
//! reserved ahead of the records, so that a sync writes data alone and no new length of the file (about a third of its
//! time on ext4), and so that a commit knows its space before it takes effect.
//! A record that found no space is taken back, and the file takes no more of them: the log goes on in a new file.
//! Any other failure ends the writer: what the disk holds past `synced_end` is then unknown, and
//! a new file that continues from there is the only way on.

use super::{WAL_DIR, draft_path, wal_path};
use crate::common::{ClosedReason, Epoch, Error, Result, SeqNo};
use crate::format::wal_header::{WAL_HEADER_LEN, WalEnd, WalHeader};
use crate::format::wal_record::{self, RECORD_ALIGN, RECORD_HEADER_LEN, RecordHeader};
use crate::io::{Fence, FileWriter, Storage};

use arrow::buffer::Buffer;

/// Bytes of buffer kept between flushes.
const BUFFER_KEPT: usize = 4 << 20;
/// Room reserved at a time: as much as the log is long, within these bounds.
const ROOM_MIN: u64 = 64 << 10;
const ROOM_MAX: u64 = 4 << 20;

/// The one writer of a log file.
#[derive(Debug)]
pub struct WalWriter {
    file: Box<dyn FileWriter>,
    path: String,
    epoch: Epoch,
    /// Chain value of the file header: ties each record to this file.
    seed: u32,
    /// After the last record appended.
    end: WalEnd,
    /// The last end known to be durable.
    synced: WalEnd,
    last_seq: Option<SeqNo>,
    /// After the last record handed to the system, and its commit.
    flushed: (WalEnd, Option<SeqNo>),
    /// After the last record that was promised its space, and its commit.
    promised: (WalEnd, Option<SeqNo>),
    /// There was no space for a record.
    full: bool,
    buffer: Vec<u8>,
    /// Bytes the file has room for; `None` once the storage gave none.
    room: Option<u64>,
    failed: bool,
}

impl WalWriter {
    /// Starts a log file: header written, synced, and only then given its name, durably.
    ///
    /// # Errors
    /// `Io` when the disk refuses, also when there is such a file already; what `fence` says.
    pub fn create(storage: &dyn Storage, header: WalHeader, fence: Fence<'_>) -> Result<Self> {
        Self::create_carrying(storage, header, &[], fence)
    }

    /// As [`WalWriter::create`], with records that are in the file before it appears: those that recovery
    /// found beyond the proven end of the file before, and which `header.prev` therefore cuts off.
    ///
    /// # Errors
    /// As [`WalWriter::create`].
    pub fn create_carrying(
        storage: &dyn Storage,
        header: WalHeader,
        carried: &[(SeqNo, Buffer)],
        fence: Fence<'_>,
    ) -> Result<Self> {
        let path = wal_path(header.file);
        let draft = draft_path(header.file, header.epoch);
        storage.create_dir(WAL_DIR)?;
        storage.remove(&draft)?;
        // The rename would replace it.
        let name = format!("{}.wal", header.file);
        if storage.list(WAL_DIR)?.contains(&name) {
            return Err(Error::io("create", path, std::io::ErrorKind::AlreadyExists.into()));
        }
        let file = storage.create_log(&draft)?;
        let mut writer = Self::start(file, path, header);
        for (seq, payload) in carried {
            writer.append(*seq, &[payload.as_slice()])?;
        }
        writer.sync()?;
        fence()?;
        storage.rename(&draft, &writer.path)?;
        storage.sync_dir(WAL_DIR)?;
        Ok(writer)
    }

    fn start(file: Box<dyn FileWriter>, path: String, header: WalHeader) -> Self {
        let bytes = header.encode();
        let seed = crc32c::crc32c(&bytes[..WAL_HEADER_LEN - 4]);
        let end = WalEnd { file: header.file, len: WAL_HEADER_LEN as u64, chain: seed };
        // Nothing is durable yet; the first sync sets this right before anyone can see the file.
        let synced = WalEnd { len: 0, ..end };
        let (epoch, buffer) = (header.epoch, bytes.to_vec());
        Self {
            file,
            path,
            epoch,
            seed,
            end,
            synced,
            last_seq: None,
            flushed: (synced, None),
            promised: (synced, None),
            full: false,
            buffer,
            room: Some(0),
            failed: false,
        }
    }

    /// Adds the record of commit `seq`, given in parts, to the buffer.
    ///
    /// # Errors
    /// As [`WalWriter::append_with`].
    pub fn append(&mut self, seq: SeqNo, payload: &[&[u8]]) -> Result<()> {
        let len = payload.iter().map(|part| part.len()).sum();
        self.append_with(seq, len, |buffer| payload.iter().for_each(|part| buffer.extend_from_slice(part)))
    }

    /// Adds the record of commit `seq` to the buffer, at the end of which `write` puts its payload of `len` bytes.
    ///
    /// # Errors
    /// `Limit` when the payload is too long, `Internal` when `seq` does not follow the last one, `Closed` after
    /// a failure. The log is as before then.
    pub fn append_with(&mut self, seq: SeqNo, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.usable()?;
        if self.full {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        if let Some(last) = self.last_seq.filter(|last| *last >= seq) {
            return Err(Error::Internal(format!("commit {seq} is logged after commit {last}")));
        }
        wal_record::check_len(len as u64)?;
        let short_of_memory =
            |_| Error::io("buffer a record for", &self.path, std::io::ErrorKind::OutOfMemory.into());
        let (start, room) = (self.buffer.len(), RECORD_HEADER_LEN + len + RECORD_ALIGN);
        self.buffer.try_reserve(room).map_err(short_of_memory)?;
        self.buffer.resize(start + RECORD_HEADER_LEN, 0);
        write(&mut self.buffer);
        let measured = wal_record::measure(&[&self.buffer[start + RECORD_HEADER_LEN..]]);
        let (len, payload_crc) = measured.inspect_err(|_| self.buffer.truncate(start))?;
        let (epoch, synced_upto, prev_chain) = (self.epoch, self.synced.len, self.end.chain);
        let header = RecordHeader { len, epoch, seq, synced_upto, prev_chain, payload_crc };
        let (bytes, chain) = header.encode(self.seed, self.end.len);
        self.buffer[start..start + RECORD_HEADER_LEN].copy_from_slice(&bytes);
        self.buffer.extend_from_slice(wal_record::padding(u64::from(len)));
        self.end = WalEnd { len: self.end.len + header.stride(), chain, ..self.end };
        self.last_seq = Some(seq);
        Ok(())
    }

    /// Promises the records appended so far: their commits may take effect, and no later want of space takes them back.
    pub fn promise(&mut self) {
        self.promised = (self.end, self.last_seq);
    }

    /// Sees to the space of the records appended so far, then promises them.
    ///
    /// # Errors
    /// `Io`. For want of space the records since the last promise are taken back, the writer [is full](Self::is_full),
    /// and the log goes on in a new file.
    pub fn secure(&mut self) -> Result<()> {
        self.usable()?;
        self.make_room();
        if self.room.is_none_or(|room| room < self.end.len) {
            self.flush_promised()?;
            self.flush()?;
        }
        self.promise();
        Ok(())
    }

    /// Hands over what has its space, so that a record without any does not take it along.
    fn flush_promised(&mut self) -> Result<()> {
        let len = self.promised.0.len.saturating_sub(self.flushed.0.len) as usize;
        if len == 0 || len >= self.buffer.len() {
            return Ok(());
        }
        let written = self.file.append(&self.buffer[..len]);
        self.settle(written)?;
        self.buffer.drain(..len);
        self.flushed = self.promised;
        Ok(())
    }

    /// True when a record found no space: what was promised can still be synced, and the log goes on elsewhere.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// True when what follows had better go to another file.
    #[must_use]
    pub fn is_fragmented(&self) -> bool {
        self.file.is_fragmented()
    }

    /// Hands the buffer to the operating system in one write: it then survives the process.
    ///
    /// # Errors
    /// `Io`, after which no more records are taken.
    pub fn flush(&mut self) -> Result<()> {
        self.usable()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.file.append(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        match written {
            Err(error) if error.is_out_of_space() && self.promised.0.len <= self.flushed.0.len => {
                self.full = true;
                (self.end, self.last_seq) = self.flushed;
                Err(self.named(error))
            }
            written => {
                self.settle(written)?;
                self.flushed = (self.end, self.last_seq);
                Ok(())
            }
        }
    }

    /// Makes every record appended so far durable.
    ///
    /// # Errors
    /// `Io`, after which the writer takes no more calls: a failed sync is never tried again.
    pub fn sync(&mut self) -> Result<()> {
        self.usable()?;
        if self.synced.len > 0 {
            self.make_room();
        }
        self.flush()?;
        if self.synced != self.end {
            let synced = self.file.sync();
            self.settle(synced)?;
            self.synced = self.end;
        }
        Ok(())
    }

    /// Reserves room beyond the records to come. A storage that has none to give is not asked again.
    fn make_room(&mut self) {
        let Some(room) = self.room.filter(|room| *room < self.end.len) else { return };
        let wanted = self.end.len + self.end.len.clamp(ROOM_MIN, ROOM_MAX);
        let given = self.file.reserve(wanted);
        self.room = (given > room).then_some(given);
    }

    /// Gives back the room that was not used. Call it when no more records follow.
    pub fn trim(&mut self) {
        self.file.trim();
    }

    /// Bytes of the log, with those still in memory.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end.len
    }

    /// True while it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.len == WAL_HEADER_LEN as u64
    }

    /// After the last record appended. Seals the file once everything is synced.
    #[must_use]
    pub fn end(&self) -> WalEnd {
        self.end
    }

    /// After the last record known to be durable.
    #[must_use]
    pub fn synced_end(&self) -> WalEnd {
        self.synced
    }

    /// Bytes appended and not yet durable.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.end.len - self.synced.len
    }

    /// Refuses commits up to `seq`, which an earlier file holds.
    pub(super) fn continue_after(&mut self, seq: Option<SeqNo>) {
        self.last_seq = self.last_seq.max(seq);
    }

    fn usable(&self) -> Result<()> {
        if self.failed { Err(Error::Closed(ClosedReason::Poisoned)) } else { Ok(()) }
    }

    /// Stops the writer on failure, and names the file as it is called now.
    fn settle(&mut self, outcome: Result<()>) -> Result<()> {
        outcome.map_err(|error| {
            self.failed = true;
            self.named(error)
        })
    }

    fn named(&self, error: Error) -> Error {
        match error {
            Error::Io { op, source, .. } => Error::io(op, &self.path, source),
            other => other,
        }
    }
}
