//! Lessons, exercises and quizzes: model, loader, lint.
//!
//! Content is files (lessons/, exercises/), embedded in the binary or read from a folder. A lesson
//! is Markdown with a front matter; an exercise and a quiz are YAML. All text is a tera template: the
//! facts of the host and the values drawn for a learner are put in before anything is shown or checked.

pub mod content;
pub mod draws;
pub mod exercise;
pub mod lesson;
pub mod lint;
pub mod quiz;
pub mod scaffold;
pub mod template;

mod error;
mod load;

pub use content::Content;
pub use error::Error;
pub use exercise::Exercise;
pub use lesson::{Lesson, Part, PartKind};
pub use load::{Chapter, Course, slug};
pub use quiz::Question;
pub use template::Facts;
