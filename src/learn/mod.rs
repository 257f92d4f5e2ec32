//! The learner's side: progress, session, watch, doctor, rendering for a terminal.
