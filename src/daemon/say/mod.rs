//! What the API answers about containers, images, networks and volumes, and its filters. `skiff inspect`,
//! `ps` and their like print the same, so each document has this one home.

pub mod container;
pub mod event;
pub mod image;
pub mod network;
pub mod ordered;
pub mod volume;
pub mod which;
pub mod which_images;
pub mod words;
