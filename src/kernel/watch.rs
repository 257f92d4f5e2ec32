//! Wake up when kernel state changes: inotify, eventfd, poll on mountinfo.
