//! The mdBook made from the same sources as the terminal's lessons.
//!
//! The book's own folder (book/) holds little: its order, a welcome, pages on the engine, a glossary,
//! and what a page needs in a browser. [`Drydock`] is the preprocessor that puts the chapters in, as
//! lessons/course.yaml has them: there is no second list that could grow stale.
//! [`build`] runs mdBook as a library, from files that the binary carries; stock `mdbook build` in
//! book/ gives the same through `drydock book preprocess`.

pub mod beside;
mod diagram;
mod driver;
mod error;
mod lesson;
mod live;
mod markup;
pub mod overlay;
pub mod plan;
mod preprocess;
mod quiz;
pub mod quote;
mod reader;
mod serve;
mod sheet;
pub mod terms;

pub use driver::build;
pub use error::BookError;
pub use preprocess::{Drydock, preprocess};
pub use reader::Reader;
pub use serve::{Beside, listen, serve};
