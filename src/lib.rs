//! Drydock: learn Docker by building containers with your own hands; the kernel marks the work.
//!
//! The modules in reading order, each leaning only on those above it:
//!
//! | module | what it is |
//! |---|---|
//! | [`kernel`] | thin wrappers of system calls, and readers of live state. The only `unsafe`. |
//! | [`image`] | OCI content: store, layers, references. Knows no process. |
//! | [`engine`] | skiff: what makes a process a container, step by step. Knows no lesson. |
//! | [`build`] | Dockerfiles: parser, cache, and the steps to an image. |
//! | [`compose`] | applications of several containers, as one file says it. |
//! | [`daemon`] | the Docker Engine API over the same engine. |
//! | [`check`] | verdicts over live kernel state, and the witness. Changes nothing, knows no engine. |
//! | [`course`] | lessons, exercises and quizzes: model, loader, lint. |
//! | [`lab`] | the lab VM: packing, booting, its init and channel. |
//! | [`learn`] | the learner's side: progress, session, watch, doctor, rendering. |
//! | [`web`] | pages with a terminal and live checks in them: sessions, tokens, sockets. |
//! | [`prove`] | the contract every exercise is held to. |
//! | [`book`] | the mdBook made from the same sources. |
//! | [`workshop`] | a class: the hub, its board, and what a learner sends to it. |
//! | [`cli`] | both command lines; the only place that prints. |
//!
//! Invariants, held by tests: imports follow the table (`check` never sees `engine`, `kernel` sees
//! nothing of ours); `unsafe` lives in `kernel`; printing lives in `cli`.

pub mod kernel;
pub mod image;
pub mod engine;
pub mod build;
pub mod compose;
pub mod daemon;
pub mod check;
pub mod course;
pub mod lab;
pub mod learn;
pub mod web;
pub mod prove;
pub mod book;
pub mod workshop;
pub mod cli;
