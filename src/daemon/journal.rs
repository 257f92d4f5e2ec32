//! The engine's journal of events, heard by whoever waits: one thread reads it for all.

use super::fault::Fault;
use crate::engine::events::Event;
use crate::engine::events::read::{News, Reader};
use crate::kernel::SysError;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::broadcast;

/// So many events wait for one who listens slowly; who misses some is told.
const MOST: usize = 1024;

/// What happens from now on.
pub(super) struct Journal(broadcast::Sender<Arc<Event>>);

impl Journal {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where the root cannot be watched.
    pub fn open(root: &Path) -> Result<Self, SysError> {
        let (sender, _) = broadcast::channel(MOST);
        let (news, mut reader) = (News::of(root)?, Reader::from_now(root));
        let to = sender.clone();
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            loop {
                while let Ok(Some(event)) = reader.next() {
                    let _ = to.send(Arc::new(event));
                }
                if news.wait(None).is_err() {
                    return;
                }
            }
        }).map_err(|e| SysError::new("watch the journal", crate::kernel::error::errno_of(&e)))?;
        Ok(Self(sender))
    }

    /// From now on.
    pub fn listen(&self) -> Heard {
        Heard(self.0.subscribe())
    }
}

/// One who listens.
pub(super) struct Heard(broadcast::Receiver<Arc<Event>>);

impl Heard {
    /// The next event; where some were missed, none of them.
    pub async fn next(&mut self) -> Result<Arc<Event>, Fault> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Ok(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(Fault::new(500, "the daemon ends")),
            }
        }
    }
}
