//! Which entries of a log somebody wants, and the two ways to have them: what is written by now, and
//! what comes until the container ends. The same for the command line, an application's logs and the API.

use super::read::{Entry, News, Reader};
use crate::engine::container::Container;
use crate::kernel::SysError;
use std::collections::VecDeque;
use std::time::Duration;

/// The bounds of what is wanted; none is all. Times are as entries have them: RFC 3339, nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Nothing older.
    pub since: Option<String>,
    /// Nothing younger.
    pub until: Option<String>,
    /// So many of the last entries that are written by now.
    pub tail: Option<usize>,
}

impl Window {
    /// Whether an entry lies in it.
    pub fn has(&self, entry: &Entry) -> bool {
        self.since.as_ref().is_none_or(|s| entry.time >= *s) && self.until.as_ref().is_none_or(|u| entry.time <= *u)
    }

    /// Whether something that is still to be written may lie in it.
    pub fn is_open(&self) -> bool {
        self.until.is_none()
    }
}

impl Reader {
    /// Tells of what is written by now. False once `told` has said that nobody listens.
    pub fn written(&mut self, window: &Window, told: &mut dyn FnMut(Entry) -> bool) -> Result<bool, SysError> {
        let mut last: VecDeque<Entry> = VecDeque::new();
        while let Some(entry) = self.next()? {
            if !window.has(&entry) {
                continue;
            }
            if let Some(most) = window.tail {
                last.push_back(entry);
                last.drain(..last.len().saturating_sub(most));
            } else if !told(entry) {
                return Ok(false);
            }
        }
        Ok(last.into_iter().all(told))
    }

    /// Tells of what comes, and with `None` that there is no more for the moment, at least every `look`.
    /// True when the container has ended, false once `told` has said that nobody listens.
    pub fn coming(&mut self, container: &Container, news: &News, look: Option<Duration>, told: &mut dyn FnMut(Option<Entry>) -> bool) -> Result<bool, SysError> {
        loop {
            // Asked first: what was written before the end is read after it.
            let over = !container.is_attended();
            while let Some(entry) = self.next()? {
                if !told(Some(entry)) {
                    return Ok(false);
                }
            }
            if !told(None) || over {
                return Ok(over);
            }
            news.wait(look)?;
        }
    }
}
