//! The process of H3 on a disk whose power will be cut: started, stopped, gone on with, killed.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::shim::{self, Strike};
use crate::truth::Truth;

/// A process at work. It dies with the thread that started it.
#[derive(Debug)]
pub struct Doomed {
    child: Child,
    pipe: ChildStdout,
    /// A line of which the end is still to come.
    begun: Vec<u8>,
}

impl Doomed {
    /// Starts it on the database in `folder`, perhaps with calls that lie.
    pub fn start(folder: &Path, seed: u64, bug: Option<Strike>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--h3-child").arg(folder).arg(seed.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(bug) = bug {
            shim::strike(&mut command, folder, bug);
        }
        // SAFETY: the closure makes one async-signal-safe call, and allocates nothing.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let mut child = command.spawn()?;
        let pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // SAFETY: the call takes no pointer, and the descriptor is open.
        if unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { child, pipe, begun: Vec::new() })
    }

    /// Has it stop; its calls that are under way come to their end.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Waits until it has stopped. False when it has ended instead.
    pub fn has_stopped(&self) -> bool {
        // SAFETY: numbers and null pointers are values of this struct of the system's.
        let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let what = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
        // SAFETY: the pointer is to a struct that lives for the call, which leaves the process to be waited for.
        let done = unsafe { libc::waitid(libc::P_PID, self.child.id(), &raw mut found, what) };
        done == 0 && found.si_code == libc::CLD_STOPPED
    }

    /// Has it go on.
    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the call takes no pointer; the process is our child and not waited for yet, so its number is its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Gives each line that it told since the last call to `hear`, without waiting for more. False at the end of all.
    pub fn listen(&mut self, mut hear: impl FnMut(&str)) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.pipe.read(&mut buffer) {
                Ok(0) => return false,
                Ok(len) => self.begun.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
            while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                hear(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    /// Waits for something to be told, but no longer than that.
    pub fn wait(&self, longest: Duration) {
        let mut pipe = libc::pollfd { fd: self.pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to one such struct, as the count says, and lives for the call.
        unsafe { libc::poll(&raw mut pipe, 1, longest.as_millis() as i32) };
    }

    /// Ends it. What it told can still be heard.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// As [`listen`](Self::listen), to what was told until now.
    pub fn tell(&mut self, truth: &mut Truth) {
        self.listen(|line| truth.hear(line));
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.kill();
    }
}
