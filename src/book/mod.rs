//! The mdBook made from the same sources as the terminal's lessons.
//!
//! The book's own folder (book/) holds little: its order, a welcome, a page on the engine, and in a
//! chapter one line, `{{#lesson FOLDER}}`. [`Drydock`] is the preprocessor that puts the lesson there.
//! [`build`] runs mdBook as a library, from files that the binary carries; stock `mdbook build` in
//! book/ gives the same through `drydock book preprocess`.

mod driver;
mod error;
mod lesson;
mod preprocess;
mod quiz;

pub use driver::build;
pub use error::BookError;
pub use preprocess::{Drydock, preprocess};
