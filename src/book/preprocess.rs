//! The preprocessor: `{{#lesson FOLDER}}` becomes a lesson, `{{#course}}` the list of chapters.

use super::{BookError, lesson};
use crate::course::Course;
use mdbook_preprocessor::book::{Book, BookItem};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext, errors};
use std::io::{Read, Write};

/// Puts the course into the book.
pub struct Drydock {
    course: Course,
}

impl Drydock {
    /// For this course.
    pub fn of(course: Course) -> Self {
        Self { course }
    }

    /// A page with its directives carried out.
    fn page(&self, text: &str) -> Result<String, BookError> {
        let mut page = String::with_capacity(text.len());
        for line in text.lines() {
            let directive = line.trim().strip_prefix("{{#").and_then(|d| d.strip_suffix("}}"));
            match directive.map(|d| d.split_whitespace().collect::<Vec<_>>()).as_deref() {
                Some(["lesson", folder]) => page.push_str(&lesson::page(&self.course, folder)?),
                Some(["course"]) => page.push_str(&self.contents()?),
                _ => {
                    page.push_str(line);
                    page.push('\n');
                }
            }
        }
        Ok(page)
    }

    /// The chapters, with their minutes.
    fn contents(&self) -> Result<String, BookError> {
        let mut list = String::from("## The chapters\n\n");
        for folder in &self.course.folders {
            let chapter = self.course.chapter(folder)?;
            let front = &chapter.lesson.front;
            list.push_str(&format!(
                "- [{}]({}.md): {} exercises, {} questions, about {} minutes\n",
                front.title,
                chapter.slug(),
                chapter.exercises.len(),
                chapter.quiz.len(),
                front.minutes
            ));
        }
        Ok(list)
    }
}

impl Preprocessor for Drydock {
    fn name(&self) -> &str {
        "drydock"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> errors::Result<Book> {
        let mut failed = None;
        book.for_each_mut(|item| {
            if let BookItem::Chapter(chapter) = item
                && chapter.content.contains("{{#")
            {
                match self.page(&chapter.content) {
                    Ok(content) => chapter.content = content,
                    Err(error) => failed = Some(error),
                }
            }
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(book),
        }
    }
}

/// What mdBook runs: reads its context and book as JSON, writes the book back.
pub fn preprocess(course: Course, input: impl Read, output: impl Write) -> Result<(), BookError> {
    let told = |e: errors::Error| BookError::Mdbook(format!("{e:#}"));
    let (context, book) = mdbook_preprocessor::parse_input(input).map_err(told)?;
    let book = Drydock::of(course).run(&context, book).map_err(told)?;
    serde_json::to_writer(output, &book).map_err(|e| BookError::Mdbook(e.to_string()))
}
