//! Registries: images over HTTP (OCI distribution spec), fetched, offered and served.
//!
//! A registry knows three things: *manifests* by tag or digest, *blobs* by digest, and *tags* by
//! repository. All of it is `GET /v2/<repository>/…`, and all of it is named by the sha256 of its own
//! bytes, so nothing that a registry sends has to be believed: each byte is hashed on its way in.
//!
//! | file | what it is |
//! |---|---|
//! | [`settings`] | which hosts may be spoken to without TLS, which mirrors are asked first |
//! | [`client`] | one registry and one repository: requests, retries, redirects |
//! | [`auth`], [`challenge`], [`login`], [`helper`] | who is asking: tokens, Docker's config.json, credential helpers |
//! | [`manifest`], [`blob`] | what an image is made of; one layer on its way in |
//! | [`pull`] | a whole image, three layers at once, unpacked while they come |
//! | [`push`] | an image on its way out |
//! | [`layout`] | an image to be looked into, and not kept |
//! | [`obtain`] | what `run` needs: from the store, made here, or pulled |
//! | [`server`], [`mirror`] | a registry of our own; images made here under Docker Hub's names |
//!
//! See it live: `curl -i http://127.0.0.1:5000/v2/_catalog`, beside `skiff registry serve`.
//!
//! Nothing here is started before a registry is spoken to: no TLS, no thread, no runtime. Left out:
//! Docker's image format of before 2016 (schema 1), signatures, and HTTP/2.

pub mod auth;
pub mod blob;
pub mod challenge;
pub mod client;
pub mod error;
pub mod helper;
mod http;
pub mod layout;
pub mod login;
pub mod manifest;
pub mod mirror;
pub mod obtain;
pub mod pull;
pub mod push;
pub mod search;
pub mod server;
pub mod settings;
mod tags;

pub use client::Client;
pub use error::Error;
pub use obtain::{Policy, obtain};
pub use pull::{Progress, Pulled, Step, pull};
pub use settings::Settings;
